// Draws every [data-chart]: its value is the id of a JSON block that holds an ECharts option.
// "$accent" is a token, "$accent/band" the token at band opacity, "$fmt:points" a way to write figures.
const root = document.documentElement;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const NARROW_PX = 520;

const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const thousands = (value) => Number(value).toLocaleString("en-US");
const signed = (value, places) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(places);
const size = (value) => {
  if (!value) return "0";
  const step = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "bytes"];
  return `${Number((value / step[0]).toPrecision(3))} ${step[1]}`;
};
const short = (value) => {
  const step = value >= 1e9 ? [1e9, " B"] : value >= 1e6 ? [1e6, " M"] : value >= 1e3 ? [1e3, " k"] : [1, ""];
  return `${Number((value / step[0]).toPrecision(3))}${step[1]}`;
};
const formats = {
  points: (value) => (Number(value) === 0 ? "0.0" : signed(value, 1)),
  times: (value) => `${value}×`,
  percent: (value) => `${Number(Number(value).toFixed(2))} %`,
  ms: (value) => (Number(value) ? `${Number(Number(value).toPrecision(3))} ms` : "0"),
  plain: thousands,
  short,
  bytes: size,
  name: (point) => told(point).name || "",
  // A point that carries its own sentence: data: {value, name, tip}. Plain text, so that nothing a person typed becomes markup.
  tip: (point) => told(point).tip || told(point).name || "",
};

// One of very many points is a plain row: where it stands, then its name and address.
function told({ data }) {
  return Array.isArray(data) ? { name: data[2], url: data[3] } : data ?? {};
}

function resolve(option) {
  if (Array.isArray(option)) return option.map(resolve);
  if (option && typeof option === "object") return Object.fromEntries(Object.entries(option).map(([key, value]) => [key, resolve(value)]));
  if (typeof option !== "string" || !/^\$(fmt:)?[a-z]/.test(option)) return option;
  if (option.startsWith("$fmt:")) return formats[option.slice(5)];
  const [name, alpha] = option.slice(1).split("/");
  const hue = token(`--${name}`);
  if (!alpha) return hue;
  const share = alpha === "band" ? Number(token("--band")) : Number(alpha);
  return hue + Math.round(share * 255).toString(16).padStart(2, "0");
}

const isPlain = (value) => value && typeof value === "object" && !Array.isArray(value);
const merge = (base, over) =>
  !isPlain(over) ? over : { ...base, ...Object.fromEntries(Object.entries(over).map(([key, value]) => [key, isPlain(base?.[key]) ? merge(base[key], value) : value])) };

const AXIS = {
  axisLine: { lineStyle: { color: "$line-2" } }, axisTick: { show: false }, splitLine: { lineStyle: { color: "$line" } },
  axisLabel: { color: "$ink-3", fontSize: 12 }, nameTextStyle: { color: "$ink-3", fontSize: 12 },
};
// Tooltips are drawn on the canvas: as HTML they would need style attributes, which the page forbids.
const TOOLTIP = {
  renderMode: "richText", confine: true, backgroundColor: "$surface", borderColor: "$line-2", textStyle: { color: "$ink", fontSize: 12 },
  axisPointer: { lineStyle: { color: "$line-2" } },
};

function full(option, width) {
  const { narrow, ...wide } = option;
  const both = width < NARROW_PX && narrow ? merge(wide, narrow) : wide;
  if (both.plain) both.series = both.series.map(({ endLabel, label, ...rest }) => rest); // no room for direct labels
  delete both.plain;
  for (const axis of ["xAxis", "yAxis"]) if (both[axis]) both[axis] = [both[axis]].flat().map((one) => merge(AXIS, one));
  if (both.tooltip) both.tooltip = merge(TOOLTIP, both.tooltip);
  return both;
}

function draw(element) {
  const block = document.getElementById(element.dataset.chart);
  if (!block || !element.clientWidth) return;
  const drawn = echarts.getInstanceByDom(element);
  const asked = block.textContent + root.dataset.bsTheme + (element.clientWidth < NARROW_PX);
  if (drawn && element.drawnFrom === asked) return;
  const chart = drawn ?? echarts.init(element);
  const text = { fontFamily: getComputedStyle(document.body).fontFamily, color: "$ink-2" };
  chart.setOption(resolve({ animation: !drawn && !still.matches, textStyle: text, ...full(JSON.parse(block.textContent), element.clientWidth) }), true);
  if (!drawn) chart.on("click", (point) => told(point).url && location.assign(told(point).url));
  element.drawnFrom = asked;
}

const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);

function resize() {
  document.querySelectorAll("[data-chart]").forEach((element) => {
    echarts.getInstanceByDom(element)?.resize();
    draw(element);
  });
}

function forget(event) {
  event.target.querySelectorAll?.("[data-chart]").forEach((element) => echarts.getInstanceByDom(element)?.dispose());
}

export function wakeCharts() {
  // A morph keeps a drawn chart and only renews the JSON beside it: no flicker while a job runs.
  const callbacks = window.Idiomorph?.defaults.callbacks;
  if (callbacks) callbacks.beforeNodeMorphed = (old, fresh) => !(old.dataset?.chart && old.dataset.chart === fresh.dataset?.chart);
  document.addEventListener("themechange", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  document.addEventListener("hub:redrawn", drawAll);
  document.addEventListener("toggle", drawAll, true);
  document.addEventListener("htmx:beforeCleanupElement", forget);
  addEventListener("resize", resize);
  document.fonts.ready.then(drawAll);
}
