// A part of a chosen picture with the options as they stand, computed at once.

import { crop, judge } from "./api.js";
import { options } from "./options.js";
import { $ } from "./words.js";

const SIDE = 96; // LR pixels; small enough to follow a dial
const before = $("before");
let item = null;
let at = { x: 0, y: 0 };
let asking = new AbortController();
let url = "";
const JUDGED = 50e6; // bytes; more is not sent only to be looked at

/** What `auto` takes for the whole picture; a part of it, sent as PNG, would be judged otherwise. */
async function suits(one, signal) {
  if (one.blob.size <= JUDGED) one.auto ??= await judge(one, signal);
  return one.auto;
}

export function show(picked) {
  item = picked;
  asking.abort();
  $("trial").hidden = !item;
  if (!item) return;
  $("trialname").textContent = item.name;
  at = { x: Math.max(0, (item.width - SIDE) / 2), y: Math.max(0, (item.height - SIDE) / 2) };
  draw();
  compute();
}

const side = () => Math.min(SIDE, item.width, item.height);

function draw() {
  at.x = Math.round(Math.min(Math.max(at.x, 0), item.width - side()));
  at.y = Math.round(Math.min(Math.max(at.y, 0), item.height - side()));
  const pen = before.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.clearRect(0, 0, before.width, before.height);
  pen.drawImage(item.image, at.x, at.y, side(), side(), 0, 0, before.width, before.height);
}

export async function compute() {
  if (!item) return;
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  await new Promise((resolve) => setTimeout(resolve, 200));
  if (signal.aborted) return;
  $("aftersays").textContent = "computing …";
  const part = new OffscreenCanvas(side(), side());
  part.getContext("2d").drawImage(item.image, at.x, at.y, side(), side(), 0, 0, side(), side());
  const { fit, ext, quality, ...chosen } = options();
  $("judged").textContent = "";
  try {
    if (!["model", "texture", "denoise"].some((name) => name in chosen)) {
      const auto = await suits(item, signal);
      if (signal.aborted) return;
      if (auto) {
        chosen.model = auto.model;
        $("judged").textContent = `Automatic takes ${auto.model}: ${auto.why}.`;
      }
    }
    const made = await crop(await part.convertToBlob({ type: "image/png" }), chosen, signal);
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(made);
    $("after").src = url;
    $("aftersays").textContent = "fourfold";
  } catch (error) {
    if (error.name !== "AbortError") $("aftersays").textContent = error.message;
  }
}

function moved(x, y) {
  at = { x: at.x + x, y: at.y + y };
  draw();
  compute();
}

before.addEventListener("pointerdown", (event) => before.setPointerCapture(event.pointerId));
before.addEventListener("pointermove", (event) => {
  if (!before.hasPointerCapture(event.pointerId)) return;
  const scale = side() / before.clientWidth;
  moved(-event.movementX * scale, -event.movementY * scale);
});
before.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] }[event.key];
  if (!step) return;
  event.preventDefault();
  moved(...step);
});
