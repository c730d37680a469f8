/**
 * One flush a frame: whatever arrives between two frames, a panel is drawn once, and one that fails stops
 * no other. A panel that changes faster than one can read is drawn once a beat, and all that wait, in the same frame,
 * as far as its time goes. On a slow machine drawing so has its share of the time, and what one does with the page
 * the rest.
 */

/** For all scripts of a frame: the browser takes several times as long to lay out and paint what they have changed. */
const BUDGET_MS = 4;
/** How many times as long as a frame took, layout and paint included, what may wait then rests. */
const REST = 5;
/** At most: a frame in which the machine slept took hours. */
const LONGEST_REST_MS = 2_000;

export class Frame {
  /** What waits, longest first, and whether it is urgent: then it waits for no beat and no rest. */
  #dirty = new Map();
  #isScheduled = false;
  /** In which beat a panel was drawn last. */
  #beats = new WeakMap();
  #restedMs = 0;

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
    const startMs = performance.now();
    const endMs = startMs + (startMs < this.#restedMs ? 0 : BUDGET_MS);
    // What is urgent costs the rest no rest: a run of fills must not hold the book up.
    let isDrawn = false;
    for (const [panel, isUrgent] of [...this.#dirty]) {
      const beat = Math.floor(nowMs / panel.beatMs);
      if (!isUrgent && (beat === this.#beats.get(panel) || performance.now() >= endMs)) continue;
      this.#beats.set(panel, beat);
      this.#draw(panel, nowMs);
      isDrawn ||= !isUrgent;
    }
    // A timer that is set in a frame comes once that is painted.
    if (isDrawn) setTimeout(() => this.#rest(performance.now() - startMs));
    if (this.#dirty.size) this.#schedule();
  }

  #rest(tookMs) {
    this.#restedMs = performance.now() + Math.min(tookMs * REST, LONGEST_REST_MS);
  }

  #draw(panel, nowMs) {
    this.#dirty.delete(panel);
    if (!panel.isShown) return;
    try {
      if (panel.draw(nowMs)) this.mark(panel);
    } catch (error) {
      reportError(error);
    }
  }
}
