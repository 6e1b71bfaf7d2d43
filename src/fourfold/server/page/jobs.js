// The list of jobs: what waits, runs, is done or has failed.

import { remove, send } from "./api.js";
import { open } from "./compare.js";
import { options } from "./options.js";
import { $, bytes, clock, make, many } from "./words.js";

const jobs = new Map();
const AT_ONCE = 2;

export const done = () => [...jobs.values()].map((row) => row.job).filter((job) => job?.state === "done").sort((a, b) => b.created - a.created);

function says(job) {
  const size = job.width ? `${job.width}\u00a0×\u00a0${job.height}` : "";
  switch (job.state) {
    case "sending": return `sending, ${Math.round(job.progress * 100)} %`;
    case "queued": return "waiting";
    case "running": {
      const left = job.seconds_left == null ? "" : `, ${clock(job.seconds_left)} left`;
      return `${Math.round(job.progress * 100)} %${left}`;
    }
    case "done": return [size, bytes(job.result_bytes), clock(job.seconds)].filter(Boolean).join(" · ");
    case "failed": return job.reason;
    default: return job.state;
  }
}

const STATES = { sending: "Sending", queued: "Waiting", running: "Enlarging", done: "Done", failed: "Failed", cancelled: "Cancelled" };

function row(id) {
  if (jobs.has(id)) return jobs.get(id);
  const made = { element: make("li"), parts: {}, job: null };
  const parts = made.parts;
  parts.pic = make("button", { type: "button", className: "pic" }, "…");
  parts.name = make("div", { className: "name" });
  parts.says = make("div", { className: "says" });
  parts.bar = make("progress", { max: 1 });
  parts.notes = make("ul", { className: "notes" });
  parts.acts = make("div", { className: "acts" });
  made.element.append(parts.pic, make("div", {}, parts.name, parts.says, parts.bar, parts.notes), parts.acts);
  jobs.set(id, made);
  return made;
}

export function told(job) {
  const { element, parts, ...before } = row(job.id);
  const last = before.job;
  jobs.get(job.id).job = job;
  if (!element.isConnected || last?.created !== job.created) place(element, job);
  if (last?.state !== job.state) {
    element.className = job.state;
    parts.name.textContent = job.name;
    parts.bar.ariaLabel = `Progress of ${job.name}`;
    parts.pic.ariaLabel = job.state === "done" ? `Compare ${job.name}` : job.name;
    parts.pic.disabled = job.state !== "done";
    parts.pic.onclick = () => open(job, done());
    if (job.state !== "sending" && !parts.pic.querySelector("img")) picture(parts.pic, job);
    parts.acts.replaceChildren(...acts(job));
    parts.notes.replaceChildren(...[...(job.notes ?? []), ...(job.state === "done" && job.reason ? [job.reason] : [])].map((note) => make("li", {}, note)));
  }
  parts.bar.hidden = !["sending", "running", "queued"].includes(job.state);
  parts.bar.value = job.progress;
  parts.says.replaceChildren(make("span", { className: "state" }, STATES[job.state]), job.state === "queued" ? "" : `: ${says(job)}`, job.model ? make("small", {}, [job.model, job.why].filter(Boolean).join(": ")) : "");
  summed();
}

function place(element, job) {
  const later = [...jobs.values()].filter((other) => other.element !== element && other.element.isConnected && other.job.created <= job.created);
  later.sort((a, b) => b.job.created - a.job.created);
  $("jobs").insertBefore(element, later[0]?.element ?? null);
}

function picture(button, job) {
  if (job.kind === "film") return void (button.textContent = "▶");
  const image = make("img", { alt: "", src: `v1/jobs/${job.id}/preview?of=input&side=160` });
  image.onerror = () => (button.textContent = "?");
  button.replaceChildren(image);
}

function acts(job) {
  const away = make("button", { type: "button", className: "quiet", ariaLabel: `${job.state === "done" || job.state === "failed" ? "Remove" : "Cancel"} ${job.name}` });
  away.textContent = job.state === "queued" || job.state === "running" ? "Cancel" : "✕";
  away.onclick = () => remove(job.id).catch(() => {}).then(() => gone(job.id));
  if (job.state === "sending") return [];
  if (job.state !== "done") return [away];
  const look = make("button", { type: "button", className: "main" }, job.kind === "film" ? "Watch" : "Compare");
  look.onclick = () => open(job, done());
  const get = make("a", { className: "button", href: `v1/jobs/${job.id}/result`, download: job.result }, "Download");
  get.ariaLabel = `Download ${job.result}`;
  return [look, get, away];
}

export function gone(id) {
  jobs.get(id)?.element.remove();
  jobs.delete(id);
  summed();
}

/** After a reconnection: what was deleted elsewhere goes here too. */
export function only(ids) {
  const known = new Set(ids);
  for (const [id, { job }] of jobs) if (!known.has(id) && job.state !== "sending") gone(id);
}

function summed() {
  const all = [...jobs.values()].map((one) => one.job).filter(Boolean);
  const busy = all.filter((job) => ["sending", "queued", "running"].includes(job.state)).length;
  const ready = all.filter((job) => job.state === "done").length;
  $("summary").textContent = [busy && `${busy} to do`, ready && `${ready} done`].filter(Boolean).join(", ");
  $("zip").hidden = ready < 2;
  $("forget").hidden = all.length === busy;
  $("none").hidden = all.length > 0;
  document.title = busy ? `(${busy}) fourfold` : "fourfold: larger pictures and films";
}

export async function forgetEnded() {
  const ended = [...jobs.values()].map((one) => one.job).filter((job) => ["done", "failed"].includes(job.state));
  if (!confirm(`Remove ${many(ended.length, "result")} from the service?`)) return;
  for (const job of ended) await remove(job.id).catch(() => {}).then(() => gone(job.id));
}

/** Sends files, a few at once; each becomes a job, or says why not. */
export async function sendAll(files) {
  const waiting = files.map((file) => ({ file, chosen: options(file) }));
  waiting.forEach(({ file }, at) => told(sending(file, at)));
  const worker = async () => {
    for (let next; (next = waiting.shift()); ) await sendOne(next.file, next.chosen);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const sending = (file, at = 0) => ({ id: file.key, state: "sending", name: file.name, progress: 0, created: Date.now() / 1000 - at / 1000, kind: file.film ? "film" : "picture" });

async function sendOne(file, chosen) {
  const local = jobs.get(file.key)?.job ?? sending(file);
  for (;;) {
    try {
      const job = await send(file, chosen, (share) => told({ ...local, progress: share }));
      gone(file.key);
      if (!jobs.has(job.id)) told(job);
      return;
    } catch (error) {
      if (!error.after) return told({ ...local, state: "failed", reason: error.message, notes: [] });
      await new Promise((resolve) => setTimeout(resolve, error.after * 1000)); // full; it asks to come again
    }
  }
}
