/** One subscription and the state it feeds, shared by every panel that shows it. */
import { Book } from "./state/book.js";
import { Cycles } from "./state/cycles.js";
import { Entries } from "./state/entries.js";
import { Fills } from "./state/fills.js";
import { HotMarkets } from "./state/hot.js";
import { Keyed } from "./state/keyed.js";
import { Latest } from "./state/latest.js";
import { Tape } from "./state/tape.js";

const TAPE_TRADES = 10_000;
const MARKET_TAPE_TRADES = 1_000;
const PERMISSION_DENIED = 103;
/** Namespaces whose channels hold state by key, which the client reads in pages. */
const MAPS = new Set(["botstate", "open_orders"]);

const namespaceOf = (name) => name.slice(0, name.indexOf(":"));

function stateFor(name) {
  if (name === "trades:all") return new Tape(TAPE_TRADES);
  if (name === "market:hot") return new HotMarkets();
  if (MAPS.has(namespaceOf(name))) return new Entries();
  switch (namespaceOf(name)) {
    case "trades":
      return new Tape(MARKET_TAPE_TRADES, name.slice(name.indexOf(":") + 1));
    case "ops":
    case "ticker":
      return new Latest();
    case "book":
      return new Book();
    case "bots":
      return new Cycles();
    case "orders":
      return new Fills();
    default:
      return new Keyed();
  }
}

export class Channel {
  /** Why the server refused the channel: `{code, reason}`, or null. */
  refusal = null;
  /**
   * Since when the state is not what the server says, and until when if that can't be made good: `{sinceMs,
   * untilMs}`; null while nothing is missing.
   */
  gap = null;
  #subscription;
  #hasBegun = false;
  #watchers = new Set();

  /** `onEvent` sees each publication. */
  constructor(centrifuge, name, onEvent) {
    this.name = name;
    this.state = stateFor(name);
    this.#subscription = MAPS.has(namespaceOf(name))
      ? this.#followMap(centrifuge, onEvent)
      : this.#followStream(centrifuge, onEvent);
    this.#subscription.on("subscribed", (context) => this.#begin(context));
    this.#subscription.on("subscribing", () => {
      this.#fallBehind();
      this.#notify();
    });
    this.#subscription.on("unsubscribed", (refusal) => {
      this.#fallBehind();
      if (refusal.code) this.#refuse(refusal);
      this.#notify();
    });
  }

  #followStream(centrifuge, onEvent) {
    const subscription = centrifuge.newSubscription(this.name, { recoverable: true });
    subscription.on("publication", (event) => {
      this.state.change(event.data, event.offset);
      onEvent(event);
      this.#notify();
    });
    return subscription;
  }

  #followMap(centrifuge, onEvent) {
    const subscription = centrifuge.newMapSubscription(this.name);
    subscription.on("sync", ({ entries }) => {
      this.state.whole(entries);
      this.#notify();
    });
    subscription.on("update", (event) => {
      this.state.change(event);
      onEvent(event);
      this.#notify();
    });
    return subscription;
  }

  /** Whether the state is what the server says now; a lost connection or a pause leaves it behind. */
  get isLive() {
    return this.#subscription.state === "subscribed";
  }

  /** Whether the server would give it to who holds a token for it. */
  get needsToken() {
    return this.refusal?.code === PERMISSION_DENIED;
  }

  get isWatched() {
    return this.#watchers.size > 0;
  }

  watch(watcher) {
    this.#watchers.add(watcher);
    this.#subscription.subscribe();
  }

  leave(watcher) {
    this.#watchers.delete(watcher);
    if (!this.isWatched) this.#subscription.unsubscribe();
  }

  /** Forget the channel at `centrifuge`; call it only while nobody watches. */
  close(centrifuge) {
    centrifuge.removeSubscription(this.#subscription);
  }

  #fallBehind() {
    if (this.#hasBegun && this.gap?.untilMs !== null) this.gap = { sinceMs: Date.now(), untilMs: null };
  }

  #begin({ data, recovered, wasRecovering, streamPosition }) {
    this.refusal = null;
    this.#hasBegun = true;
    this.gap = this.gap && wasRecovering && !recovered ? { ...this.gap, untilMs: Date.now() } : null;
    if (data !== undefined) this.state.whole(data);
    if (this.state.historySize && !recovered) this.#fill(streamPosition?.epoch);
    this.#notify();
  }

  /** What was shown before is not ours to see any more: another server may be answering. */
  #refuse(refusal) {
    this.refusal = refusal;
    this.state = stateFor(this.name);
    this.#hasBegun = false;
    this.gap = null;
  }

  #fill(epoch) {
    const { state } = this;
    state.hold(epoch);
    this.#subscription
      .history({ limit: state.historySize, reverse: true })
      .catch(() => ({ publications: [] }))
      .then(({ publications }) => {
        state.fill(publications);
        this.#notify();
      });
  }

  #notify() {
    for (const watcher of this.#watchers) watcher();
  }
}
