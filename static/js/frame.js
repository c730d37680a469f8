/** One flush a frame: whatever arrives between two frames, a panel is drawn once. */
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
    for (const panel of panels) {
      const isMoving = panel.isShown && panel.draw(nowMs);
      if (isMoving) this.mark(panel);
    }
  }
}
