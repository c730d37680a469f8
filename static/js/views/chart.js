/**
 * The chart of activity: bars of trades with the buys drawn over them, and the volume as a line with its
 * own axis.
 */
import { clockText, shortText } from "../text.js";

const AXIS_PX = { x: 24, y: 44 };
const HEADROOM = 1.08;

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

function axesIn({ ink, line }) {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { show: false } };
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
