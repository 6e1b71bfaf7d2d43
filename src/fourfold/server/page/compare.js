// Before and after under one slider: both layers share one transform, so they cannot drift apart.

import { $ } from "./words.js";

const SHOWN = /\.(png|jpe?g|webp|gif|avif|bmp)$/i; // formats browsers show; others come as a view
const MOST = 60e6; // pixels of a result a browser is asked to hold
const LENS = 3;
const stage = $("stage");
const [before, after] = stage.querySelectorAll(":scope > .layer img");
const [lensBefore, lensAfter] = $("lens").querySelectorAll("img");
const [, top] = stage.querySelectorAll(":scope > .layer");
const film = stage.querySelector("video");
const view = { width: 1, height: 1, scale: 1, x: 0, y: 0, border: 0.5, fitted: true };
let current = null;
let results = [];
let lens = false;
const fingers = new Map();

const source = (job, of, name) => {
  const whole = SHOWN.test(name) && job.width * job.height <= MOST;
  return `v1/jobs/${job.id}/${whole ? of : `preview?of=${of}`}`;
};

export function open(job, all) {
  [current, results] = [job, all];
  $("viewname").textContent = `${job.name} · ${job.width} × ${job.height}`;
  $("get").href = `v1/jobs/${job.id}/result`;
  $("get").download = job.result;
  const isFilm = job.kind === "film";
  film.hidden = !isFilm;
  for (const element of stage.querySelectorAll(":scope > .layer, .tag, #handle")) element.hidden = isFilm;
  for (const id of ["smooth", "lensswitch", "in", "out", "fit", "zoom"]) $(id).disabled = isFilm;
  $("viewer").classList.toggle("watching", isFilm);
  if (isFilm) film.src = `v1/jobs/${job.id}/result`;
  else {
    film.removeAttribute("src");
    before.src = lensBefore.src = source(job, "input", job.name);
    after.src = lensAfter.src = source(job, "result", job.result);
  }
  Object.assign(view, { width: job.width, height: job.height, border: 0.5 });
  for (const image of [before, after, lensBefore, lensAfter]) {
    image.style.width = `${view.width}px`;
    image.style.height = `${view.height}px`;
  }
  if (!$("viewer").open) $("viewer").showModal();
  fit();
  (isFilm ? film : $("handle")).focus();
}

function place(image, scale, x, y) {
  image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
}

function draw() {
  const { clientWidth: width, clientHeight: height } = stage;
  const [w, h] = [view.width * view.scale, view.height * view.scale];
  view.x = w <= width ? (width - w) / 2 : Math.min(0, Math.max(width - w, view.x));
  view.y = h <= height ? (height - h) / 2 : Math.min(0, Math.max(height - h, view.y));
  for (const image of [before, after]) {
    place(image, view.scale, view.x, view.y);
  }
  after.style.imageRendering = view.scale > 2 ? "pixelated" : "auto";
  top.style.clipPath = `inset(0 0 0 ${view.border * 100}%)`;
  $("handle").style.left = `${view.border * 100}%`;
  $("handle").ariaValueNow = Math.round(view.border * 100);
  $("handle").ariaValueText = `${Math.round(view.border * 100)} % before`;
  $("zoom").value = `${Math.round(view.scale * 100)} %`;
}

const least = () => Math.min(1, stage.clientWidth / view.width, stage.clientHeight / view.height);

function fit() {
  view.scale = Math.min(stage.clientWidth / view.width, stage.clientHeight / view.height, 2);
  [view.x, view.y, view.fitted] = [0, 0, true];
  draw();
}

/** So that the point (x, y) of the stage stays where it is. */
function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(16, Math.max(least(), view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  view.fitted = false;
  draw();
}

function border(share) {
  view.border = Math.min(1, Math.max(0, share));
  draw();
}

function look(event) {
  $("lens").hidden = !lens || film.hidden === false;
  if ($("lens").hidden) return;
  const box = stage.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const side = $("lens").offsetWidth;
  const half = side / 2;
  $("lens").style.left = `${x - half}px`;
  $("lens").style.top = `${y - half}px`;
  const scale = Math.max(view.scale * LENS, 1);
  const [px, py] = [(x - view.x) / view.scale, (y - view.y) / view.scale];
  // Both halves show the point under the pointer: left as it was, right as it is.
  place(lensBefore, scale, half / 2 - px * scale, half - py * scale);
  place(lensAfter, scale, half / 2 - px * scale, half - py * scale);
}

function step(by) {
  const at = results.findIndex((job) => job.id === current.id);
  const next = results[(at + by + results.length) % results.length];
  if (next && next.id !== current.id) open(next, results);
}

const KEYS = {
  ArrowLeft: () => border(view.border - 0.02),
  ArrowRight: () => border(view.border + 0.02),
  Home: () => border(0),
  End: () => border(1),
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  0: fit,
  1: () => zoom(1 / view.scale),
  "[": () => step(-1),
  "]": () => step(1),
  l: () => $("lensswitch").click(),
};
const PANS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

$("viewer").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, video")) return;
  const pan = event.shiftKey || event.key.endsWith("Up") || event.key.endsWith("Down") ? PANS[event.key] : null;
  if (pan) {
    [view.x, view.y] = [view.x + pan[0], view.y + pan[1]];
    draw();
  } else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

stage.addEventListener("wheel", (event) => {
  if (!film.hidden) return;
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  look(event);
}, { passive: false });

stage.addEventListener("pointerdown", (event) => {
  if (!film.hidden) return;
  fingers.set(event.pointerId, event);
  stage.setPointerCapture(event.pointerId);
  stage.dragged = event.target === $("handle") ? "border" : "picture";
});
stage.addEventListener("pointermove", (event) => {
  look(event);
  const last = fingers.get(event.pointerId);
  if (!last) return;
  const box = stage.getBoundingClientRect();
  if (fingers.size === 2) {
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
    zoom(apart(event) / apart(last), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
  } else if (stage.dragged === "border") border((event.clientX - box.left) / box.width);
  else {
    view.x += event.clientX - last.clientX;
    view.y += event.clientY - last.clientY;
    draw();
  }
  fingers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => fingers.delete(event.pointerId));
stage.addEventListener("pointerleave", () => ($("lens").hidden = true));
stage.addEventListener("dblclick", (event) => {
  const box = stage.getBoundingClientRect();
  if (film.hidden) zoom(view.scale < 1 ? 1 / view.scale : 2, event.clientX - box.left, event.clientY - box.top);
});
new ResizeObserver(() => (view.fitted ? fit() : draw())).observe(stage); // a turned phone

$("smooth").onchange = () => (before.style.imageRendering = lensBefore.style.imageRendering = $("smooth").value);
$("lensswitch").onclick = () => {
  lens = !lens;
  $("lensswitch").ariaPressed = String(lens);
  if (!lens) $("lens").hidden = true;
};
$("in").onclick = () => zoom(1.25);
$("out").onclick = () => zoom(0.8);
$("fit").onclick = fit;
$("earlier").onclick = () => step(-1);
$("later").onclick = () => step(1);
$("close").onclick = () => $("viewer").close();
$("viewer").addEventListener("close", () => film.pause());
