/** The fills of an account, newest first, each once: a whole and a recovery may repeat what is known. */
const KEPT_FILLS = 100;

export class Fills {
  list = [];
  #known = new Set();

  whole(data) {
    for (const fill of data.fills) this.#add(fill, false);
  }

  /** Anyone with the API's key publishes here: what has no market and no id of a fill is not shown. */
  change(data) {
    if (data?.type === "order_fill" && data.market && data.fill) this.#add(data, true);
  }

  /** A fill `isLive` that came while this page was watching, unlike those it was given at the start. */
  #add(fill, isLive) {
    const key = `${fill.market} ${fill.fill}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.list.unshift({ ...fill, key, isLive });
    if (this.list.length > KEPT_FILLS) this.#known.delete(this.list.pop().key);
  }
}
