/** The account's open orders. */
import { makeRow, tag, write, writeMarket } from "../dom.js";
import { Panel } from "../panel.js";
import { Rows } from "../rows.js";
import { orderText, shown } from "../text.js";

export class OrdersPanel extends Panel {
  #rows = new Rows(this.element.querySelector("tbody"), () => makeRow("order-row", ["order", "market"], ["price", "size", "filled"]), fillOrderRow);
  #count = this.element.querySelector("[data-orders=count]");

  get channels() {
    return [`open_orders:${this.page.account}`];
  }

  draw() {
    const orders = [...this.state(this.channels[0]).byKey.values()].filter(this.concerns).reverse();
    this.#rows.draw(orders, (order) => `${order.market}/${order.order}`);
    this.notice(orders.length ? "" : `no open orders of ${this.whose}`);
    write(this.#count, orders.length ? String(orders.length) : "");
  }
}

function fillOrderRow(row, order) {
  row.element.dataset.orderId = order.order;
  row.element.title = `order ${order.order}, ${shown(order.order_type)}, ${shown(order.status)}`;
  write(row.filled, order.filled);
  writeOrder(row, order);
}

/** Write what an order and a fill of one have in common. */
export function writeOrder(row, order) {
  tag(row.element, "market", order.market);
  row.market.title = order.market;
  tag(row.element, "side", order.side);
  write(row.order, orderText(order));
  writeMarket(row.market, order.market);
  write(row.price, order.price);
  write(row.size, order.size);
}
