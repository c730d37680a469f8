/** The last prices of a market as an SVG line in a box of 100 by 20, flat when nothing moved. */
const LINE_HEIGHT = 20;

/** Draw decimal texts `points` into the path of `svg`. */
export function drawSparkline(svg, points) {
  const line = points.length > 1 ? lineOf(points) : "";
  svg.firstElementChild.setAttribute("d", line && `M${line}`);
  svg.dataset.trend = trendOf(points);
}

/** `up`, `down` or `flat`, over all the points. */
function trendOf(points) {
  const change = changeOf(points);
  if (change === 0) return "flat";
  return change > 0 ? "up" : "down";
}

/** The change over all the points, as a fraction. */
export function changeOf(points) {
  const first = Number(points[0]);
  return first ? Number(points.at(-1)) / first - 1 : 0;
}

function lineOf(points) {
  const values = points.map(Number);
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const step = 100 / (values.length - 1);
  const yOf = (value) => (span ? LINE_HEIGHT - 1.5 - ((value - low) / span) * (LINE_HEIGHT - 3) : LINE_HEIGHT / 2);
  return values.map((value, at) => `${(at * step).toFixed(1)} ${yOf(value).toFixed(1)}`).join("L");
}
