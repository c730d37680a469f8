/**
 * A scrolling view of a tape, newest on top, that holds as many rows as fit and reuses them.
 * Scrolled away or paused, it stays at the row it showed on top: new trades never move what is read.
 */
import { make, show, tag, write, writeMarket } from "../dom.js";
import { clockText, wholeText } from "../text.js";
import { GAP, SELL } from "../state/tape.js";

const ROW_PX = 20;
const SPARE_ROWS = 4;
/** Rows after which the strip starts anew: positions beyond millions of pixels lose their precision. */
const STRIP_ROWS = 20_000;

export class TapeList {
  isPaused = false;
  #list;
  #spacer = make("div", "spacer");
  /** Holds the rows and is moved as one, so that a new trade repaints its own row and no other. */
  #strip = make("div", "strip");
  /** The row that begins at the strip's own top; older ones lie below it, newer ones above. */
  #base = 0;
  #rows = [];
  #newer;
  #onMove;
  #scrollTop = 0;
  /** The row after the top one while the list stays at its place, null while it follows the newest. */
  #heldEnd = null;
  #drawnEnd = 0;
  #drawnHeight = 0;

  /** `list` scrolls, `newer` is the button back to the newest row; `onMove` asks for a drawing. */
  constructor(list, newer, onMove) {
    this.#list = list;
    this.#newer = newer;
    this.#onMove = onMove;
    list.style.setProperty("--row-height", `${ROW_PX}px`);
    list.append(this.#spacer, this.#strip);
    list.addEventListener("scroll", () => this.#scroll(list.scrollTop), { passive: true });
    newer.addEventListener("click", () => this.toNewest());
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.height)).observe(list);
  }

  /** Follow the newest row again. */
  toNewest() {
    this.isPaused = false;
    this.#heldEnd = null;
    this.#list.scrollTop = 0;
    this.#onMove();
  }

  pause() {
    this.isPaused = true;
    this.#heldEnd ??= this.#drawnEnd;
    this.#onMove();
  }

  draw(tape) {
    const end = Math.max(this.#heldEnd ?? tape.end, tape.start);
    this.#drawnEnd = end;
    this.#stretch(end - tape.start);
    this.#drawNewer(tape.end - end);
    this.#moveStrip(end);
    const top = end - 1 - Math.max(0, Math.floor(this.#scrollTop / ROW_PX) - SPARE_ROWS);
    for (let seq = top; seq > top - this.#rows.length; seq--) this.#drawRow(tape, seq);
  }

  /** Forget the place; the next drawing is of another tape. */
  reset() {
    this.#base = 0;
    this.#emptyRows();
    this.toNewest();
  }

  #scroll(scrollTop) {
    this.#scrollTop = scrollTop;
    if (scrollTop >= ROW_PX) this.#heldEnd ??= this.#drawnEnd;
    else if (!this.isPaused) this.#heldEnd = null;
    this.#onMove();
  }

  #resize(height) {
    const count = Math.ceil(height / ROW_PX) + 2 * SPARE_ROWS;
    if (count === this.#rows.length) return;
    for (const row of this.#rows) row.element.remove();
    this.#rows = Array.from({ length: count }, makeTapeRow);
    this.#strip.append(...this.#rows.map((row) => row.element));
    this.#onMove();
  }

  #emptyRows() {
    for (const row of this.#rows) row.seq = -1;
  }

  #moveStrip(end) {
    if (Math.abs(end - this.#base) > STRIP_ROWS) {
      this.#base = end;
      this.#emptyRows();
    }
    this.#strip.style.transform = `translateY(${(end - 1 - this.#base) * ROW_PX}px)`;
  }

  #stretch(count) {
    const height = count * ROW_PX;
    if (height === this.#drawnHeight) return;
    this.#drawnHeight = height;
    this.#spacer.style.height = `${height}px`;
  }

  #drawNewer(count) {
    show(this.#newer, count > 0);
    if (count > 0) write(this.#newer, `↑ ${wholeText(count)} newer`);
  }

  #drawRow(tape, seq) {
    const count = this.#rows.length;
    const row = this.#rows[((seq % count) + count) % count];
    show(row.element, seq >= tape.start);
    if (seq < tape.start || row.seq === seq) return;
    row.element.style.top = `${(this.#base - seq) * ROW_PX}px`;
    fillTapeRow(row, tape, seq);
  }
}

function makeTapeRow() {
  const [time, market, price, size] = ["time", "market", "price", "size"].map((name) => make("span", name));
  const element = make("div", "tape-row", time, market, price, size);
  element.dataset.testid = "tape-row";
  return { element, time, market, price, size, seq: -1 };
}

function fillTapeRow(row, tape, seq) {
  const slot = seq % tape.capacity;
  const side = tape.sides[slot];
  row.seq = seq;
  row.element.dataset.seq = seq;
  tag(row.element, "side", side === GAP ? "gap" : side === SELL ? "sell" : "buy");
  tag(row.element, "market", tape.markets[slot] || null);
  row.market.title = tape.markets[slot];
  write(row.time, clockText(tape.times[slot]));
  writeMarket(row.market, tape.markets[slot]);
  write(row.price, side === GAP ? `${wholeText(Number(tape.sizes[slot]))} not received` : tape.prices[slot]);
  write(row.size, side === GAP ? "" : tape.sizes[slot]);
}
