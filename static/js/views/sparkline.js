/** The last prices of a market as an SVG line in a box of 100 by `height`, flat when nothing moved. */

/** Draw decimal texts `points` into `path.line` and, where there is one, `path.area` of `svg`. */
export function drawSparkline(svg, points, height) {
  const line = points.length > 1 ? lineOf(points, height) : "";
  svg.querySelector(".line").setAttribute("d", line && `M${line}`);
  svg.querySelector(".area")?.setAttribute("d", line && `M0 ${height}L${line}L100 ${height}Z`);
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

function lineOf(points, height) {
  const values = points.map(Number);
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const step = 100 / (values.length - 1);
  const yOf = (value) => (span ? height - 1.5 - ((value - low) / span) * (height - 3) : height / 2);
  return values.map((value, at) => `${(at * step).toFixed(1)} ${yOf(value).toFixed(1)}`).join("L");
}
