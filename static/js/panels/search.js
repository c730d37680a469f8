/** Find a market by a part of its name; the markets are those that have a line of prices. */
import { make, write, writeMarket } from "../dom.js";
import { Panel } from "../panel.js";
import { marketText } from "../text.js";

const SHOWN_MARKETS = 50;

export class SearchPanel extends Panel {
  #input = this.element.querySelector("input");
  #list = this.element.querySelector("ul");
  #found = [];
  #chosen = 0;
  #onPick = null;

  constructor(element, page) {
    super(element, page);
    this.#input.addEventListener("input", () => this.#choose(0));
    this.#input.addEventListener("keydown", (event) => this.#steer(event));
    this.#list.addEventListener("click", (event) =>
      this.#pick(event.target.closest("[data-pick]")?.dataset.pick),
    );
    element.addEventListener("click", (event) => event.target === element && element.close());
  }

  get channels() {
    return ["market:sparkline"];
  }

  /** Ask for a market and call `onPick(market)` with the answer. */
  open(onPick) {
    this.#onPick = onPick;
    this.#input.value = "";
    this.#chosen = 0;
    this.element.showModal();
  }

  draw() {
    const points = this.state("market:sparkline").sections.points ?? new Map();
    this.#found = find([...points.keys()], this.#input.value).slice(0, SHOWN_MARKETS);
    this.#chosen = Math.min(this.#chosen, Math.max(0, this.#found.length - 1));
    this.#list.replaceChildren(
      ...this.#found.map((market, at) => this.#option(market, at, points.get(market).at(-1))),
    );
    this.#input.setAttribute("aria-activedescendant", this.#found.length ? `market-${this.#chosen}` : "");
    this.#list.children[this.#chosen]?.scrollIntoView({ block: "nearest" });
    this.notice(this.#found.length ? "" : "no such market");
  }

  #option(market, at, price) {
    const option = make("li", "", make("span"), make("span", "fact", price ?? ""));
    writeMarket(option.firstChild, market);
    option.id = `market-${at}`;
    option.dataset.pick = market;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", at === this.#chosen);
    return option;
  }

  #choose(at) {
    this.#chosen = Math.max(0, at);
    this.markUrgent();
  }

  #steer(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#choose(this.#chosen + step);
    else if (event.key === "Enter") this.#pick(this.#found[this.#chosen]);
    else return;
    event.preventDefault();
  }

  #pick(market) {
    if (!market) return;
    this.element.close();
    this.#onPick(market);
  }
}

/** The markets whose name holds `text`, those that begin with it first. */
function find(markets, text) {
  const wanted = text.trim().toLowerCase();
  const matches = markets.filter((market) => market.toLowerCase().includes(wanted)).sort();
  const begins = (market) => marketText(market).toLowerCase().startsWith(wanted);
  return [...matches.filter(begins), ...matches.filter((market) => !begins(market))];
}
