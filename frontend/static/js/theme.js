// The switch between light and dark. Says "themechange" on the document, so that charts can redraw.
const root = document.documentElement;

export function wakeTheme() {
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.bsTheme);
    document.dispatchEvent(new CustomEvent("themechange"));
  });
}
