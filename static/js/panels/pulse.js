/** The totals, each running smoothly from one update to the next. */
import { Counter } from "../counter.js";
import { write } from "../dom.js";
import { Panel } from "../panel.js";
import { NONE, centsText, wholeText } from "../text.js";

const FORMATS = {
  trades: wholeText,
  volume: wholeText,
  buys: (share) => `${(share * 100).toFixed(1)} %`,
  fills: wholeText,
  cycles: wholeText,
  profit: centsText,
};

export class PulsePanel extends Panel {
  #counters = Object.entries(FORMATS).map(([name, format]) => [name, new Counter(this.#cell(name), format)]);

  get channels() {
    const { account } = this.page;
    return ["market:analytics.hour", `botstate:${account}`, `orders:${account}`];
  }

  draw(nowMs) {
    const [activity, botstate, orders] = this.channels.map((name) => this.state(name));
    const bots = [...botstate.byKey.values()];
    const totals = { ...countTrades(activity.sections.buckets), ...countBots(bots), fills: orders.liveCount };
    write(this.#cell("bots"), activeText(bots));
    return this.#counters.map(([name, counter]) => counter.draw(totals[name], nowMs)).some(Boolean);
  }

  #cell(name) {
    return this.element.querySelector(`[data-counter=${name}]`);
  }
}

function countTrades(buckets) {
  const counted = [...(buckets?.values() ?? [])];
  const trades = sumOf(counted, "trades");
  return { trades, buys: trades ? sumOf(counted, "buys") / trades : null, volume: sumOf(counted, "volume") };
}

function activeText(bots) {
  const active = bots.filter((bot) => bot.status === "active");
  return bots.length ? `${active.length} of ${bots.length}` : NONE;
}

function countBots(bots) {
  if (!bots.length) return { cycles: null, profit: null };
  return { cycles: sumOf(bots, "cycles"), profit: sumOf(bots, "profit") };
}

function sumOf(records, name) {
  return records.reduce((sum, record) => sum + Number(record[name]), 0);
}
