/** Each bot's status and where its martingale cycle stands. */
import { make, makeRow, tag, write, writeMarket, writeSigned } from "../dom.js";
import { Panel } from "../panel.js";
import { Rows } from "../rows.js";
import { NONE, delayText, profitText, shown, wordsText } from "../text.js";

export class BotsPanel extends Panel {
  #rows = new Rows(this.element.querySelector("tbody"), makeBotRow, fillBotRow);

  get channels() {
    return [`botstate:${this.page.account}`];
  }

  draw() {
    const bots = this.state(this.channels[0]).sorted;
    this.#rows.draw(bots, ([id]) => id);
    for (const row of this.element.querySelectorAll("tbody tr"))
      row.classList.toggle("is-chosen", row.dataset.bot === this.subjectOf("bots"));
    this.notice(bots.length ? "" : `no bots of ${this.page.account}`);
  }
}

function makeBotRow() {
  const row = makeRow(
    "bot-row",
    ["bot", "market", "cycle", "safety"],
    ["average", "target", "safety-delay", "target-delay", "profit"],
  );
  const [name, turns, phase, steps, count] = ["name", "turns", "phase", "steps", ""].map((kind) =>
    make("span", kind),
  );
  row.bot.append(make("span", "dot"), name);
  row.cycle.append(turns, phase);
  row.safety.append(steps, count);
  return { ...row, name, turns, phase, steps, count };
}

function fillBotRow(row, [id, bot]) {
  row.element.dataset.bot = id;
  row.element.title = `${bot.name}: ${bot.status}, ${shown(bot.cycles)} cycles completed`;
  tag(row.element, "status", bot.status);
  tag(row.phase, "phase", bot.phase);
  row.profit.title = shown(bot.profit);
  write(row.name, bot.name);
  writeMarket(row.market, bot.market);
  write(row.turns, `#${shown(bot.cycle)}`);
  write(row.phase, phaseText(bot));
  write(row.count, `${shown(bot.safety_orders)}/${shown(bot.safety_orders_max)}`);
  drawSteps(row.steps, bot.safety_orders, bot.safety_orders_max);
  write(row.average, priceText(bot.average_price));
  write(row.target, priceText(bot.take_profit_price));
  write(row["safety-delay"], delayText(bot.safety_order_delay_ms));
  write(row["target-delay"], delayText(bot.take_profit_delay_ms));
  writeSigned(row.profit, profitText(bot.profit));
}

/** The cycle's phase while the bot is active and has begun one, else its status. */
export function phaseText({ status, phase }) {
  return wordsText((status === "active" && phase) || status);
}

/** A price that is not known yet comes as 0 or not at all. */
export const priceText = (text) => (Number(text) ? text : NONE);

/** A box for each safety order, those that were filled in colour. */
function drawSteps(element, done, all) {
  while (element.childElementCount < all) element.append(make("i"));
  while (element.childElementCount > all) element.lastElementChild.remove();
  [...element.children].forEach((step, at) => step.classList.toggle("is-done", at < done));
}
