/**
 * One flush a frame: whatever arrives between two frames, a panel is drawn once, and one that fails stops
 * no other. A panel that changes faster than one can read is drawn once a beat, and all that wait, in the same frame,
 * as far as its time goes: the rest comes first in the next one.
 */

/** For all scripts of a frame: the browser takes several times as long to lay out and paint what they have changed. */
const BUDGET_MS = 4;

export class Frame {
  /** What waits, longest first, and whether it may wait for its beat. */
  #dirty = new Map();
  #isScheduled = false;
  /** In which beat a panel was drawn last. */
  #beats = new WeakMap();

  /** Draw `panel` in its next beat, in the next frame if `isUrgent`, if it is shown by then. */
  mark(panel, isUrgent = false) {
    this.#dirty.set(panel, isUrgent || this.#dirty.get(panel));
    this.#schedule();
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame((nowMs) => this.#flush(nowMs));
  }

  #flush(nowMs) {
    this.#isScheduled = false;
    const endMs = performance.now() + BUDGET_MS;
    for (const [panel, isUrgent] of [...this.#dirty])
      if (isUrgent || (this.#isDue(panel, nowMs) && performance.now() < endMs)) this.#draw(panel, nowMs);
    if (this.#dirty.size) this.#schedule();
  }

  #isDue(panel, nowMs) {
    return beatOf(panel, nowMs) !== this.#beats.get(panel);
  }

  #draw(panel, nowMs) {
    this.#dirty.delete(panel);
    this.#beats.set(panel, beatOf(panel, nowMs));
    if (!panel.isShown) return;
    try {
      if (panel.draw(nowMs)) this.mark(panel);
    } catch (error) {
      reportError(error);
    }
  }
}

function beatOf({ beatMs }, nowMs) {
  return Math.floor(nowMs / beatMs);
}
