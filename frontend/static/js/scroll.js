// What scrolls sideways can be reached by keyboard: .scroll gets a tab stop while it overflows.
function update(element) {
  if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  else element.removeAttribute("tabindex");
}

const updateAll = () => document.querySelectorAll(".scroll").forEach(update);

export function wakeScroll() {
  updateAll();
  addEventListener("resize", updateAll);
  document.addEventListener("htmx:afterSettle", updateAll);
  document.addEventListener("hub:redrawn", updateAll);
}
