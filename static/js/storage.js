/** What the page keeps in the browser: where that is forbidden or full, nothing is kept and all else goes on. */
class Storage {
  #area = null;

  /** `name` is that of the window's property, whose mere reading fails where it is forbidden. */
  constructor(name) {
    this.#try(() => (this.#area = window[name]));
  }

  get(key) {
    return this.#try(() => this.#area?.getItem(key)) ?? null;
  }

  set(key, value) {
    this.#try(() => this.#area?.setItem(key, value));
  }

  delete(key) {
    this.#try(() => this.#area?.removeItem(key));
  }

  #try(act) {
    try {
      return act();
    } catch {
      return null;
    }
  }
}

/** Kept for the next visit. */
export const lasting = new Storage("localStorage");
/** Kept in this tab, until it is closed. */
export const passing = new Storage("sessionStorage");
