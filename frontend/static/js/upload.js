// Sends a file in resumable chunks. [data-upload] is the form; data-endpoint, data-kind and data-model say what
// it becomes. Inside: input[type=file], [data-drop], [data-transfer] with its parts, [data-problem].
const CHUNK_BYTES = 8 * 2 ** 20;
const RETRY_MS = [0, 1000, 2000, 4000, 8000, 15000, 30000, 30000, 30000];
const LOST = "The connection was lost. The upload goes on by itself.";

const size = (bytes) => {
  const [divisor, unit] = bytes >= 1e9 ? [1e9, "GB"] : bytes >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
  return `${(bytes / divisor).toFixed(1)} ${unit}`;
};

const left = (seconds) => {
  if (seconds < 10) return "less than 10 s left";
  if (seconds < 60) return `about ${Math.round(seconds / 5) * 5} s left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${(seconds / 3600).toFixed(1)} h left`;
};

// What went wrong, in the hub's own words where it said any.
function problemOf(error) {
  const response = error.originalResponse;
  if (!response) return { title: "The hub cannot be reached.", detail: "What arrived is kept. Resume when the connection is back." };
  try {
    return JSON.parse(response.getBody());
  } catch {
    const refused = response.getStatus() === 403;
    return refused
      ? { title: "The hub refused the upload.", detail: "Your session may have ended. Reload the page and choose the same file." }
      : { title: `The hub answered with an error (${response.getStatus()}).`, detail: "What arrived is kept. Try to resume." };
  }
}

class Transfer {
  constructor(form) {
    this.form = form;
    this.part = (name) => form.querySelector(`[data-${name}]`);
    this.bar = form.querySelector("progress");
    this.told = -1;
  }

  show(text) {
    this.part("say").textContent = text;
  }

  problem(found) {
    const box = this.part("problem");
    box.hidden = !found;
    this.part("problem-title").textContent = found?.title ?? "";
    this.part("problem-detail").textContent = found?.detail ?? "";
    if (found) box.scrollIntoView({ block: "nearest" });
  }

  options(file) {
    const { endpoint, kind, model } = this.form.dataset;
    const field = (name) => this.form.elements[name]?.value.trim() ?? "";
    const metadata = { filename: file.name, kind, name: field("name"), model: model ?? "", target: field("target") };
    return {
      endpoint,
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_MS,
      headers: { "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value },
      metadata: Object.fromEntries(Object.entries(metadata).filter(([, value]) => value)),
      removeFingerprintOnSuccess: true,
      fingerprint: async () => ["hub", kind, model ?? "", file.name, file.size, file.lastModified].join("/"),
      onProgress: (sent, total) => this.progress(sent, total),
      onSuccess: (payload) => this.arrived(payload),
      onError: (error) => this.failed(error),
      onShouldRetry: (error, _, options) => this.retries(error, options),
    };
  }

  async start(file) {
    this.problem(null);
    this.file = file;
    this.upload = new tus.Upload(file, this.options(file));
    this.part("drop").hidden = true;
    this.part("transfer").hidden = false;
    this.part("name").textContent = file.name;
    const before = await this.upload.findPreviousUploads();
    if (before.length) this.upload.resumeFromPreviousUpload(before[0]);
    this.go(before.length ? "Asking how much has arrived…" : "Starting…");
  }

  go(text) {
    this.show(text);
    this.problem(null);
    this.since = null;
    this.isPaused = false;
    this.part("pause").textContent = "Pause";
    this.upload.start();
  }

  progress(sent, total) {
    const now = performance.now();
    this.since ??= { sent, now };
    const rate = (sent - this.since.sent) / ((now - this.since.now) / 1000 || 1);
    this.bar.max = total;
    this.bar.value = sent;
    const time = rate > 0 && now - this.since.now > 1500 ? `, ${left((total - sent) / rate)}` : "";
    this.show(`${size(sent)} of ${size(total)}${time}`);
    this.tell(Math.floor((10 * sent) / total));
  }

  // Screen readers hear every tenth, not every chunk.
  tell(tenth) {
    if (tenth === this.told) return;
    this.told = tenth;
    this.part("tell").textContent = `${tenth * 10} % sent`;
  }

  retries(error, options) {
    const status = error.originalResponse?.getStatus() ?? 0;
    const passing = status === 0 || status === 409 || status === 423 || status >= 500 && status !== 507;
    if (passing && options.retryDelays.length) this.show(LOST);
    return passing;
  }

  failed(error) {
    this.problem(problemOf(error));
    this.show("Stopped.");
    this.isPaused = true;
    this.part("pause").textContent = "Resume";
    if (!this.upload.url) this.reset(); // refused before the first byte: another file may be chosen
  }

  async arrived(payload) {
    this.show("Arrived. Opening its page…");
    const address = payload?.lastResponse?.getHeader("Content-Location") ?? (await this.becameWhat());
    location.assign(address ?? this.form.dataset.after);
  }

  // A file that was complete before is not sent again, so the last answer came to an older page.
  async becameWhat() {
    const answer = await fetch(this.upload.url, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
    return answer.headers.get("Content-Location");
  }

  async pause() {
    if (this.isPaused) return this.go("Asking how much has arrived…");
    this.isPaused = true;
    this.part("pause").textContent = "Resume";
    await this.upload.abort();
    this.show("Paused. What arrived is kept.");
  }

  async stop() {
    await this.upload.abort(true).catch(() => {});
    this.problem(null);
    this.reset();
  }

  reset() {
    this.part("drop").hidden = false;
    this.part("transfer").hidden = true;
    this.form.querySelector("input[type=file]").value = "";
  }
}

function wake(form) {
  if (form.dataset.awake) return;
  form.dataset.awake = "yes";
  const transfer = new Transfer(form);
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector("[data-drop]");
  const take = (files) => files.length && transfer.start(files[0]);
  form.addEventListener("submit", (event) => event.preventDefault());
  input.addEventListener("change", () => take(input.files));
  drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => (event.preventDefault(), drop.classList.remove("over"), take(event.dataTransfer.files)));
  form.querySelector("[data-pause]").addEventListener("click", () => transfer.pause());
  form.querySelector("[data-stop]").addEventListener("click", () => transfer.stop());
  take(input.files); // chosen before this module was there
  addEventListener("online", () => transfer.isPaused && transfer.upload?.url && transfer.go(LOST));
}

export const wakeUploads = () => document.querySelectorAll("[data-upload]").forEach(wake);

wakeUploads();
document.addEventListener("htmx:load", wakeUploads);
