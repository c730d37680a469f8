/**
 * One flush a frame: whatever arrives between two frames, a panel is drawn once, and one that fails stops
 * no other.
 */
export class Frame {
  #dirty = new Set();
  #isScheduled = false;

  /** Draw `panel` in the next frame, if it is shown by then. */
  mark(panel) {
    this.#dirty.add(panel);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame((nowMs) => this.#flush(nowMs));
  }

  #flush(nowMs) {
    const panels = [...this.#dirty];
    this.#dirty.clear();
    this.#isScheduled = false;
    for (const panel of panels) if (panel.isShown) this.#draw(panel, nowMs);
  }

  #draw(panel, nowMs) {
    try {
      if (panel.draw(nowMs)) this.mark(panel);
    } catch (error) {
      reportError(error);
    }
  }
}
