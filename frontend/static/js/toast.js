// One line that leaves after 6 s. The server renders toasts into #toasts; scripts call toast(text).
const STAYS_MS = 6000;

const leaveLater = (element) => setTimeout(() => element.remove(), STAYS_MS);

export function toast(text) {
  const line = document.createElement("div");
  line.className = "toast-1";
  line.textContent = text;
  document.getElementById("toasts").append(line);
  leaveLater(line);
}

export function wakeToasts() {
  document.querySelectorAll("[data-toast]").forEach(leaveLater);
  document.addEventListener("hub:toast", (event) => toast(event.detail.value ?? event.detail));
}
