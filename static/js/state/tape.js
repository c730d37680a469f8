/**
 * The last trades of a channel, in columns: row `seq` sits in slot `seq % capacity`, so that a new
 * trade moves nothing. What never arrived is a row of its own, told by the gap in the offsets.
 */
const HISTORY_TRADES = 300;

export const BUY = 0;
export const SELL = 1;
export const GAP = 2;

export class Tape {
  /** The row after the newest; rows count from 0 and are never renumbered. */
  end = 0;
  historySize = HISTORY_TRADES;
  markets = [];
  prices = [];
  sizes = [];
  times = [];
  sides = [];
  #offset = 0;
  #epoch = null;
  #held = null;
  #market;

  /** `market` is whose trades they are where a trade does not say it. */
  constructor(capacity, market = null) {
    this.capacity = capacity;
    this.#market = market;
  }

  get start() {
    return Math.max(0, this.end - this.capacity);
  }

  /** Trades have no whole; their history comes through `fill`. */
  whole() {}

  /** Keep what arrives until the history is there, so that rows stay in order. */
  hold() {
    this.#held = [];
  }

  /** Add the history (newest first, `epoch` null when there was none to be had) and what was held. */
  fill(publications, epoch) {
    if (epoch !== this.#epoch) this.#offset = 0;
    this.#epoch = epoch;
    const held = this.#held ?? [];
    this.#held = null;
    for (let at = publications.length - 1; at >= 0; at--)
      this.change(publications[at].data, publications[at].offset);
    for (const { trade, offset } of held) this.change(trade, offset);
  }

  change(trade, offset) {
    if (this.#held) this.#held.push({ trade, offset });
    else if (offset === undefined) this.#add(trade);
    else if (offset > this.#offset) this.#follow(trade, offset);
  }

  #follow(trade, offset) {
    const missing = offset - this.#offset - 1;
    if (this.#offset > 0 && missing > 0) this.#put("", "", String(missing), trade?.time, GAP);
    this.#offset = offset;
    this.#add(trade);
  }

  #add(trade) {
    const market = trade?.market ?? this.#market;
    if (!market || !isTrade(trade)) return;
    this.#put(market, trade.price, trade.size, trade.time, trade.side === "buy" ? BUY : SELL);
  }

  #put(market, price, size, time, side) {
    const slot = this.end++ % this.capacity;
    this.markets[slot] = market;
    this.prices[slot] = price;
    this.sizes[slot] = size;
    this.times[slot] = time;
    this.sides[slot] = side;
  }
}

/** Anyone with the API's key publishes here: what has no price, size and time is not shown. */
function isTrade(trade) {
  return [trade?.price, trade?.size].every((text) => typeof text === "string") && Number.isFinite(trade.time);
}
