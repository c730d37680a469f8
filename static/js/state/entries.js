/** The state of a map: its entries by key, bots or open orders, those that changed first at the start. */
export class Entries {
  byKey = new Map();

  /** Entries come in the order of their keys, but are shown in the order in which they came to be. */
  whole(entries) {
    const inOrder = entries.toSorted((one, other) => one.offset - other.offset);
    this.byKey = new Map(inOrder.map(({ key, data }) => [key, data]));
  }

  change({ key, data, removed }) {
    if (removed) this.byKey.delete(key);
    else this.byKey.set(key, data);
  }
}
