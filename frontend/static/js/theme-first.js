// Loaded before the page is drawn, so that it never flashes in the wrong theme; the switch is in theme.js.
document.documentElement.dataset.bsTheme =
  localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
