/** The market that is viewed: its ticker, its line, and the price of its last trades. */
import { write, writeMarket, writeSigned } from "../dom.js";
import { Panel } from "../panel.js";
import { NONE, percentText, shortText, unknownText } from "../text.js";
import { Plot, openPriceChart } from "../views/chart.js";
import { changeOf, drawSparkline } from "../views/sparkline.js";
import { GAP } from "../state/tape.js";

export class QuotePanel extends Panel {
  /** A line of a thousand points in every frame would be most of what the page does. */
  beatMs = 250;
  #box = this.element.querySelector(".chart");
  #columns = [];
  #plot = new Plot(
    this.#box,
    (size) => openPriceChart(this.#box, size, this.#columns, this.#colours()),
    () => {
      this.#drawn = {};
      this.mark();
    },
  );
  #drawn = {};

  get #market() {
    return this.subjectOf("market");
  }

  get channels() {
    const market = this.#market;
    return market ? [`ticker:${market}`, "market:sparkline", `trades:${market}`] : [];
  }

  draw() {
    if (!this.#market) return;
    const [ticker, sparklines, trades] = this.channels.map((name) => this.state(name));
    this.#drawQuote(ticker.value, sparklines.sections.points?.get(this.#market) ?? []);
    const isKnown = ticker.value?.market || trades.end > 0;
    this.notice(isKnown ? "" : unknownText(this.#market));
    this.element.classList.toggle("is-empty", !isKnown);
    this.#drawChart(trades);
  }

  /** The line ends in the last price: its own points come only when one has moved far. */
  #drawQuote(ticker, history) {
    const points = ticker?.last ? [...history, ticker.last] : history;
    writeMarket(this.element.querySelector("h2"), this.#market);
    write(this.#part("last"), points.at(-1));
    writeSigned(this.#part("change"), points.length ? percentText(changeOf(points)) : "");
    write(this.#part("bid"), quoteText(ticker?.bid, ticker?.bid_size));
    write(this.#part("ask"), quoteText(ticker?.ask, ticker?.ask_size));
    write(this.#part("volume"), shortText(parseFloat(ticker?.volume)));
    drawSparkline(this.#part("sparkline"), points);
  }

  #drawChart(tape) {
    if (tape === this.#drawn.tape && tape.end === this.#drawn.end) return;
    this.#drawn = { tape, end: tape.end };
    this.#columns = pricesOf(tape);
    this.#plot.draw(this.#columns);
  }

  #colours() {
    const { color, borderTopColor, outlineColor } = getComputedStyle(this.#box);
    return { ink: color, line: borderTopColor, price: outlineColor };
  }

  #part(name) {
    return this.element.querySelector(`[data-quote=${name}]`);
  }
}

function quoteText(price, size) {
  if (!price) return NONE;
  return size ? `${price} × ${size}` : price;
}

/** uPlot's columns: each second with trades, and its last price; a trade that came late counts to the last second. */
function pricesOf(tape) {
  const [seconds, prices] = [[], []];
  for (let seq = tape.start; seq < tape.end; seq++) {
    const slot = seq % tape.capacity;
    if (tape.sides[slot] === GAP) continue;
    const second = Math.floor(tape.times[slot] / 1_000);
    if (!seconds.length || second > seconds.at(-1)) seconds.push(second);
    prices[seconds.length - 1] = Number(tape.prices[slot]);
  }
  return [seconds, prices];
}
