// Files that are chosen but not yet sent: thumbnails, sizes, an estimate.

import { estimate } from "./api.js";
import { options, PREVIEW } from "./options.js";
import { $, bytes, clock, make, many } from "./words.js";

const FILM = /\.(mp4|m4v|mov|mkv|webm|avi|3gp|ts|mts|m2ts|mpe?g|vob|wmv|flv|ogv)$/i;
const ESTIMATED = 20; // so many are asked for, the rest is taken to be like them
const items = [];
let picked = null;
let tell = () => {};
let asking = new AbortController();

export const onPick = (heard) => { tell = heard; };
export const waiting = () => items.slice();

export function add(files) {
  for (const blob of files) {
    if (blob.name.startsWith(".") || blob.name === "Thumbs.db" || !blob.size) continue;
    const film = blob.type.startsWith("video/") || FILM.test(blob.name);
    const random = crypto.getRandomValues(new Uint32Array(4));
    const item = { blob, name: blob.name, film, key: [...random].join("-"), url: URL.createObjectURL(blob) };
    items.push(item);
    show(item);
  }
  changed();
}

export function drop(item) {
  const at = items.indexOf(item);
  if (at < 0) return;
  items.splice(at, 1);
  item.row.remove();
  URL.revokeObjectURL(item.url);
  if (picked === item) pick(items.find((other) => other.image) ?? null);
  changed();
}

export const clear = () => items.slice().forEach(drop);

function show(item) {
  const say = make("span", { className: "say" }, item.name, make("small", {}, bytes(item.blob.size)));
  const button = make("button", { type: "button", className: "pick" }, say);
  const away = make("button", { type: "button", className: "quiet drop1", ariaLabel: `Take ${item.name} out` }, "✕");
  item.row = make("li", {}, button, away);
  item.button = button;
  away.onclick = () => drop(item);
  button.onclick = () => item.image && pick(item);
  $("tray").append(item.row);
  const thumb = make(item.film ? "video" : "img", { className: "thumb", src: item.url, muted: true });
  const known = (width, height) => {
    Object.assign(item, { width, height });
    say.querySelector("small").textContent = `${width} × ${height}, ${bytes(item.blob.size)}`;
    changed();
  };
  if (item.film) {
    thumb.preload = "metadata";
    thumb.onloadeddata = () => {
      item.frames = Math.max(1, Math.round((thumb.duration || 1) * 25));
      known(thumb.videoWidth, thumb.videoHeight);
    };
  } else {
    thumb.alt = "";
    thumb.onload = () => {
      item.image = thumb;
      known(thumb.naturalWidth, thumb.naturalHeight);
      if (!picked) pick(item);
    };
  }
  thumb.onerror = () => thumb.replaceWith(make("span", { className: "thumb" }, item.film ? "▶" : "")); // the service reads more than browsers show
  button.prepend(thumb);
}

function pick(item) {
  picked = item;
  for (const other of items) other.button.ariaPressed = String(other === item);
  tell(item);
}

function changed() {
  const films = items.some((item) => item.film);
  $("options").hidden = !items.length;
  for (const element of document.querySelectorAll(".film")) element.hidden = !films;
  $("go").textContent = `Enlarge ${many(items.length, "file")}`;
  measure();
}

/** Says how long it takes, once the sizes are known. */
export async function measure() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const sized = items.filter((item) => item.width).slice(0, ESTIMATED);
  if (!sized.length) return void ($("estimate").textContent = "");
  await new Promise((resolve) => setTimeout(resolve, 250));
  if (signal.aborted) return;
  let seconds = 0;
  let largest = { width: 0, height: 0 };
  try {
    for (const { width, height, film, frames } of sized) {
      const chosen = options({ film });
      const count = chosen.preview ? Math.min(frames, 25 * PREVIEW) : frames;
      const size = { width, height, film, options: chosen, ...(film && { frames: count }) };
      const made = await estimate(size, signal);
      seconds += made.seconds;
      if (made.width * made.height > largest.width * largest.height) largest = made;
    }
  } catch (error) {
    if (error.name !== "AbortError") $("estimate").textContent = error.message;
    return;
  }
  const about = clock((seconds / sized.length) * items.length);
  $("estimate").textContent = `about ${about}; up to ${largest.width} × ${largest.height} pixels`;
}

/** Files of what is dropped, folders entered. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  const enter = async (entry) => {
    if (entry.isFile) return void found.push(await new Promise((yes, no) => entry.file(yes, no)));
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((yes, no) => reader.readEntries(yes, no));
      if (!some.length) return;
      for (const inside of some) await enter(inside);
    }
  };
  for (const entry of entries) await enter(entry);
  return found;
}
