// Compare: filters, ranks and draws the figures the server gave; it computes no estimate.
// [data-compare] is the form with the sliders ([data-limit]: a place among the stops) and its value the address that
// gives the figures again when an assumption changes. Ranks, sentences, labels and classes all come with the figures;
// compressionhub/zoo/compare/ranking.py does the same for the first paint and for browsers without scripts.
const PAGE = 25;
const TOLD = 6;
const CHANGED = 3;
const NAMED = 12;
const NARROW_PX = 520;
const QUIET_MS = 400;
const WAIT_MS = 200;
const NOTHING = 0.0005; // of the bill: what is shown as 0.0 %

const form = document.querySelector("[data-compare]");
let data = null;
let shown = PAGE;
let announcing = 0;
let asking = 0;
let asked = 0;

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const piece = (name) => one(`template[data-of="${name}"]`)?.content.cloneNode(true) ?? "";
const count = (number) => number.toLocaleString("en-US");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// --- which rows hold the limits, and in what order

function limitsNow() {
  return data.limits.map((limit) => ({ ...limit, value: limit.stops[limit.at][0], label: limit.stops[limit.at][1] }));
}

// How far beyond a limit a figure lies, in widths of the slider.
function excess(limit, figure) {
  const width = Math.max(...limit.stops.map(([value]) => value ?? 0)) || 1;
  return figure === null ? Infinity : (figure - limit.value) / width;
}

function place(row, limits, money) {
  const over = limits.filter(({ key, value }) => value !== null && (row.limited[key] === null || row.limited[key] > value));
  const fit = money && row.share === null ? row.reason : over.length ? `over ${over[0].word}` : "within limits";
  return { row, over, fit, holds: !over.length && !(money && row.share === null) };
}

function placed(limits) {
  const money = data.rows.some((row) => row.share !== null);
  return data.rows.map((row) => place(row, limits, money)).sort((a, b) => b.holds - a.holds || a.row.ranks[data.order] - b.row.ranks[data.order]);
}

function sentence(found) {
  const best = found[0];
  if (best.holds && data.order === "saves" && (best.row.share ?? 0) < -NOTHING) return `No variant within these limits saves money. The nearest is ${best.row.name}: it ${best.row.says}`;
  if (best.holds) return `Choose ${best.row.name}: it ${best.row.says}`;
  const far = ({ row, over }) => over.reduce((sum, limit) => sum + excess(limit, row.limited[limit.key]), 0);
  const near = found.filter((each) => each.over.length).reduce((least, each) => (!least || far(each) < far(least) ? each : least), null);
  if (!near) return "No variant can be chosen: what each would cost is not known.";
  const told = near.over.map((limit) => `${limit.word} at ${near.row.texts[limit.column][0]}`);
  return `No variant holds all limits. The nearest miss is ${near.row.name}, over ${told.join(" and ")}.`;
}

// --- drawing

const percent = (value, [start, end]) => `${(Math.min(1, Math.max(0, (value - start) / (end - start))) * 100).toFixed(1)}%`;

// Only what differs is written: the same text again would lay the table out again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function set(element, values) {
  for (const [name, value] of Object.entries(values)) if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function show(element, value, attributes) {
  if (value === null || value === undefined) return set(element, { display: "none" });
  element.removeAttribute("display");
  set(element, attributes);
}

function drawBar(svg, key, row, line) {
  const [value, low, high, base] = row.spots[key];
  const axis = data.axes[key];
  if (value === null) return set(svg, { display: "none" });
  svg.removeAttribute("display");
  const [, zero, limit, before, band, dot] = svg.children;
  const at = (figure) => percent(figure, axis);
  const worse = row.worse.includes(key);
  const zeroAt = data.zeros[key];
  show(zero, zeroAt, { x1: at(zeroAt), x2: at(zeroAt) });
  show(limit, line, { x1: at(line), x2: at(line) });
  show(before, base, { cx: at(base) });
  const width = Math.max(0.8, parseFloat(at(high)) - parseFloat(at(low))).toFixed(1);
  show(band, low === null || high === null ? null : low, { x: at(low), width: `${width}%`, class: worse ? "wband" : "band" });
  show(dot, value, { cx: at(value), class: worse ? "wdot" : "dot" });
}

function lineOf(key, limits) {
  const limit = limits.find((each) => each.key === (key === "change" ? "loss" : key));
  return !limit || limit.value === null ? null : key === "change" ? -limit.value : limit.value;
}

function swap(holder, name) {
  if (holder.dataset.holds === name) return;
  holder.dataset.holds = name;
  holder.replaceChildren(name ? piece(name) : "");
}

function drawCells(element, row, limits) {
  for (const cell of element.querySelectorAll("[data-cell]")) {
    const key = cell.dataset.cell;
    const [figure, beside] = row.texts[key];
    write(one("[data-figure]", cell), figure);
    write(one("[data-beside]", cell), beside);
    const svg = one("svg.rb", cell);
    if (svg && row.spots[key]) drawBar(svg, key, row, lineOf(key, limits));
    const grade = one("[data-grade]", cell);
    if (grade) swap(grade, `grade-${row.grades[key] ?? "none"}`);
  }
}

function drawRow(element, { row, holds, fit }, limits, best) {
  set(element, { "data-row": row.id, "data-why-at": `${data.whyAt}${row.id}/variant/`, class: best ? "hi" : holds ? "" : "out" });
  const name = one("[data-name]", element);
  write(name, row.name);
  set(name, { href: row.url });
  write(one("[data-model]", element), row.model);
  write(one("[data-fit]", element), fit);
  swap(one("[data-mark]", element), `mark-${row.family}`);
  swap(one("[data-verdict]", element), `verdict-${row.verdict}`);
  drawCells(element, row, limits);
}

function drawTable(found, limits) {
  const body = one("[data-rows]");
  const blank = one("#compare-row").content.firstElementChild;
  const wanted = found.slice(0, shown);
  while (body.childElementCount > wanted.length) body.lastElementChild.remove();
  while (body.childElementCount < wanted.length) body.append(blank.cloneNode(true));
  wanted.forEach((each, at) => drawRow(body.children[at], each, limits, at === 0 && each.holds));
  const more = one("[data-more]");
  more.hidden = found.length <= shown;
  more.textContent = `Show ${count(Math.min(PAGE, found.length - shown))} more of ${count(found.length)}`;
}

function drawTold(found) {
  const list = one("[data-told]");
  const blank = one("#compare-said").content.firstElementChild;
  const wanted = found.slice(0, TOLD);
  while (list.childElementCount > wanted.length) list.lastElementChild.remove();
  while (list.childElementCount < wanted.length) list.append(blank.cloneNode(true));
  wanted.forEach(({ row, holds, fit }, at) => {
    const item = list.children[at];
    const link = one("a.plain", item);
    write(link, row.name);
    set(link, { href: row.url });
    write(one("[data-fit]", item), holds ? "" : fit);
    write(one("[data-says]", item), `${capital(row.says)} ${row.beside}`);
    const why = one("[data-why]", item);
    if (why && data.why) set(why, { href: data.why + row.id });
    else why?.remove();
  });
}

function twoLines(figure, under) {
  const cell = Object.assign(document.createElement("td"), { className: "n", textContent: figure });
  if (under) cell.append(Object.assign(document.createElement("span"), { className: "sub", textContent: under }));
  return cell;
}

function drawChanged(found) {
  const chosen = found.map((each) => each.row).filter((row) => row.changed).slice(0, CHANGED);
  const table = one("[data-changed] table");
  if (!table) return;
  const names = chosen.map((row) => Object.assign(document.createElement("th"), { scope: "col", className: "n", textContent: row.name }));
  table.tHead.rows[0].replaceChildren(table.tHead.rows[0].cells[0], ...names);
  [...table.tBodies[0].rows].forEach((line, at) => {
    const cells = chosen.map((row) => twoLines(...row.changed[at]));
    line.replaceChildren(line.cells[0], ...cells);
  });
}

// The best trade-offs among what holds the limits: nobody else is at least as fast and loses no more.
function front(found) {
  let least = Infinity;
  const kept = [];
  for (const each of [...found].sort((a, b) => a.row.ranks.fastest - b.row.ranks.fastest)) {
    if (each.row.limited.loss >= least) continue;
    least = each.row.limited.loss;
    kept.push(each);
  }
  return kept.reverse();
}

function drawScatter(found) {
  const chart = window.echarts?.getInstanceByDom(one("#compare-scatter"));
  if (!chart) return;
  const within = found.filter((each) => each.holds);
  const best = front(within);
  const roomy = chart.getWidth() >= NARROW_PX; // as in charts.js: no labels where there is no room
  const named = !roomy ? [] : within.length <= NAMED ? within : best;
  const point = ({ row }) => (row.point ??= [row.spots.speed[0], row.spots.change[0], row.name, row.url]);
  const points = { out: [], names: named.map(point), front: best.length > 1 ? best.map(point) : [] };
  for (const row of data.rows) points[row.family] ??= [];
  for (const each of found) points[each.holds ? each.row.family : "out"].push(point(each));
  chart.setOption({ animation: false, series: Object.entries(points).map(([id, rows]) => ({ id, data: rows })) });
}

// Screen readers hear the sentence once the slider rests.
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { one("[data-announce]").textContent = text; }, QUIET_MS);
}

function drawLimits(limits) {
  for (const limit of limits) {
    const slider = one(`[data-limit="${limit.key}"]`);
    slider.max = limit.stops.length - 1;
    slider.value = limit.at;
    slider.setAttribute("aria-valuetext", limit.label);
    write(one("[data-label]", slider.closest(".slide")), limit.label);
  }
}

// Report and approval of the one to choose.
function drawActs(found) {
  const best = found[0]?.holds ? found[0].row : null;
  const report = one("[data-report]");
  if (!report) return;
  report.setAttribute("href", report.dataset.report + (best?.id ?? ""));
  one("[data-act]").hidden = !best;
  if (!best) return;
  const act = one("[data-approval]");
  act.setAttribute("href", best.approval || report.dataset.report + best.id);
  act.textContent = best.approval ? form.dataset.approvalWord : "Ask for approval";
}

function draw() {
  const limits = limitsNow();
  const found = placed(limits);
  const text = sentence(found);
  drawLimits(limits);
  write(one("[data-sentence]"), text);
  one("[data-holding]").textContent = `${count(found.filter((each) => each.holds).length)} of ${count(found.length)} within limits`;
  drawTable(found, limits);
  drawActs(found);
  drawTold(found);
  drawChanged(found);
  drawScatter(found);
  announce(text);
}

// What one assumption changes beside the rows.
function drawAround() {
  one("h1").textContent = data.title;
  one("#compare-says").textContent = data.says;
  one("#compare-unknown").hidden = !data.unknown;
  one("[data-unknown]").textContent = data.unknown;
  const base = one("[data-baseline] tr");
  if (base && data.baseline) drawCells(base, { ...data.baseline, spots: {}, worse: [] }, []);
  const link = one("[data-savings]");
  if (link && data.savings) link.setAttribute("href", data.savings);
}

// --- the address holds selection, limits, order and assumptions, so that it can be sent to somebody

function query() {
  const found = new URLSearchParams(location.search);
  for (const limit of limitsNow()) found.set(limit.key, limit.value ?? "any");
  found.set("order", data.order);
  for (const field of all("[data-assumptions] [name]")) {
    if (!field.dataset.touched) continue;
    found.set(field.name, field.type === "checkbox" && !field.checked ? "" : field.value);
  }
  return found;
}

const remember = () => history.replaceState(history.state, "", `${location.pathname}?${query()}`);

// Another workload has other assumptions: none of those changed here is taken along.
function changeWorkload(chosen) {
  const found = query();
  for (const field of all("[data-assumptions] [name]")) found.delete(field.name);
  found.set("workload", chosen);
  location.assign(`${location.pathname}?${found}`);
}

function complain(text) {
  one("#compare-problem").hidden = !text;
  one("[data-problem]").textContent = text;
}

async function estimate() {
  const mine = ++asked;
  remember();
  const answer = await fetch(`${form.dataset.compare}?${query()}`, { credentials: "same-origin" }).catch(() => null);
  if (mine !== asked) return;
  if (!answer?.ok) return complain("The hub gave no figures for this assumption. Those below are of the assumptions before; try again.");
  const fresh = await answer.json();
  complain(fresh.problem);
  if (fresh.problem) return;
  data = fresh;
  drawAround();
  draw();
  document.dispatchEvent(new CustomEvent("hub:compared"));
}

function onInput(event) {
  const { target } = event;
  const limit = data.limits.find((each) => each.key === target.dataset.limit);
  if (limit) {
    limit.at = Number(target.value);
    return draw();
  }
  if (!target.closest("[data-assumptions]")) return;
  if (target.id === "workload") return changeWorkload(target.value);
  target.dataset.touched = "yes";
  clearTimeout(asking);
  asking = setTimeout(estimate, WAIT_MS);
}

function onChange(event) {
  if (event.target.id === "order") {
    data.order = event.target.value;
    draw();
  }
  remember();
}

export function wakeCompare() {
  if (!form) return;
  data = JSON.parse(one("#compare-data").textContent);
  form.addEventListener("input", onInput);
  form.addEventListener("change", onChange);
  form.addEventListener("submit", (event) => event.preventDefault());
  one("[data-more]").addEventListener("click", () => { shown += PAGE; draw(); });
  document.addEventListener("themechange", () => drawScatter(placed(limitsNow())));
  addEventListener("resize", () => drawScatter(placed(limitsNow())));
  document.fonts.ready.then(draw);
}

wakeCompare();
