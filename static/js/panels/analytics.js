/** Trades and volume by minute over an hour, or by hour over a day. */
import { write } from "../dom.js";
import { Panel } from "../panel.js";
import { go } from "../route.js";
import { shortText, wholeText } from "../text.js";
import { Plot, minuteText, openChart } from "../views/chart.js";

const BUCKETS = { hour: 60, day: 24 };
const SERIES = ["sells", "buys", "volume"];

export class AnalyticsPanel extends Panel {
  #chosen = "hour";
  #drawnSpan = null;
  #columns = [[], [], [], []];
  #bucketSeconds = 0;
  #box = this.element.querySelector(".chart");
  #plot = new Plot(
    this.#box,
    (size) => openChart(this.#box, size, this.#columns, this.#bucketSeconds, this.#colours(), this.mark),
    this.mark,
  );

  constructor(element, page) {
    super(element, page);
    for (const button of this.#buttons) button.addEventListener("click", () => this.#choose(button.dataset.span));
  }

  /** The address bar's where it has one. */
  get #span() {
    const span = this.subjectOf("analytics");
    return Object.hasOwn(BUCKETS, span) ? span : this.#chosen;
  }

  get channels() {
    return [this.#channel];
  }

  get #channel() {
    return `market:analytics.${this.#span}`;
  }

  get #buttons() {
    return this.element.querySelectorAll("[data-span]");
  }

  draw() {
    if (this.#span !== this.#drawnSpan) this.#turnTo(this.#span);
    const { buckets, bucket_seconds: bucketSeconds } = this.state(this.#channel).sections;
    this.notice(buckets?.size ? "" : "no trades counted yet");
    this.element.classList.toggle("is-empty", !buckets?.size);
    if (!buckets?.size) return;
    this.#bucketSeconds = bucketSeconds;
    this.#columns = activityOf(buckets, bucketSeconds * 1_000, BUCKETS[this.#span]);
    this.#plot.draw(this.#columns);
    this.#drawLegend(this.#plot.pointedAt);
  }

  #choose(span) {
    this.#chosen = span;
    if (this.page.router.route.view === "analytics") go("analytics", span);
    else this.follow();
  }

  #turnTo(span) {
    this.#drawnSpan = span;
    for (const button of this.#buttons) button.setAttribute("aria-pressed", button.dataset.span === span);
    this.#plot.reset();
  }

  /** The legend's own colours are the chart's: a canvas knows no custom properties. */
  #colours() {
    const colourOf = (selector, part) => getComputedStyle(this.element.querySelector(selector), part).color;
    const series = SERIES.map((name) => [name, colourOf(`[data-series=${name}]`, "::before")]);
    const line = getComputedStyle(this.#box).borderTopColor;
    return { ink: colourOf(".legend"), line, ...Object.fromEntries(series) };
  }

  #drawLegend(at) {
    const [seconds, trades, buys, volume] = this.#columns.map((column) => column[at ?? column.length - 1]);
    const values = { buys: wholeText(buys), sells: wholeText(trades - buys), volume: shortText(volume) };
    write(this.element.querySelector("[data-series=time]"), `at ${minuteText(seconds)}`);
    for (const name of SERIES) write(this.element.querySelector(`[data-series=${name}] b`), values[name]);
  }
}

/** uPlot's columns: start in seconds, all trades (buys are drawn over them), buys, volume. */
function activityOf(buckets, bucketMs, count) {
  const newest = Math.max(...[...buckets.keys()].map(Number));
  const starts = Array.from({ length: count }, (_, at) => newest - (count - 1 - at) * bucketMs);
  const counted = starts.map((start) => buckets.get(String(start)));
  return [
    starts.map((start) => start / 1_000),
    counted.map((bucket) => bucket?.trades ?? 0),
    counted.map((bucket) => bucket?.buys ?? 0),
    counted.map((bucket) => Number(bucket?.volume ?? 0)),
  ];
}
