// The zoo's selection for Compare: boxes named "v" that belong to the form #pick, kept while filters and pages change.
const form = document.getElementById("pick");
const picked = new Set();

const boxes = () => [...document.querySelectorAll('input[type=checkbox][form="pick"]')];

function say() {
  const label = document.querySelector("[data-pick-label]");
  if (label) label.textContent = picked.size ? `Compare ${picked.size} selected` : "Compare all";
}

// What is picked but not on this page of the list travels in hidden fields.
function keep() {
  const here = new Set(boxes().map((box) => box.value));
  boxes().forEach((box) => { box.checked = picked.has(box.value); });
  const away = [...picked].filter((value) => !here.has(value));
  form.replaceChildren(...away.map((value) => Object.assign(document.createElement("input"), { type: "hidden", name: "v", value })));
  say();
}

function onChange(event) {
  const box = event.target;
  if (box.getAttribute("form") !== "pick") return;
  event.stopPropagation(); // the filters around it send themselves at every change
  if (box.checked) picked.add(box.value);
  else picked.delete(box.value);
  say();
}

export function wakePick() {
  if (!form) return;
  for (const field of [...boxes().filter((box) => box.checked), ...form.querySelectorAll("[name=v]")]) picked.add(field.value);
  say();
  document.addEventListener("change", onChange, true);
  document.addEventListener("htmx:afterSettle", keep);
}

wakePick();
