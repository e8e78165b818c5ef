// The recipe builder beside its server-drawn form: drag to reorder, close a popover after its choice.
// [data-sortable] holds [data-sortable-item]s, each with a [data-grip]; a drop sends the form.

let dragged = null;

const send = (form) => form.requestSubmit();

function begin(event) {
  const grip = event.target.closest("[data-grip]");
  const item = grip?.closest("[data-sortable-item]");
  if (!item || event.button > 0) return;
  event.preventDefault();
  dragged = { item, from: [...item.parentElement.children].indexOf(item), pointer: event.pointerId };
  item.classList.add("dragged");
  item.setPointerCapture(event.pointerId);
}

function move(event) {
  if (!dragged) return;
  const { item } = dragged;
  for (const other of item.parentElement.children) {
    if (other === item) continue;
    const box = other.getBoundingClientRect();
    const before = event.clientY < box.top + box.height / 2;
    if (event.clientY < box.top || event.clientY > box.bottom) continue;
    item.parentElement.insertBefore(item, before ? other : other.nextSibling);
    return;
  }
}

function end() {
  if (!dragged) return;
  const { item, from } = dragged;
  dragged = null;
  item.classList.remove("dragged");
  if ([...item.parentElement.children].indexOf(item) !== from) send(item.closest("form"));
}

function closeAfterChoice(event) {
  const button = event.target.closest("[data-closes]");
  // After the click has submitted the form; hiding at once would take the button out of the form's reach.
  if (button) setTimeout(() => button.closest("[popover]")?.hidePopover(), 0);
}

export function wakeRecipe() {
  Idiomorph.defaults.ignoreActiveValue = true; // an answer never overwrites what is being typed
  document.addEventListener("pointerdown", begin);
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", end);
  document.addEventListener("click", closeAfterChoice);
}

wakeRecipe();
