/** What an account's bots did, newest first: the phases of their cycles, and when they came and went. */
import { Stream } from "./stream.js";

const KEPT_EVENTS = 500;
const TYPES = new Set(["bot_cycle", "bot_lifecycle", "bot_status"]);

export class Cycles extends Stream {
  historySize = 300;
  list = [];
  #count = 0;

  /** Anyone with the API's key publishes here: what is no event of a bot is not shown. */
  add(event) {
    if (!TYPES.has(event?.type) || !event.bot) return;
    this.list.unshift({ ...event, key: String(this.#count++) });
    if (this.list.length > KEPT_EVENTS) this.list.pop();
  }

  /** The panel says by its own means that something is missing. */
  skip() {}
}
