/** One market in full, beside the panels: its ticker, its line, the top of its book and its own trades. */
import { write, writeSigned } from "../dom.js";
import { Panel } from "../panel.js";
import { NONE, marketText, percentText, shortText } from "../text.js";
import { Ladder, drawBadge } from "../views/ladder.js";
import { changeOf, drawSparkline } from "../views/sparkline.js";
import { TapeList } from "../views/tape-list.js";

const LEVELS = 10;
const LINE_HEIGHT = 40;
const CLOSED_BY = ["close", "pin"];

const fullWidth = matchMedia("(max-width: 640px)");

export class DrawerPanel extends Panel {
  #market = null;
  #opener = null;
  #badge = this.element.querySelector(".badge");
  #ladder = new Ladder(this.element.querySelector("[data-ladder]"), LEVELS);
  #tape = new TapeList(
    this.element.querySelector("[data-tape=list]"),
    this.element.querySelector("[data-tape=newer]"),
    this.mark,
  );

  constructor(element, page) {
    super(element, page);
    for (const name of CLOSED_BY) this.#part(name).addEventListener("click", () => this.close());
    fullWidth.addEventListener("change", () => this.#cover());
  }

  get market() {
    return this.#market;
  }

  get channels() {
    const market = this.#market;
    return market ? [`ticker:${market}`, `book:${market}`, "market:sparkline", `trades:${market}`] : [];
  }

  open(market) {
    this.#opener ??= document.activeElement;
    this.#market = market;
    this.element.hidden = false;
    write(this.element.querySelector("h2"), marketText(market));
    this.#tape.reset();
    this.#cover();
    this.follow();
    this.element.querySelector("h2").focus();
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.#cover();
    this.#opener?.focus();
    this.#opener = null;
  }

  draw() {
    const [ticker, book, sparklines, trades] = this.channels.map((name) => this.state(name));
    this.#drawQuote(ticker.value, sparklines.sections.points?.get(this.#market) ?? []);
    this.#ladder.draw(book);
    drawBadge(this.#badge, book, this.isLive(`book:${this.#market}`));
    this.#tape.draw(trades);
    this.notice("");
    return false;
  }

  /** The line ends in the last price: its own points come only when one has moved far. */
  #drawQuote(ticker, history) {
    const points = ticker?.last ? [...history, ticker.last] : history;
    write(this.#part("market"), this.#market);
    write(this.#part("last"), points.at(-1) ?? NONE);
    writeSigned(this.#part("change"), points.length ? percentText(changeOf(points)) : "");
    write(this.#part("bid"), quoteText(ticker?.bid, ticker?.bid_size));
    write(this.#part("ask"), quoteText(ticker?.ask, ticker?.ask_size));
    write(this.#part("volume"), ticker?.volume ? shortText(Number(ticker.volume)) : NONE);
    drawSparkline(this.#part("sparkline"), points, LINE_HEIGHT);
  }

  #cover() {
    const isCovering = fullWidth.matches && !this.element.hidden;
    this.page.screen.cover(isCovering ? this.element : null);
  }

  #part(name) {
    return this.element.querySelector(`[data-drawer=${name}]`);
  }
}

function quoteText(price, size) {
  if (!price) return NONE;
  return size ? `${price} × ${size}` : price;
}
