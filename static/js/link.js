/**
 * The one connection to the server: its state, what it costs in time, and its channels.
 * Panels come and go; a channel is subscribed while at least one of them watches it.
 */
import { Channel } from "./channel.js";
import { answerTo } from "./sampling.js";

/** States kept for channels that nobody watches now, so that coming back finds the rows still there. */
const IDLE_CHANNELS = 16;
const TICK_MS = 1_000;
/** Between two probes, unless somebody studies them; after a sleep, or once the clock was set, the first tick finds one due. */
const PROBE_INTERVAL_MS = 5_000;
/** After a cut: at most so long to the next attempt, each time another part of it, so that not all come at once. */
const RECONNECT_MS = { minReconnectDelay: 200, maxReconnectDelay: 3_000 };
const NO_ANSWER = 1;
const CUTS_KEPT = 20;
const DELIVERIES_KEPT = 60;
const AGES_KEPT = 64;

export class Link {
  /** `connecting`, `connected` or `disconnected`. */
  state = "connecting";
  reason = "";
  failedAttempts = 0;
  /** Whether the server takes the token no longer, so that to try again is of no use. */
  needsToken = false;
  roundTripMs = null;
  /** How long a publication takes to this page by the server's clock: `{ms, errorMs}`, null before a sample. */
  delivery = null;
  /** Whether the server takes this client for an operator's; only it can know whose key has signed a token. */
  isOperator = false;
  /** Where this client stands on the server's ladder: `{step, name}`, null while it gets everything. */
  ladder = null;
  /** What the server says of this connection (RPC `me`), null before its first answer. */
  row = null;
  bytesPerSecond = 0;
  /** The last deliveries' milliseconds as texts, oldest first. */
  deliveries = [];
  /** When the connection was lost, newest first: `{sinceMs, untilMs, reason}`, `untilMs` null until it is back. */
  cuts = [];
  #centrifuge;
  /** What the server calls this connection. */
  #id = "";
  #channels = new Map();
  #ages = [];
  #onChange;
  #onOperator;
  #isStudied = false;
  #probedMs = 0;
  #askedMs = 0;

  /**
   * `onChange` is called when the connection's state or a measurement has changed, `onOperator` once the server
   * takes this client for an operator's.
   */
  constructor(url, token, onChange, onOperator) {
    this.#onChange = onChange;
    this.#onOperator = onOperator;
    this.#centrifuge = new Centrifuge(url, {
      name: "page",
      token: token ?? "",
      data: { latency: true },
      ...RECONNECT_MS,
    });
    this.#centrifuge.on("connecting", ({ code, reason }) =>
      this.#become("connecting", code === 0 ? "" : reason),
    );
    this.#centrifuge.on("message", ({ data }) => {
      if (!data?.ladder) return;
      this.ladder = data.ladder.step ? data.ladder : null;
      this.#onChange();
    });
    this.#centrifuge.on("connected", ({ client }) => {
      this.#id = client;
      this.delivery = null;
      this.ladder = null;
      this.row = null;
      this.failedAttempts = 0;
      if (this.cuts[0]) this.cuts[0].untilMs ??= Date.now();
      this.#become("connected", "");
      this.#probe();
    });
    this.#centrifuge.on("disconnected", ({ code, reason }) => {
      // The SDK's word for one that has expired, and the server's for one that it never took.
      this.needsToken = [1, 3500].includes(code);
      this.#become("disconnected", this.needsToken ? "token expired or refused" : reason);
    });
    this.#centrifuge.on("error", () => {
      this.failedAttempts += 1;
      this.#onChange();
    });
    setInterval(() => {
      if (this.#isStudied || Math.abs(Date.now() - this.#probedMs) >= PROBE_INTERVAL_MS) this.#probe();
    }, TICK_MS);
    // After a sleep the line may be dead without anybody having said so.
    document.addEventListener("visibilitychange", () => this.#probe());
  }

  connect() {
    this.#centrifuge.connect();
  }

  /**
   * Subscribe to `name` for as long as `watcher` wants it, and return its channel; `watcher` is called on
   * each change.
   */
  watch(name, watcher) {
    const channel =
      this.#channels.get(name) ?? new Channel(this.#centrifuge, name, (event) => this.#receive(name, event));
    this.#channels.delete(name);
    this.#channels.set(name, channel);
    channel.watch(watcher);
    this.#onChange();
    return channel;
  }

  leave(name, watcher) {
    this.#channels.get(name).leave(watcher);
    this.#forgetIdle();
    this.#onChange();
  }

  /** The channels that somebody watches. */
  get watched() {
    return [...this.#channels.values()].filter((channel) => channel.isWatched);
  }

  /** Ask the server for this connection's row every second, as long as somebody looks at it. */
  study(isStudied) {
    this.#isStudied = isStudied;
    if (isStudied) this.#probe();
  }

  /** The accounts that an operator may look at, the one told of last first. */
  async accounts() {
    const asked = this.#centrifuge.rpc("ops.accounts", { sort: "active", descending: true });
    const { data } = await asked.catch(() => ({ data: { rows: [] } }));
    return data.rows.map(({ account }) => account);
  }

  /** Median age of the last trades and orders at their arrival, or null. */
  get eventAgeMs() {
    const sorted = this.#ages.toSorted((one, other) => one - other);
    return sorted[sorted.length >> 1] ?? null;
  }

  #become(state, reason) {
    if (this.state === "connected" && state !== "connected") this.#noteCut(reason);
    this.state = state;
    this.reason = reason;
    this.#onChange();
  }

  #receive(name, { data, tags }) {
    const answer = answerTo(tags, this.#id);
    if (answer) this.#centrifuge.send(answer).catch(() => {});
    this.#measure(name, data);
  }

  #measure(name, data) {
    if (!/^(trades|orders):/.test(name) || !Number.isFinite(data?.time)) return;
    this.#ages.push(Math.max(0, Date.now() - data.time));
    if (this.#ages.length > AGES_KEPT) this.#ages.shift();
  }

  #noteCut(reason) {
    this.cuts.unshift({ sinceMs: Date.now(), untilMs: null, reason });
    this.cuts.splice(CUTS_KEPT);
  }

  /** Any answer measures the way there and back, a refusal too; a line on which none comes is dead. */
  async #probe() {
    if (this.state !== "connected" || document.hidden) return;
    this.#probedMs = Date.now();
    const asked = performance.now();
    try {
      const { data } = await this.#centrifuge.rpc("me", {});
      this.#noteRow(data, asked);
    } catch (error) {
      if (error.code === NO_ANSWER) this.#giveUp();
      if (error.code < 100) return;
    }
    this.roundTripMs = performance.now() - asked;
    this.#onChange();
  }

  #noteRow(row, askedMs) {
    const before = this.row;
    if (before) this.bytesPerSecond = ((row.sent_bytes - before.sent_bytes) / (askedMs - this.#askedMs)) * 1_000;
    this.row = row;
    if (row.operator && !this.isOperator) this.#onOperator();
    this.isOperator = row.operator;
    this.#askedMs = askedMs;
    // Between two samples the server tells the last one again.
    if (row.e2e_ms === null || row.e2e_ms === before?.e2e_ms) return;
    this.delivery = { ms: row.e2e_ms, errorMs: row.e2e_error_ms };
    this.deliveries.push(String(row.e2e_ms));
    if (this.deliveries.length > DELIVERIES_KEPT) this.deliveries.shift();
  }

  /** The line is cut for its silence, not because somebody called for it. */
  #giveUp() {
    this.#become("connecting", "no answer");
    this.#centrifuge.disconnect();
    this.#centrifuge.connect();
  }

  #forgetIdle() {
    const idle = [...this.#channels.values()].filter((channel) => !channel.isWatched);
    for (const channel of idle.slice(0, Math.max(0, idle.length - IDLE_CHANNELS))) {
      channel.close(this.#centrifuge);
      this.#channels.delete(channel.name);
    }
  }
}
