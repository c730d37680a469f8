/**
 * The charts: of activity, bars of trades with the buys drawn over them and the volume as a line with its own axis;
 * and of a price.
 */
import { clockText, shortText } from "../text.js";

/** Of an axis; uPlot's own has three digits after the point, and some prices begin behind the sixth. */
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 15, useGrouping: false });
const AXIS_PX = { x: 24, y: 44 };
const HEADROOM = 1.08;

/** A chart that fills `box`: opened once that has a size, and anew for other colours. */
export class Plot {
  #open;
  #onChange;
  #size = {};
  #chart = null;

  /** `open(size)` makes the uPlot with what is to be drawn; `onChange()` asks for it to be drawn again. */
  constructor(box, open, onChange) {
    this.#open = open;
    this.#onChange = onChange;
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect)).observe(box);
    document.addEventListener("themechange", () => this.reset());
  }

  draw(columns) {
    if (this.#chart) this.#chart.setData(columns);
    else if (this.#size.width) this.#chart = this.#open(this.#size);
  }

  /** The place in the columns under the pointer, if there is one. */
  get pointedAt() {
    return this.#chart?.cursor.idx;
  }

  /** Have it opened anew. */
  reset() {
    this.#chart?.destroy();
    this.#chart = null;
    this.#onChange();
  }

  #resize({ width, height }) {
    this.#size = { width: Math.floor(width), height: Math.floor(height) };
    if (this.#size.width) this.#chart?.setSize(this.#size);
    this.#onChange();
  }
}

/**
 * Draw `columns` (starts in seconds, all trades, buys, volume) into `box`, which is `size` pixels.
 * `colours` has ink, line, sells, buys and volume; `onCursor` is called when the pointer moves over it.
 */
export function openChart(box, size, columns, bucketSeconds, colours, onCursor) {
  const options = {
    ...size,
    padding: [8, 0, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false } },
    scales: {
      x: { range: aroundBars(bucketSeconds) },
      trades: { range: fromZero },
      volume: { range: fromZero },
    },
    axes: axesIn(colours),
    series: seriesIn(colours),
    hooks: { setCursor: [onCursor] },
  };
  return new uPlot(options, columns, box);
}

/** Draw `columns` (seconds, price) into `box` as steps; `colours` has ink, line and price. */
export function openPriceChart(box, size, columns, colours) {
  const axis = axisIn(colours);
  const grid = { stroke: colours.line, width: 1 };
  const options = {
    ...size,
    padding: [8, 0, 0, 28],
    legend: { show: false },
    cursor: { show: false },
    axes: [
      { ...axis, size: AXIS_PX.x, space: 72, values: (_, splits) => splits.map((at) => clockText(at * 1_000)) },
      { ...axis, size: 84, side: 1, space: 40, grid, values: (_, splits) => splits.map(exact.format) },
    ],
    series: [
      {},
      { points: { show: false }, stroke: colours.price, width: 1.5, paths: uPlot.paths.stepped({ align: 1 }) },
    ],
  };
  return new uPlot(options, columns, box);
}

function axisIn({ ink }) {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return { stroke: ink, font, ticks: { show: false }, grid: { show: false } };
}

function axesIn({ ink, line }) {
  const axis = axisIn({ ink });
  const amounts = { ...axis, size: AXIS_PX.y, space: 32, values: (_, splits) => splits.map(shortText) };
  return [
    { ...axis, size: AXIS_PX.x, space: 56, values: (_, splits) => splits.map(minuteText) },
    { ...amounts, scale: "trades", grid: { stroke: line, width: 1 } },
    { ...amounts, scale: "volume", side: 1 },
  ];
}

function seriesIn({ sells, buys, volume }) {
  const plain = { points: { show: false } };
  const bars = { ...plain, scale: "trades", width: 0, paths: uPlot.paths.bars({ size: [0.72, 24] }) };
  return [
    {},
    { ...bars, fill: sells, stroke: sells },
    { ...bars, fill: buys, stroke: buys },
    { ...plain, scale: "volume", stroke: volume, width: 1.5 },
  ];
}

/** `21:04`, of a time in seconds. */
export function minuteText(seconds) {
  return clockText(seconds * 1_000).slice(0, 5);
}

function aroundBars(bucketSeconds) {
  return (_, low, high) => [low - bucketSeconds / 2, high + bucketSeconds / 2];
}

function fromZero(_, low, high) {
  return [0, high > 0 ? high * HEADROOM : 1];
}
