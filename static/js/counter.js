/**
 * A number that runs from one update to the next at the pace of the updates, instead of jumping every few
 * seconds.
 */
import { write } from "./dom.js";
import { NONE } from "./text.js";

const FIRST_RUN_MS = 600;
const LONGEST_RUN_MS = 10_000;

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Counter {
  #element;
  #format;
  #from = 0;
  #target = null;
  #startedMs = 0;
  #durationMs = 0;

  /** `format(value)` makes the text. */
  constructor(element, format) {
    this.#element = element;
    this.#format = format;
  }

  /** Run towards `target`; true while there is way to go. Null is not known, and shown as a dash. */
  draw(target, nowMs) {
    if (target === null) {
      write(this.#element, NONE);
      return false;
    }
    if (target !== this.#target) this.#aim(target, nowMs);
    write(this.#element, this.#format(this.#valueAt(nowMs)));
    return nowMs < this.#startedMs + this.#durationMs;
  }

  #aim(target, nowMs) {
    const isFirst = this.#target === null;
    this.#from = isFirst ? 0 : this.#valueAt(nowMs);
    const pauseMs = isFirst ? FIRST_RUN_MS : Math.min(nowMs - this.#startedMs, LONGEST_RUN_MS);
    this.#durationMs = calm.matches ? 0 : pauseMs;
    this.#startedMs = nowMs;
    this.#target = target;
  }

  #valueAt(nowMs) {
    if (this.#durationMs === 0) return this.#target;
    const share = Math.min(1, (nowMs - this.#startedMs) / this.#durationMs);
    return this.#from + (this.#target - this.#from) * share;
  }
}
