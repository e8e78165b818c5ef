// data-copy="#id" copies the text of that element.
import { toast } from "./toast.js";

const written = (button) => document.querySelector(button.dataset.copy)?.textContent.trim() ?? "";

async function put(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text }); // plain http has no clipboard
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function wakeCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await put(written(button));
    toast("Copied.");
  });
}
