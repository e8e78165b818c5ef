// What a figure rests on, where a table has very many: pressing its class ([data-asks]) asks for it, and the answer
// stands in the one popover they share. The address is that of the row ([data-why-at]) and the figure's name, with the
// page's own query, which holds changed assumptions.
const FAILED = "The hub gave no answer. Close this and press again.";

function ask(button, told) {
  const query = new URLSearchParams(location.search);
  query.delete("v"); // a selection may be long and says nothing about one figure
  told.textContent = "Asking …";
  const address = `${button.closest("[data-why-at]").dataset.whyAt}${button.dataset.asks}/?${query}`;
  htmx.ajax("GET", address, { source: told, target: told, swap: "innerHTML" });
}

export function wakeWhy() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-asks]");
    if (button) ask(button, document.querySelector("[data-told-why]"));
  });
  for (const fault of ["htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(fault, ({ target }) => { if (target.matches("[data-told-why]")) target.textContent = FAILED; });
  }
}
