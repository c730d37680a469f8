/**
 * A list of rows by key: kept, moved and removed, never rebuilt, so that focus and place survive.
 * One row is a tab stop; the arrow keys move it. Enter opens the row's market, as a click does.
 */
/** Their least height. */
export const TABLE_ROW_PX = 23;

export class Rows {
  #rows = new Map();
  #body;
  #create;
  #update;
  #stop = null;

  /** `create()` makes `{element, …}`; `update(row, item)` writes an item into it. */
  constructor(body, create, update) {
    this.#body = body;
    this.#create = create;
    this.#update = update;
    body.addEventListener("keydown", (event) => this.#steer(event));
    body.addEventListener("focusin", (event) => this.#rove(event.target.closest("[tabindex]")));
  }

  /** Show `items`, in their order; `keyOf(item)` is the same for the same thing. */
  draw(items, keyOf) {
    const focused = this.#body.contains(document.activeElement) ? document.activeElement : null;
    const kept = new Set(items.map(keyOf));
    for (const [key, row] of this.#rows) if (!kept.has(key)) this.#remove(key, row);
    let place = this.#body.firstElementChild;
    for (const item of items) {
      const { element } = this.#draw(keyOf(item), item);
      if (element === place) place = place.nextElementSibling;
      else this.#body.insertBefore(element, place);
    }
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
    if (!this.#stop?.isConnected) this.#rove(this.#body.firstElementChild);
  }

  #draw(key, item) {
    let row = this.#rows.get(key);
    if (!row) {
      row = this.#create();
      row.element.tabIndex = -1;
      this.#rows.set(key, row);
    }
    this.#update(row, item);
    return row;
  }

  #remove(key, row) {
    row.element.remove();
    this.#rows.delete(key);
  }

  #rove(element) {
    if (this.#stop) this.#stop.tabIndex = -1;
    this.#stop = element;
    if (element) element.tabIndex = 0;
  }

  #steer(event) {
    const row = event.target.closest("[tabindex]");
    const next = {
      ArrowDown: row?.nextElementSibling,
      ArrowUp: row?.previousElementSibling,
      Home: this.#body.firstElementChild,
      End: this.#body.lastElementChild,
    }[event.key];
    if (event.key === "Enter") row?.click();
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
