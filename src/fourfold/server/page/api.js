// The REST interface, and nothing else of the network.

const CHANGE = { "X-Fourfold": "1" };

/** Says what a problem says, in the words of the command line. */
async function refused(response) {
  let said = `${response.status} ${response.statusText}`;
  try {
    said = (await response.json()).detail || said;
  } catch {
    // No problem details: a proxy's answer, perhaps.
  }
  const error = new Error(said);
  error.status = response.status;
  return error;
}

async function call(path, options = {}) {
  const headers = options.method ? { ...CHANGE, ...options.headers } : {};
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) throw await refused(response);
  return response;
}

function form(file, name, options) {
  const data = new FormData();
  data.append("options", JSON.stringify(options));
  data.append("file", file, name);
  return data;
}

export const models = async () => (await call("v1/models")).json();

export async function estimate(size, signal) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(size);
  return (await call("v1/estimate", { method: "POST", headers, body, signal })).json();
}

/** What a file would become: with `auto`, which model and why. */
export async function judge(file, signal) {
  const body = form(file.blob, file.name, {});
  return (await call("v1/estimate", { method: "POST", body, signal })).json();
}

export async function crop(blob, options, signal) {
  const body = form(blob, "crop.png", options);
  return (await call("v1/preview", { method: "POST", body, signal })).blob();
}

export const remove = (id) => call(`v1/jobs/${id}`, { method: "DELETE" });

/** Sends a file; `tell` hears the share that has gone. */
export function send(file, options, tell) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch cannot say how far an upload is
    request.open("POST", "v1/jobs");
    for (const [name, value] of Object.entries(CHANGE)) request.setRequestHeader(name, value);
    request.setRequestHeader("Idempotency-Key", file.key);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && tell(event.loaded / event.total);
    request.onerror = () => reject(new Error("the service does not answer"));
    request.onload = () => {
      if (request.status === 202) return resolve(request.response);
      const error = new Error(request.response?.detail || `${request.status}`);
      error.status = request.status;
      error.after = Number(request.getResponseHeader("Retry-After")) || 0;
      return reject(error);
    };
    request.send(form(file.blob, file.name, options));
  });
}

/** Every change of every job; the browser reconnects by itself and goes on where it was. */
export function listen({ job, gone, ids, lost }) {
  const source = new EventSource("v1/events");
  source.addEventListener("job", (event) => job(JSON.parse(event.data)));
  source.addEventListener("gone", (event) => gone(JSON.parse(event.data).id));
  source.addEventListener("ids", (event) => ids(JSON.parse(event.data)));
  source.onerror = () => lost(true);
  source.onopen = () => lost(false);
}
