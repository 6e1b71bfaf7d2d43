"use strict";
// A slider shows the variant chosen on the left, and over it, cut at the divider, the other one.
const show = (figure) => {
  const stage = figure.querySelector(".stage");
  for (const side of ["left", "right"]) {
    const chosen = figure.querySelector(`select[data-side=${side}]`).value;
    for (const image of stage.querySelectorAll("img")) {
      const on = image.dataset.variant === chosen;
      image.classList.toggle(`on-${side}`, on);
      if (on) {
        stage.querySelector(`.label.${side}`).textContent = `${chosen} · ${image.dataset.note}`;
      }
    }
  }
  const range = stage.querySelector("input");
  // The thumb's centre stays half a thumb inside the ends; the cut goes all the way.
  stage.style.setProperty("--cut", `${range.value}%`);
};

const figures = [...document.querySelectorAll(".compare")];
for (const figure of figures) {
  figure.addEventListener("input", () => show(figure));
  show(figure);
}

for (const select of document.querySelectorAll(".toolbar select")) {
  select.addEventListener("input", () => {
    for (const figure of figures) {
      const own = figure.querySelector(`select[data-side=${select.dataset.side}]`);
      if ([...own.options].some((option) => option.value === select.value)) {
        own.value = select.value;
        show(figure);
      }
    }
  });
}

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
