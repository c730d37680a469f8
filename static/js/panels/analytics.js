/** Trades and volume by minute over an hour, or by hour over a day. */
import { write } from "../dom.js";
import { Panel } from "../panel.js";
import { clockText, shortText, wholeText } from "../text.js";

const BUCKETS = { hour: 60, day: 24 };
const SERIES = ["sells", "buys", "volume"];

export class AnalyticsPanel extends Panel {
  #span = "hour";
  #buckets = null;
  #plot = null;
  #columns = [[], [], [], []];
  #box = this.element.querySelector(".chart");
  #size = { width: 0, height: 0 };

  constructor(element, page) {
    super(element, page);
    for (const button of this.#buttons) button.addEventListener("click", () => this.#choose(button.dataset.span));
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect)).observe(this.#box);
    document.addEventListener("themechange", () => this.#repaint());
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
    const { buckets, bucket_seconds: bucketSeconds } = this.state(this.#channel).sections;
    this.notice(buckets?.size ? "" : "no trades counted yet");
    if (!buckets?.size || !this.#size.width) return false;
    this.#columns = columnsOf(buckets, bucketSeconds * 1_000, BUCKETS[this.#span]);
    if (this.#plot) this.#plot.setData(this.#columns);
    else this.#plot = new uPlot(this.#options(bucketSeconds), this.#columns, this.#box);
    this.#drawLegend(this.#plot.cursor.idx);
    return false;
  }

  #choose(span) {
    this.#span = span;
    for (const button of this.#buttons) button.setAttribute("aria-pressed", button.dataset.span === span);
    this.#repaint();
    this.follow();
  }

  #resize({ width, height }) {
    this.#size = { width: Math.floor(width), height: Math.floor(height) };
    this.#plot?.setSize(this.#size);
    this.mark();
  }

  #repaint() {
    this.#plot?.destroy();
    this.#plot = null;
    this.mark();
  }

  /** The legend's own colours are the chart's: a canvas knows no custom properties. */
  #colour(name) {
    return getComputedStyle(this.element.querySelector(`[data-series=${name}]`), "::before").color;
  }

  #options(bucketSeconds) {
    const ink = getComputedStyle(this.element.querySelector(".legend")).color;
    const line = getComputedStyle(this.#box).borderTopColor;
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const bars = uPlot.paths.bars({ size: [0.72, 24] });
    const bar = (name) => ({ fill: this.#colour(name), stroke: this.#colour(name), width: 0, paths: bars, points: { show: false } });
    return {
      ...this.#size,
      padding: [8, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false } },
      scales: { x: { range: (_, low, high) => [low - bucketSeconds / 2, high + bucketSeconds / 2] }, trades: { range: fromZero }, volume: { range: fromZero } },
      axes: [
        { ...axis, grid: { show: false }, size: 24, space: 56, values: (_, splits) => splits.map((seconds) => clockText(seconds * 1_000).slice(0, 5)) },
        { ...axis, scale: "trades", size: 44, space: 32, values: (_, splits) => splits.map(shortText) },
        { ...axis, scale: "volume", side: 1, size: 44, space: 32, grid: { show: false }, values: (_, splits) => splits.map(shortText) },
      ],
      series: [
        {},
        { ...bar("sells"), scale: "trades" },
        { ...bar("buys"), scale: "trades" },
        { stroke: this.#colour("volume"), width: 1.5, scale: "volume", points: { show: false } },
      ],
      hooks: { setCursor: [this.mark] },
    };
  }

  #drawLegend(at) {
    const [seconds, trades, buys, volume] = this.#columns.map((column) => column[at ?? column.length - 1]);
    const time = clockText(seconds * 1_000).slice(0, 5);
    const values = { buys: wholeText(buys), sells: wholeText(trades - buys), volume: shortText(volume) };
    write(this.element.querySelector("[data-series=time]"), `at ${time}`);
    for (const name of SERIES) write(this.element.querySelector(`[data-series=${name}] b`), values[name]);
  }
}

/** uPlot's columns: start in seconds, all trades (buys are drawn over them), buys, volume. */
function columnsOf(buckets, bucketMs, count) {
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

function fromZero(_, _low, high) {
  return [0, high > 0 ? high * 1.08 : 1];
}
