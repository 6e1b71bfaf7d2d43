// What a person chooses, as options of the interface.

import { models } from "./api.js";
import { $, make } from "./words.js";

const form = $("options");
export const PREVIEW = 5; // seconds of a film
const LOSSY = { jpg: 95, webp: 95, avif: 80 };

export function options({ film = false } = {}) {
  const chosen = {};
  const [kind, value] = form.size.value.split(":");
  if (kind === "scale") chosen.scale = Number(value);
  if (kind === "fit") chosen.fit = value;
  if (form.model.value !== "auto") chosen.model = form.model.value;
  else if (form.look.value !== "auto") chosen[form.look.value] = Number(form[form.look.value].value);
  if (form.tta.checked) chosen.tta = true;
  if (film) {
    if (form.codec.value !== "auto") chosen.codec = form.codec.value;
    if (form.preview.checked) Object.assign(chosen, { preview: true, end: PREVIEW });
    return chosen;
  }
  if (form.ext.value !== "auto") chosen.ext = form.ext.value;
  if (form.ext.value in LOSSY) chosen.quality = Number(form.quality.value);
  return chosen;
}

function shown() {
  const lossy = form.ext.value in LOSSY;
  $("quality").hidden = !lossy;
  $("quality").querySelector("output").value = form.quality.value;
  $("looks").disabled = form.model.value !== "auto";
  $("lookauto").hidden = form.look.value !== "auto";
  for (const dial of ["texture", "denoise"]) {
    $(dial).hidden = form.look.value !== dial;
    $(dial).querySelector("output").value = `${Math.round(form[dial].value * 100)} %`;
  }
}

export function onChange(heard) {
  form.addEventListener("input", (event) => {
    if (event.target === form.ext && form.ext.value in LOSSY) form.quality.value = LOSSY[form.ext.value];
    shown();
    heard();
  });
}

export async function loadModels() {
  const known = await models();
  for (const model of known.models) form.model.append(make("option", { value: model.name }, model.name));
  for (const label of form.querySelectorAll("[data-option]")) label.hidden = !known.options.includes(label.dataset.option);
  const { still, film } = known.auto;
  $("why").textContent = `auto: ${still.model} for pictures (${still.why}), ${film.model} for films (${film.why.replace(/ \(.*\)/, "")})`;
  shown();
  return known;
}
