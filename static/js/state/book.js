/**
 * An order book as it arrives: whole, then absolute sizes by price.
 * Prices are compared as numbers for their order only; what is shown is the exact text that came.
 */
import { applyPatch } from "../patch.js";

/** One side, best price first, kept sorted by binary insertion. */
class Side {
  prices = [];
  texts = [];
  sizes = [];
  #direction;

  /** `direction` is 1 for asks (lowest first) and -1 for bids (highest first). */
  constructor(direction) {
    this.#direction = direction;
  }

  get length() {
    return this.prices.length;
  }

  set(text, size) {
    const price = Number(text);
    const at = this.#find(price);
    if (this.prices[at] === price) {
      this.sizes[at] = size;
      return;
    }
    this.prices.splice(at, 0, price);
    this.texts.splice(at, 0, text);
    this.sizes.splice(at, 0, size);
  }

  delete(text) {
    const price = Number(text);
    const at = this.#find(price);
    if (this.prices[at] !== price) return;
    for (const column of [this.prices, this.texts, this.sizes]) column.splice(at, 1);
  }

  #find(price) {
    let low = 0;
    let high = this.prices.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.prices[middle] - price) * this.#direction < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class Book {
  whole(data) {
    this.bids = new Side(-1);
    this.asks = new Side(1);
    this.change(data);
    // The feed may have been silent for long; until it speaks, only the payload tells since when.
    if (Number.isFinite(data?.time)) this.arrivedMs = Math.min(this.arrivedMs, data.time);
  }

  /** `arrivedMs` is the page's own time of the last change: a book's age must not depend on two clocks. */
  change(data) {
    applyPatch(this, data);
    this.arrivedMs = Date.now();
  }

  bids = new Side(-1);
  asks = new Side(1);
  status = null;
  since = null;
  arrivedMs = null;
}
