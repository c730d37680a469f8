/**
 * The last trades of a channel, in columns: row `seq` sits in slot `seq % capacity`, so that a new
 * trade moves nothing. What never arrived is a row of its own, told by the gap in the offsets.
 */
import { Stream } from "./stream.js";

const HISTORY_TRADES = 300;

const BUY = 0;
export const SELL = 1;
export const GAP = 2;

export class Tape extends Stream {
  /** The row after the newest; rows count from 0 and are never renumbered. */
  end = 0;
  historySize = HISTORY_TRADES;
  markets = [];
  prices = [];
  sizes = [];
  times = [];
  sides = [];
  #market;

  /** `market` is whose trades they are where a trade does not say it. */
  constructor(capacity, market = null) {
    super();
    this.capacity = capacity;
    this.#market = market;
  }

  get start() {
    return Math.max(0, this.end - this.capacity);
  }

  /** What never arrived is a row of its own. */
  skip(missing, trade) {
    this.#put("", "", String(missing), trade?.time, GAP);
  }

  add(trade) {
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
