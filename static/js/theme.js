// Light or dark: what the viewer chose, else what the system prefers.
// A classic script in the head, because a module would run after the first paint in the wrong colours.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");

  let chosen = null;
  // Where the browser forbids to keep anything, the choice lasts as long as the page.
  try {
    chosen = localStorage.getItem("lanecast.theme");
  } catch {}

  function paint() {
    root.dataset.theme = chosen ?? (system.matches ? "light" : "dark");
    document.dispatchEvent(new Event("themechange"));
  }

  document.addEventListener("themetoggle", () => {
    chosen = root.dataset.theme === "light" ? "dark" : "light";
    paint();
    try {
      localStorage.setItem("lanecast.theme", chosen);
    } catch {}
  });
  system.addEventListener("change", paint);
  paint();
})();
