// Light or dark: what the viewer chose, else what the system prefers.
// A classic script in the head, because a module would run after the first paint in the wrong colours.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");

  function paint() {
    root.dataset.theme = localStorage.getItem("lanecast.theme") ?? (system.matches ? "light" : "dark");
    document.dispatchEvent(new Event("themechange"));
  }

  document.addEventListener("themetoggle", () => {
    localStorage.setItem("lanecast.theme", root.dataset.theme === "light" ? "dark" : "light");
    paint();
  });
  system.addEventListener("change", paint);
  paint();
})();
