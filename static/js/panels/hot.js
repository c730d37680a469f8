/** The markets where most happens, each with its last prices as a line. */
import { makeRow, write, writeMarket, writeSigned } from "../dom.js";
import { FEEDS, emptyText } from "../feeds.js";
import { Panel } from "../panel.js";
import { Rows } from "../rows.js";
import { percentText, shortText, wholeText } from "../text.js";
import { changeOf, drawSparkline } from "../views/sparkline.js";

/** One of those that stand in the document, to be drawn anew. */
const SPARKLINE = document.querySelector("#status .sparkline");

export class HotPanel extends Panel {
  #rows = new Rows(this.element.querySelector("tbody"), makeHotRow, fillHotRow);

  get channels() {
    return ["market:hot", FEEDS];
  }

  draw() {
    const markets = this.state("market:hot").ranked;
    this.#rows.draw(markets, (market) => market.market);
    this.notice(markets.length ? "" : emptyText(this.state(FEEDS), "nothing has traded yet"));
  }
}

function fillHotRow(row, market) {
  row.element.dataset.market = market.market;
  row.element.title = market.title || market.market;
  writeSigned(row.change, percentText(changeOf(market.points)));
  writeMarket(row.name, market.market);
  write(row.price, market.price);
  write(row.volume, shortText(Number(market.volume)));
  write(row.trades, wholeText(market.trades));
  drawSparkline(row.sparkline, market.points);
}

function makeHotRow() {
  const row = makeRow("hot-row", ["name", "trend"], ["price", "change", "volume", "trades"]);
  row.sparkline = SPARKLINE.cloneNode(true);
  row.trend.append(row.sparkline);
  return row;
}
