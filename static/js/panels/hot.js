/** The markets where most happens, each with its last prices as a line. */
import { make, write } from "../dom.js";
import { Panel } from "../panel.js";
import { Rows } from "../rows.js";
import { marketText, percentText, shortText, wholeText } from "../text.js";
import { drawSparkline, trendOf } from "../views/sparkline.js";

const LINE_HEIGHT = 20;

export class HotPanel extends Panel {
  #rows = new Rows(this.element.querySelector("tbody"), makeRow, (row, market) => this.#fill(row, market));

  get channels() {
    return ["market:hot", "market:sparkline"];
  }

  draw() {
    const markets = this.state("market:hot").value?.markets ?? [];
    this.#rows.draw(markets, (market) => market.market);
    this.notice(markets.length ? "" : "nothing has traded yet");
    return false;
  }

  #fill(row, market) {
    const points = this.state("market:sparkline").sections.points?.get(market.market) ?? market.points;
    row.element.dataset.market = market.market;
    row.element.title = market.title || market.market;
    row.change.dataset.trend = trendOf(["1", 1 + market.change]);
    write(row.name, marketText(market.market));
    write(row.price, market.price);
    write(row.change, percentText(market.change));
    write(row.volume, shortText(Number(market.volume)));
    write(row.trades, wholeText(market.trades));
    if (row.points === points) return;
    row.points = points;
    drawSparkline(row.sparkline, points, LINE_HEIGHT);
  }
}

function makeRow() {
  const name = make("th", "name");
  name.scope = "row";
  const [price, change, volume, trades] = ["price", "change", "volume", "trades"].map((kind) => make("td", `number ${kind}`));
  const sparkline = makeSparkline();
  const element = make("tr", "", name, make("td", "trend", sparkline), price, change, volume, trades);
  element.dataset.testid = "hot-row";
  return { element, name, price, change, volume, trades, sparkline, points: null };
}

function makeSparkline() {
  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const svg = make("svg");
  const line = make("path");
  svg.setAttribute("viewBox", `0 0 100 ${LINE_HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("sparkline");
  line.classList.add("line");
  svg.append(line);
  return svg;
}
