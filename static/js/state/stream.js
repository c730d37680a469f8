/**
 * A channel whose publications are all kept in order: what arrives while its history is fetched waits for it, and
 * nothing is taken twice. A subclass says what `add(data)` and `skip(count, data)`, a hole in the offsets, do.
 */
export class Stream {
  #offset = 0;
  #epoch = null;
  #held = null;

  /** A stream has no whole; its history comes through `fill`. */
  whole() {}

  /** Keep what arrives until the history is there, of this epoch. */
  hold(epoch) {
    if (epoch !== this.#epoch) this.#offset = 0;
    this.#epoch = epoch;
    this.#held = [];
  }

  /** Add the history (newest first, empty when there was none to be had) and what was held. */
  fill(publications) {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { data, offset } of [...publications.toReversed(), ...held]) this.change(data, offset);
  }

  change(data, offset) {
    if (this.#held) this.#held.push({ data, offset });
    else if (offset === undefined) this.add(data);
    else if (offset > this.#offset) this.#follow(data, offset);
  }

  #follow(data, offset) {
    const missing = offset - this.#offset - 1;
    if (this.#offset > 0 && missing > 0) this.skip(missing, data);
    this.#offset = offset;
    this.add(data);
  }
}
