/**
 * One flush a frame: whatever arrives between two frames, a panel is drawn once, and one that fails stops
 * no other. A panel that changes faster than one can read is drawn once a beat, and all that wait, in the same frame.
 */
export class Frame {
  #dirty = new Set();
  #isScheduled = false;
  /** In which beat a panel was drawn last. */
  #beats = new WeakMap();

  /** Draw `panel` in its next beat, at once if `isMoved` by the viewer's hand, if it is shown by then. */
  mark(panel, isMoved = false) {
    if (isMoved) this.#beats.delete(panel);
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
    const beat = Math.floor(nowMs / panel.beatMs);
    if (beat === this.#beats.get(panel)) return this.mark(panel);
    this.#beats.set(panel, beat);
    try {
      if (panel.draw(nowMs)) this.mark(panel);
    } catch (error) {
      reportError(error);
    }
  }
}
