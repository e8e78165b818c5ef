// Destructive acts ask first. data-confirm="Cancel job #12?" on a form, button or link;
// data-confirm-text adds a sentence, data-confirm-yes names the act. Works for htmx requests too.
const dialog = () => document.getElementById("ask");

function ask(element) {
  const box = dialog();
  box.querySelector("#ask-title").textContent = element.dataset.confirm;
  box.querySelector("[data-ask-text]").textContent = element.dataset.confirmText ?? "";
  box.querySelector("[data-ask-yes]").textContent = element.dataset.confirmYes ?? element.textContent.trim();
  box.returnValue = "";
  box.showModal();
  return new Promise((answer) => box.addEventListener("close", () => answer(box.returnValue === "yes"), { once: true }));
}

async function onSubmit(event) {
  const form = event.target;
  const asking = event.submitter?.closest("[data-confirm]") ?? (form.dataset.confirm ? form : null);
  if (!asking || asking.dataset.confirmed || form.closest("[hx-post], [hx-delete]")) return;
  event.preventDefault();
  if (!(await ask(asking))) return;
  asking.dataset.confirmed = "yes";
  form.requestSubmit(event.submitter ?? undefined);
  delete asking.dataset.confirmed;
}

async function onHtmxConfirm(event) {
  const asking = event.target.closest("[data-confirm]");
  if (!asking) return;
  event.preventDefault();
  if (await ask(asking)) event.detail.issueRequest(true);
}

export function wakeConfirm() {
  document.addEventListener("submit", onSubmit, true);
  document.addEventListener("htmx:confirm", onHtmxConfirm);
}
