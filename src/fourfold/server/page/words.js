// Numbers as people say them, and a short way to make elements.

export function clock(seconds) {
  if (seconds == null) return "";
  if (seconds < 1) return "a moment";
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h) return `${h}\u00a0h ${m}\u00a0min`;
  return m ? `${m}\u00a0min ${s}\u00a0s` : `${s}\u00a0s`;
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let at = 0;
  while (count >= 1000 && at < 3) [count, at] = [count / 1000, at + 1];
  return `${at ? count.toFixed(count < 10 ? 1 : 0) : count}\u00a0${units[at]}`;
}

export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

export function make(tag, values = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...inside);
  return element;
}

export const $ = (id) => document.getElementById(id);
