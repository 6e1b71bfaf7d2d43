// Puts the parts together.

import { listen } from "./api.js";
import { forgetEnded, gone, only, sendAll, told } from "./jobs.js";
import { loadModels, onChange } from "./options.js";
import { add, clear, dropped, measure, onPick, waiting } from "./tray.js";
import { compute, show } from "./trial.js";
import { $ } from "./words.js";

const root = document.documentElement;
try {
  root.dataset.theme = localStorage.getItem("theme") ?? "";
} catch {
  // No storage in a private window; the system's choice then holds.
}
$("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // As above.
  }
};

$("choose").onclick = () => $("files").click();
$("folder").onclick = () => $("folders").click();
for (const id of ["files", "folders"]) {
  $(id).onchange = (event) => {
    add(event.target.files);
    event.target.value = "";
  };
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("over"));
addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add(await dropped(event.dataTransfer));
});
addEventListener("paste", (event) => event.clipboardData.files.length && add(event.clipboardData.files));

onPick(show);
onChange(() => {
  measure();
  compute();
});
$("clear").onclick = clear;
$("forget").onclick = forgetEnded;
$("options").onsubmit = (event) => {
  event.preventDefault();
  const files = waiting();
  sendAll(files);
  clear();
};

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

try {
  await loadModels();
  listen({ job: told, gone, ids: only, lost: (is) => trouble(is ? "The service does not answer; trying again …" : "") });
} catch (error) {
  if (error.status === 401) {
    $("login").hidden = false;
    if (location.search.includes("refused")) trouble("That token is not one of this service.");
  } else trouble(error.message);
}
