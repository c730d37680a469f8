/**
 * A book's levels, asks above the spread and bids below, with bars for the depth up to each level.
 * Rows are made once; only what differs from the last drawing is written.
 */
import { make, show, tag, write } from "../dom.js";
import { Reach } from "../reach.js";
import { ageText, decimalsOf, paddingOf, shortText } from "../text.js";

const LEVEL_PX = 19;

class SideRows {
  #rows;

  constructor(name, levels, onChange) {
    this.#rows = Array.from({ length: levels }, makeLevel);
    this.element = make("ol", `side ${name}`, ...this.#rows.map((row) => row.element));
    this.element.tabIndex = 0;
    this.element.setAttribute("aria-label", name);
    this.element.style.setProperty("--level-height", `${LEVEL_PX}px`);
    this.reach = new Reach(this.element, LEVEL_PX, onChange);
  }

  draw(side, shared) {
    let total = 0;
    const end = Math.min(side.length, this.reach.end);
    this.#rows.forEach((row, at) => {
      show(row.element, at < end);
      if (at >= end) return;
      total += Number(side.sizes[at]);
      drawText(row.price, side.texts[at], shared.priceDecimals);
      drawText(row.size, side.sizes[at], shared.sizeDecimals);
      write(row.total, shortText(total));
      row.element.style.backgroundSize = `${Math.min(100, Math.round((total / shared.deepest) * 100))}% 100%`;
    });
  }
}

function makeLevel() {
  const [price, size] = ["price", "size"].map((name) => make("span", name, "", makePadding()));
  const total = make("span", "total");
  return { element: make("li", "", price, size, total), price, size, total };
}

function makePadding() {
  const padding = make("i");
  padding.setAttribute("aria-hidden", "true");
  return padding;
}

function drawText(cell, text, decimals) {
  write(cell, text);
  write(cell.lastChild, paddingOf(text, decimals));
}

export class Ladder {
  #element;
  #levels;
  #asks;
  #bids;
  #spread = make("p", "spread");

  /** `levels` a side at most; `onChange` asks for a drawing. */
  constructor(element, levels, onChange) {
    this.#element = element;
    this.#levels = levels;
    this.#asks = new SideRows("asks", levels, onChange);
    this.#bids = new SideRows("bids", levels, onChange);
    const heads = make("p", "heads", ...["Price", "Size", "Total"].map((text) => make("span", "", text)));
    element.append(heads, this.#asks.element, this.#spread, this.#bids.element);
  }

  draw({ bids, asks, status }) {
    tag(this.#element, "status", status);
    const mostDecimals = (column) =>
      Math.max(0, ...[bids, asks].flatMap((side) => side[column].slice(0, this.#levels).map(decimalsOf)));
    const shared = {
      priceDecimals: mostDecimals("texts"),
      sizeDecimals: mostDecimals("sizes"),
      // The bars are drawn to the depth that fits without scrolling.
      deepest:
        Math.max(
          sumOf(bids.sizes, this.#bids.reach.inView),
          sumOf(asks.sizes, this.#asks.reach.inView),
        ) || 1,
    };
    this.#asks.draw(asks, shared);
    this.#bids.draw(bids, shared);
    write(this.#spread, spreadText(bids, asks, shared.priceDecimals));
  }
}

/**
 * Write what a book is worth, and its age, into `badge`: whatever it was, it is STALE once the page
 * no longer hears of it. The age is not read aloud, it never rests.
 */
export function drawBadge(badge, book, isLive) {
  const [statusText, age] = badge.children;
  const status = isLive || !book.status ? book.status : "STALE";
  const sinceMs = isLive && status !== "SYNCED" ? book.since : book.arrivedMs;
  tag(badge, "status", status);
  write(statusText, status ?? "");
  write(age, sinceMs ? ageText(Date.now() - sinceMs) : "");
}

function sumOf(sizes, levels) {
  return sizes.slice(0, levels).reduce((sum, size) => sum + Number(size), 0);
}

function spreadText(bids, asks, decimals) {
  if (!bids.length || !asks.length) return "";
  const spread = asks.prices[0] - bids.prices[0];
  const middle = (asks.prices[0] + bids.prices[0]) / 2;
  const points = Number(((spread / middle) * 10_000).toPrecision(2));
  return `spread ${spread.toFixed(decimals)}  ·  ${points} bp`;
}
