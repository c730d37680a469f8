/** The account's fills as they happen, newest first. */
import { makeRow, write } from "../dom.js";
import { Panel } from "../panel.js";
import { Reach } from "../reach.js";
import { TABLE_ROW_PX, Rows } from "../rows.js";
import { clockText, delayText, shown } from "../text.js";
import { writeOrder } from "./orders.js";

export class FillsPanel extends Panel {
  /** In the next frame: a fill is what people wait for. */
  mark = this.markUrgent;
  #rows = new Rows(this.element.querySelector("tbody"), () => makeRow("fill-row", ["time", "order", "market"], ["price", "size", "delay"]), fillFillRow);
  #count = this.element.querySelector("[data-fills=count]");
  #reach = new Reach(this.element.querySelector(".scroll"), TABLE_ROW_PX, this.mark);

  get channels() {
    return [`orders:${this.page.account}`];
  }

  draw() {
    const shown = this.state(this.channels[0]).list.filter(this.concerns);
    this.#rows.draw(shown.slice(0, this.#reach.end), (fill) => fill.key);
    this.notice(shown.length ? "" : `no fills of ${this.whose} yet`);
    write(this.#count, shown.length ? `${shown.length} kept` : "");
  }
}

function fillFillRow(row, fill) {
  if (row.element.dataset.fillId === fill.fill) return;
  row.element.dataset.fillId = fill.fill;
  row.element.title = `order ${shown(fill.order)}: ${shown(fill.filled)} of ${shown(fill.order_size)}, fee ${shown(fill.fee)} ${shown(fill.fee_asset)}`;
  row.element.classList.toggle("is-live", fill.isLive);
  write(row.time, clockText(fill.time));
  write(row.delay, fill.backfilled ? "late" : delayText(fill.delay_ms));
  writeOrder(row, fill);
}
