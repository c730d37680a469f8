/**
 * The few things done to the document; texts are written only when they differ, so an idle frame costs
 * nothing.
 */
import { NONE, marketText } from "./text.js";

/** Those heard of so far. */
const venues = new Set();

/** Make an element with `className` and `children` (elements or texts). */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Make a table's row, a cell a name, those of `figures` aligned as numbers: `{element, [name]: cell}`. */
export function makeRow(testid, texts, figures = []) {
  const cells = Object.fromEntries([
    ...texts.map((name) => [name, make("td", name)]),
    ...figures.map((name) => [name, make("td", `number ${name}`)]),
  ]);
  const element = make("tr", "", ...Object.values(cells));
  element.dataset.testid = testid;
  return { element, ...cells };
}

/** Set the text of an element that holds nothing else; what is not known is a dash. */
export function write(element, text) {
  text ??= NONE;
  const node = element.firstChild ?? element.appendChild(document.createTextNode(""));
  if (node.data !== text) node.data = text;
}

/** Set the name of a market; beside it the style sheet shows its venue, as soon as the page has heard of two. */
export function writeMarket(element, market) {
  const name = marketText(market);
  const venue = market.slice(0, -name.length - 1);
  write(element, name);
  tag(element, "venue", venue);
  if (venue && venues.add(venue).size > 1) tag(document.body, "venues", "");
}

/** Show an element or not; to hide what is hidden costs its style again. */
export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/** Set a text that begins with its sign, and its colour by the sign. */
export function writeSigned(element, text) {
  write(element, text);
  tag(element, "trend", { "+": "up", "−": "down" }[text[0]] ?? "flat");
}

/** Set `data-name` of an element; null removes it. */
export function tag(element, name, value) {
  if (value === null) delete element.dataset[name];
  else if (element.dataset[name] !== value) element.dataset[name] = value;
}
