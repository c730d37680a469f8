/** The totals, each running smoothly from one update to the next. */
import { Counter } from "../counter.js";
import { write } from "../dom.js";
import { Panel } from "../panel.js";
import { NONE, centsText, wholeText } from "../text.js";

const FORMATS = {
  trades: wholeText,
  volume: wholeText,
  buys: (share) => `${(share * 100).toFixed(1)} %`,
  cycles: wholeText,
  profit: centsText,
};

export class PulsePanel extends Panel {
  #counters = Object.entries(FORMATS).map(([name, format]) => [name, new Counter(this.#cell(name), format)]);

  get channels() {
    return ["market:analytics.hour", `botstate:${this.page.account}`];
  }

  draw(nowMs) {
    const [activity, botstate] = this.channels.map((name) => this.state(name));
    const bots = [...botstate.byKey.values()];
    const totals = { ...countTrades(activity.sections.buckets), ...countBots(bots) };
    write(this.#cell("bots"), activeText(bots));
    return this.#counters.map(([name, counter]) => counter.draw(totals[name], nowMs)).some(Boolean);
  }

  #cell(name) {
    return this.element.querySelector(`[data-counter=${name}]`);
  }
}

function countTrades(buckets) {
  const counted = [...(buckets?.values() ?? [])];
  const trades = totalOf(counted, "trades");
  return { trades, buys: trades ? totalOf(counted, "buys") / trades : null, volume: totalOf(counted, "volume") };
}

function activeText(bots) {
  const active = bots.filter((bot) => bot.status === "active");
  return bots.length ? `${active.length} of ${bots.length}` : NONE;
}

function countBots(bots) {
  return { cycles: totalOf(bots, "cycles"), profit: totalOf(bots, "profit") };
}

/** Null if none of them tells it. */
function totalOf(records, name) {
  const told = records.map((record) => record[name]).filter((value) => value != null);
  return told.length ? told.reduce((sum, value) => sum + Number(value), 0) : null;
}
