/** The book of the market that is viewed, else of the one that the viewer chose; until then of the hottest. */
import { writeMarket } from "../dom.js";
import { Panel } from "../panel.js";
import { lasting } from "../storage.js";
import { unknownText } from "../text.js";
import { Ladder, drawBadge } from "../views/ladder.js";

const LEVELS = 50;
const STORED_MARKET = "lanecast.book";

export class BookPanel extends Panel {
  #chosen = lasting.get(STORED_MARKET);
  #badge = this.element.querySelector(".badge");
  #picker = this.element.querySelector("[data-action=book-market]");
  #ladder = new Ladder(this.element.querySelector("[data-ladder]"), LEVELS, this.markUrgent);

  get #market() {
    return this.subjectOf("market") || this.#chosen;
  }

  get channels() {
    return [this.#market ? `book:${this.#market}` : "market:hot"];
  }

  /** Show the book of `market`, now and at the next visit. */
  choose(market) {
    lasting.set(STORED_MARKET, market);
    this.#choose(market);
  }

  draw() {
    const state = this.state(this.channels[0]);
    if (this.#market) this.#draw(state);
    else if (state.ranked.length) this.#choose(state.ranked[0].market);
  }

  #draw(book) {
    this.#ladder.draw(book);
    drawBadge(this.#badge, book, this.isLive(this.channels[0]));
    writeMarket(this.#picker, this.#market);
    this.notice(book.bids.length + book.asks.length ? "" : book.since ? "no levels" : unknownText(this.#market));
  }

  #choose(market) {
    this.#chosen = market;
    this.follow();
  }
}
