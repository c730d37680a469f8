/** Each bot's status and where its martingale cycle stands. */
import { make, tag, write, writeSigned } from "../dom.js";
import { Panel } from "../panel.js";
import { Rows } from "../rows.js";
import { NONE, centsText, delayText, marketText, wordsText } from "../text.js";

const CELLS = [
  "bot",
  "market",
  "cycle",
  "safety",
  "average",
  "target",
  "safety-delay",
  "target-delay",
  "profit",
];
const FIRST_NUMBER = 4;

export class BotsPanel extends Panel {
  #rows = new Rows(this.element.querySelector("tbody"), makeRow, fillRow);

  get channels() {
    return [`botstate:${this.page.account}`];
  }

  draw() {
    const bots = [...this.state(this.channels[0]).byKey];
    this.#rows.draw(bots, ([id]) => id);
    this.notice(bots.length ? "" : `no bots of ${this.page.account}`);
    return false;
  }
}

function makeRow() {
  const [bot, market, cycle, safety, average, target, safetyDelay, targetDelay, profit] = CELLS.map(
    (name, at) => make("td", at < FIRST_NUMBER ? name : `number ${name}`),
  );
  const name = make("span", "name");
  const phase = make("span", "phase");
  const count = make("span");
  const steps = make("span", "steps");
  const turns = make("span", "turns");
  bot.append(make("span", "dot"), name);
  cycle.append(turns, phase);
  safety.append(steps, count);
  const element = make(
    "tr",
    "",
    bot,
    market,
    cycle,
    safety,
    average,
    target,
    safetyDelay,
    targetDelay,
    profit,
  );
  element.dataset.testid = "bot-row";
  return {
    element,
    name,
    market,
    turns,
    phase,
    steps,
    count,
    average,
    target,
    safetyDelay,
    targetDelay,
    profit,
  };
}

function fillRow(row, [id, bot]) {
  row.element.dataset.bot = id;
  row.element.title = `${bot.name}: ${bot.status}, ${bot.cycles} cycles completed`;
  tag(row.element, "market", bot.market || null);
  tag(row.element, "status", bot.status);
  tag(row.phase, "phase", bot.phase);
  row.profit.title = bot.profit;
  write(row.name, bot.name);
  write(row.market, marketText(bot.market));
  write(row.turns, `#${bot.cycle}`);
  write(row.phase, phaseText(bot));
  write(row.count, `${bot.safety_orders}/${bot.safety_orders_max}`);
  drawSteps(row.steps, bot.safety_orders, bot.safety_orders_max);
  write(row.average, bot.average_price ?? NONE);
  write(row.target, bot.take_profit_price ?? NONE);
  write(row.safetyDelay, delayText(bot.safety_order_delay_ms));
  write(row.targetDelay, delayText(bot.take_profit_delay_ms));
  writeSigned(row.profit, centsText(Number(bot.profit)));
}

/** The cycle's phase while the bot is active and has begun one, else its status. */
function phaseText({ status, phase }) {
  return wordsText((status === "active" && phase) || status);
}

function drawSteps(element, done, all) {
  while (element.childElementCount < all) element.append(make("i"));
  while (element.childElementCount > all) element.lastElementChild.remove();
  [...element.children].forEach((step, at) => step.classList.toggle("is-done", at < done));
}
