/**
 * How numbers and times are written. A price or a size that came as text is shown as that text, never
 * through here.
 */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

export const NONE = "–";

/** What a payload may have left out, within a text. */
export const shown = (value) => value ?? NONE;

/** What is no number is not known: a stranger's payload may hold anything. */
const known = (format) => (value) => (Number.isFinite(value) ? format(value) : NONE);

export const wholeText = known((value) => whole.format(value));
export const shortText = known((value) => short.format(value));
export const centsText = known((value) => signed(value, cents.format(Math.abs(value))));
/** As it came in a payload, where it is text. */
export const profitText = (text) => centsText(parseFloat(text));
export const percentText = known((fraction) => signed(fraction, `${(Math.abs(fraction) * 100).toFixed(2)} %`));

function signed(value, text) {
  return /^[0.,]+( %)?$/.test(text) ? text : (value < 0 ? "−" : "+") + text;
}

/** `21:04:09`, the viewer's clock. */
export const clockText = known((timeMs) => new Date(timeMs).toTimeString().slice(0, 8));

/** What is missing: `behind since 21:04:09`, or once that is final `21:04:09 to 21:04:31 not received`. */
export const gapText = ({ sinceMs, untilMs }) =>
  untilMs === null
    ? `behind since ${clockText(sinceMs)}`
    : `${clockText(sinceMs)} to ${clockText(untilMs)} not received`;

/** A short duration as it was measured: `0.8 ms`, `42 ms`, `1.3 s`. */
export const delayText = known((durationMs) => {
  if (durationMs < 10) return `${Number(durationMs.toFixed(1))} ms`;
  return durationMs < 1_000 ? `${Math.round(durationMs)} ms` : ageText(durationMs);
});

/** A measurement, `{ms, errorMs}` or null, with its error: `1.2 ms ± 0.4 ms`. */
export const errorText = (measured) =>
  measured ? `${delayText(measured.ms)} ± ${delayText(measured.errorMs)}` : NONE;

/** `812 B`, `4.2 kB`, `1.3 MB`. */
export const bytesText = known((bytes) => {
  if (bytes < 1_000) return `${Math.round(bytes)} B`;
  return bytes < 1e6 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
});

/** How long ago: `0.4 s`, `12 s`, `3 min`, `2 h`. */
export function ageText(durationMs) {
  const seconds = Math.max(0, durationMs) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** The market's name without its venue. */
export const marketText = (market) => market.slice(market.indexOf(".") + 1);

/** `safety_order` becomes `safety order`. */
export const wordsText = (name) => name.replaceAll("_", " ");

/** What is shown of a market that no server has heard of. */
export const unknownText = (market) => `no market ${market} is known`;

/** `buy safety`, of a fill or an order; without a role only the side. */
export function orderText({ side, role }) {
  return role ? `${side} ${wordsText(role).replace(" order", "")}` : side;
}

/** Digits after the point. */
export function decimalsOf(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/**
 * What `text` lacks to have `decimals` digits after the point; drawn dim beside it, so that points line
 * up.
 */
export function paddingOf(text, decimals) {
  const missing = decimals - decimalsOf(text);
  if (missing <= 0) return "";
  return (text.includes(".") ? "" : ".") + "0".repeat(missing);
}
