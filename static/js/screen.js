/** What is on the screen: in the viewport, and in a tab that is looked at. */
export class Screen {
  #elements = new Map();
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#elements.get(target).isInView = isIntersecting;
    this.#tell();
  });

  constructor() {
    document.addEventListener("visibilitychange", () => this.#tell());
  }

  /** Call `onShown(isShown)` whenever that changes for `element`. */
  observe(element, onShown) {
    this.#elements.set(element, { isInView: false, isShown: false, onShown });
    this.#observer.observe(element);
  }

  #tell() {
    for (const [element, seen] of this.#elements) {
      const isShown = seen.isInView && !document.hidden;
      if (isShown === seen.isShown) continue;
      seen.isShown = isShown;
      seen.onShown(isShown);
    }
  }
}
