// Two pictures of one size become one with a divider. Without this script they stand one above the other.

function slide(box) {
  const [before, after] = box.querySelectorAll("img");
  const stage = document.createElement("div");
  stage.className = "compare-stage";
  const handle = document.createElement("input");
  Object.assign(handle, { type: "range", min: 0, max: 100, value: 50, step: 1 });
  handle.ariaLabel = `Divider between ${before.alt} and ${after.alt}`;
  const place = () => {
    stage.style.setProperty("--at", `${handle.value}%`);
    handle.ariaValueText = `${handle.value} % ${before.alt}`;
  };
  handle.addEventListener("input", place);
  const tags = [before, after].map((image) => {
    const tag = document.createElement("span");
    tag.textContent = image.alt;
    tag.className = image === before ? "compare-left" : "compare-right";
    tag.ariaHidden = "true";
    return tag;
  });
  stage.append(before, after, ...tags, handle);
  box.replaceChildren(stage);
  place();
  if (box.classList.contains("sweep") && !matchMedia("(prefers-reduced-motion: reduce)").matches) sweep(handle, place);
}

/** Move the divider to and fro once, until somebody takes it. */
function sweep(handle, place) {
  const began = performance.now();
  let taken = false;
  for (const kind of ["pointerdown", "keydown"]) handle.addEventListener(kind, () => (taken = true));
  const frame = (now) => {
    const turn = Math.min(1, (now - began) / 6000);
    if (taken) return;
    handle.value = 50 + 45 * Math.sin(2 * Math.PI * turn);
    place();
    if (turn < 1) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

for (const box of document.querySelectorAll(".compare")) slide(box);
