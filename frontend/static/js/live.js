// Keeps a job's page up to date. [data-live] is the path of its socket, data-position the last event drawn,
// data-refresh the address that renders the page again. Messages are described in compressionhub/jobs/consumers.py.
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const POLL_MS = 5_000;
const MOST_LOG_LINES = 400;
const ENDED = new Set(["succeeded", "failed", "cancelled"]);

const page = () => document.querySelector("[data-live]");
const hasEnded = () => ENDED.has(page()?.dataset.state);

let socket = null;
let wait = FIRST_WAIT_MS;
let askedAfter = -1;
let lastMessage = 0;
let said = -1;

// --- drawing

function morph(element, html) {
  Idiomorph.morph(element, html, { morphStyle: "outerHTML" });
  const fresh = document.getElementById(element.id);
  if (fresh) htmx.process(fresh);
}

function drawParts(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const element = document.getElementById(`job-${name}`);
    if (element) morph(element, html);
  }
  document.dispatchEvent(new CustomEvent("hub:redrawn"));
}

function logLine(row) {
  const line = document.createElement("span");
  line.className = row.payload.level && row.payload.level !== "info" ? "line w" : "line";
  const time = document.createElement("b");
  time.textContent = new Date(row.at).toISOString().slice(11, 19);
  const step = Number.isInteger(row.payload.step) ? `step ${row.payload.step + 1}  ` : "";
  line.append(time, ` ${step}${row.payload.text}\n`);
  return line;
}

function drawLog(rows) {
  const log = document.getElementById("job-log");
  const lines = rows.filter((row) => row.type === "log");
  if (!log || !lines.length) return;
  document.getElementById("job-log-empty")?.remove();
  for (const row of lines) log.prepend(logLine(row));
  while (log.childElementCount > MOST_LOG_LINES) log.lastElementChild.remove();
}

// Screen readers hear every tenth percent, not every event.
function announceProgress() {
  const bar = document.querySelector("#job-progress progress.big");
  const tenth = bar ? Math.floor(bar.value / 10) * 10 : said;
  if (tenth === said) return;
  if (said >= 0) document.getElementById("job-said").textContent = `${tenth} percent done`;
  said = tenth;
}

function showConnection() {
  const place = document.querySelector("[data-live-state]");
  if (!place) return;
  const open = socket?.readyState === WebSocket.OPEN;
  const ago = Math.round((Date.now() - lastMessage) / 1000);
  place.hidden = false;
  place.textContent = open ? `live, last event ${ago} s ago` : "connecting again; asking every 5 s meanwhile";
}

// --- the page as a whole: when the state changes, buttons and layout do too

async function refresh() {
  const shown = page();
  if (!shown) return;
  const answer = await fetch(shown.dataset.refresh, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (answer.redirected || answer.status === 403 || answer.status === 404) return location.reload();
  if (answer.ok) morph(shown, await answer.text());
  document.dispatchEvent(new CustomEvent("hub:redrawn"));
}

// The side bar counts running jobs; it is drawn anew when this one changes its state.
async function refreshSideBar() {
  const bar = document.querySelector(".side-in");
  const answer = bar && (await fetch(page().dataset.refresh, { credentials: "same-origin" }));
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".side-in");
  if (fresh) Idiomorph.morph(bar, fresh, { morphStyle: "outerHTML" });
}

function renew() {
  refresh().then(refreshSideBar).catch(() => setTimeout(renew, POLL_MS));
}

// --- messages

function hasGap(rows, seen) {
  return rows.length > 0 && rows[0].position > seen + 1 && !hasEnded();
}

function take(message) {
  const shown = page();
  if (!shown) return;
  lastMessage = Date.now();
  const seen = Number(shown.dataset.position);
  const rows = message.rows.filter((row) => row.position > seen);
  if (message.type === "rows" && hasGap(rows, seen) && askedAfter !== seen) {
    askedAfter = seen;
    socket.send(JSON.stringify({ type: "after", position: seen }));
    return;
  }
  shown.dataset.position = Math.max(seen, message.position, ...rows.map((row) => row.position));
  drawLog(rows);
  const changed = message.state && message.state !== shown.dataset.state;
  if (changed) shown.dataset.state = message.state;
  if (changed || !hasEnded()) drawParts(message.parts);
  if (changed) renew();
  announceProgress();
  showConnection();
}

// --- the socket

function connect() {
  const shown = page();
  if (!shown) return;
  const url = new URL(`${shown.dataset.live}?after=${shown.dataset.position}`, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url);
  socket.addEventListener("open", () => { wait = FIRST_WAIT_MS; });
  socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
  socket.addEventListener("close", again);
}

function again(event) {
  if (event.code === 4401 || event.code === 4404) return location.reload();
  showConnection();
  setTimeout(connect, wait * (0.8 + Math.random() * 0.4));
  wait = Math.min(LONGEST_WAIT_MS, wait * 2);
}

function pollWithoutSocket() {
  if (socket?.readyState !== WebSocket.OPEN && !hasEnded() && document.visibilityState === "visible") refresh().catch(() => {});
}

export function wakeLive() {
  if (!page()) return;
  lastMessage = Date.now();
  connect();
  setInterval(pollWithoutSocket, POLL_MS);
  setInterval(showConnection, 1000);
}

wakeLive();
