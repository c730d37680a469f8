/**
 * One bot: the prices that its cycle waits for and has bought at, from the highest to the lowest, and what it did,
 * newest first.
 */
import { makeRow, tag, write, writeMarket, writeSigned } from "../dom.js";
import { Panel } from "../panel.js";
import { Reach } from "../reach.js";
import { TABLE_ROW_PX, Rows } from "../rows.js";
import { clockText, delayText, percentText, profitText, shown, wordsText } from "../text.js";
import { phaseText, priceText } from "./bots.js";

export class BotPanel extends Panel {
  #levels = new Rows(
    this.element.querySelector(".levels tbody"),
    () => makeRow("level-row", ["level", "state"], ["price", "size", "distance"]),
    fillLevel,
  );
  #events = new Rows(
    this.element.querySelector(".timeline tbody"),
    () => makeRow("event-row", ["time", "turns", "phase"], ["average", "target", "delay", "profit"]),
    fillEvent,
  );
  #reach = new Reach(this.element.querySelector(".timeline"), TABLE_ROW_PX, this.markUrgent);
  #market = null;

  get channels() {
    const { account } = this.page;
    const own = ["botstate", "bots", "orders", "open_orders"].map((name) => `${name}:${account}`);
    return this.#market ? [...own, `ticker:${this.#market}`] : own;
  }

  draw() {
    const [bots, cycles, orders, open, ticker] = this.channels.map((name) => this.state(name));
    const [id, bot] = this.#choose(bots);
    this.element.classList.toggle("is-empty", !bot);
    this.notice(bot ? "" : `no bot ${this.subjectOf("bots")}`);
    if (!bot) return;
    if (bot.market !== this.#market) this.#turnTo(bot.market);
    this.#drawTitle(bot);
    const ofBot = (record) => record.bot === id;
    const orderLevels = [...open.byKey.values()].filter(ofBot).map(waiting);
    const bought = boughtIn(orders.list.filter(ofBot));
    const last = Number(ticker?.value?.last ?? NaN);
    const levels = [...orderLevels, ...bought, ...marks(bot, ticker?.value?.last)];
    levels.sort((one, other) => other.price - one.price);
    this.#levels.draw([...levels, ...missing(bot, bought)].map((level) => ({ ...level, last })), (level) => level.key);
    this.#events.draw(cycles.list.filter(ofBot).slice(0, this.#reach.end), (event) => event.key);
  }

  /** `[id, bot]` of the address bar, else the first. */
  #choose({ byKey, sorted }) {
    const id = this.subjectOf("bots");
    return id ? [id, byKey.get(id)] : (sorted[0] ?? []);
  }

  #turnTo(market) {
    this.#market = market;
    queueMicrotask(() => this.follow());
  }

  #drawTitle(bot) {
    write(this.element.querySelector("h2"), bot.name);
    writeMarket(this.#part("market"), bot.market);
    this.#part("market").dataset.market = bot.market;
    write(this.#part("phase"), `cycle #${shown(bot.cycle)} · ${phaseText(bot)}`);
    write(this.#part("safety"), `${shown(bot.safety_orders)} of ${shown(bot.safety_orders_max)}`);
    write(this.#part("position"), bot.position);
    write(this.#part("cycles"), shown(bot.cycles));
    writeSigned(this.#part("profit"), profitText(bot.profit));
  }

  #part(name) {
    return this.element.querySelector(`[data-bot-part=${name}]`);
  }
}

const waiting = (order) => ({
  ...order,
  key: `${order.market}/${order.order}`,
  label: order.role,
  state: "waiting",
});

/** The purchases of the running cycle; the fills are the newest first, and a whole sale ended the cycle before. */
function boughtIn(fills) {
  const sold = fills.findIndex((fill) => fill.side === "sell" && fill.status !== "PARTIALLY_FILLED");
  return fills.slice(0, sold < 0 ? fills.length : sold).filter(({ side }) => side === "buy").map((fill) => ({
    ...fill,
    label: fill.role,
    state: `filled ${clockText(fill.time)}`,
  }));
}

/** What the bot has bought in this cycle before the fills that this page knows. */
function missing({ position, safety_orders }, bought) {
  const count = Number(position) ? safety_orders + 1 - new Set(bought.map(({ order }) => order)).size : 0;
  return count > 0 ? [{ key: "earlier", label: `${count} earlier`, state: "not at hand" }] : [];
}

function marks(bot, last) {
  const known = [
    { key: "average", label: "average", price: bot.average_price, size: bot.position },
    { key: "last", label: "last price", price: last },
  ];
  return known.filter(({ price }) => Number(price)).map((mark) => ({ size: "", state: "", ...mark }));
}

function fillLevel(row, level) {
  tag(row.element, "level", level.key === "last" || level.key === "average" ? level.key : level.label);
  tag(row.element, "state", level.state.split(" ")[0]);
  write(row.level, wordsText(level.label || "order"));
  write(row.state, level.state);
  write(row.price, level.price ?? "");
  write(row.size, level.size ?? "");
  const distance = level.key === "last" ? NaN : Number(level.price) / level.last - 1;
  writeSigned(row.distance, Number.isFinite(distance) ? percentText(distance) : "");
}

function fillEvent(row, event) {
  tag(row.phase, "phase", event.phase ?? null);
  write(row.time, clockText(event.time));
  write(row.turns, event.cycle ? `#${event.cycle}` : "");
  write(row.phase, wordsText(event.phase ?? event.action ?? event.status ?? ""));
  write(row.average, priceText(event.average_price));
  write(row.target, priceText(event.take_profit_price));
  write(row.delay, delayOf(event));
  writeSigned(row.profit, event.phase === "completed" ? profitText(event.profit) : "");
}

/** How long the order of this phase took to be placed. */
function delayOf({ phase, safety_order_delay_ms: safety, take_profit_delay_ms: target }) {
  const delay = phase === "safety_order" ? safety : phase === "take_profit" ? target : null;
  return Number.isFinite(delay) ? delayText(delay) : "";
}
