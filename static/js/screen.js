/**
 * What is on the screen: in the viewport, in a tab that is looked at, and not covered by a full-width
 * drawer.
 */
export class Screen {
  #elements = new Map();
  #cover = null;
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

  /** Say that `element` hides everything else, or with null that nothing does. */
  cover(element) {
    this.#cover = element;
    this.#tell();
  }

  #tell() {
    for (const [element, seen] of this.#elements) {
      const isCovered = this.#cover !== null && this.#cover !== element;
      const isShown = seen.isInView && !isCovered && !document.hidden;
      if (isShown === seen.isShown) continue;
      seen.isShown = isShown;
      seen.onShown(isShown);
    }
  }
}
