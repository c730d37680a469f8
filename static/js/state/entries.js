/** The state of a map: its entries by key, bots or open orders, those that changed first at the start. */
export class Entries {
  byKey = new Map();

  /** Entries come in the order of their keys, but are shown in the order in which they came to be. */
  whole(entries) {
    const inOrder = entries.toSorted((one, other) => one.offset - other.offset);
    this.byKey = new Map(inOrder.map(({ key, data }) => [key, data]));
  }

  /** `[key, data]` in the order of the keys, which no change moves. */
  get sorted() {
    return [...this.byKey].sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }));
  }

  change({ key, data, removed }) {
    if (removed) this.byKey.delete(key);
    else this.byKey.set(key, data);
  }
}
