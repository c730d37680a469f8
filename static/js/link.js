/**
 * The one connection to the server: its state, what it costs in time, and its channels.
 * Panels come and go; a channel is subscribed while at least one of them watches it.
 */
import { Channel } from "./channel.js";
import { answerTo } from "./sampling.js";

/** States kept for channels that nobody watches now, so that coming back finds the rows still there. */
const IDLE_CHANNELS = 16;
const PROBE_INTERVAL_MS = 5_000;
const AGES_KEPT = 64;

export class Link {
  /** `connecting`, `connected` or `disconnected`. */
  state = "connecting";
  reason = "";
  failedAttempts = 0;
  roundTripMs = null;
  /** How long a publication takes to this page by the server's clock: `{ms, errorMs}`, null before a sample. */
  delivery = null;
  /** Where this client stands on the server's ladder: `{step, name}`, null while it gets everything. */
  ladder = null;
  #centrifuge;
  /** What the server calls this connection. */
  #id = "";
  #channels = new Map();
  #ages = [];
  #onChange;

  /** `onChange` is called when the connection's state or a measurement has changed. */
  constructor(url, token, onChange) {
    this.#onChange = onChange;
    this.#centrifuge = new Centrifuge(url, { name: "page", token: token ?? "", data: { latency: true } });
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
      this.failedAttempts = 0;
      this.#become("connected", "");
      this.#probe();
    });
    this.#centrifuge.on("disconnected", ({ reason }) => this.#become("disconnected", reason));
    this.#centrifuge.on("error", () => {
      this.failedAttempts += 1;
      this.#onChange();
    });
    setInterval(() => this.#probe(), PROBE_INTERVAL_MS);
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

  get watchedNames() {
    return [...this.#channels.values()].filter((channel) => channel.isWatched).map((channel) => channel.name);
  }

  /** Median age of the last trades and orders at their arrival, or null. */
  get eventAgeMs() {
    const sorted = this.#ages.toSorted((one, other) => one - other);
    return sorted[sorted.length >> 1] ?? null;
  }

  #become(state, reason) {
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

  /** Any answer measures the way there and back, a refusal too. */
  async #probe() {
    if (this.state !== "connected" || document.hidden) return;
    const asked = performance.now();
    try {
      const { data } = await this.#centrifuge.rpc("me", {});
      if (data.e2e_ms !== null) this.delivery = { ms: data.e2e_ms, errorMs: data.e2e_error_ms };
    } catch (error) {
      if (error.code < 100) return;
    }
    this.roundTripMs = performance.now() - asked;
    this.#onChange();
  }

  #forgetIdle() {
    const idle = [...this.#channels.values()].filter((channel) => !channel.isWatched);
    for (const channel of idle.slice(0, Math.max(0, idle.length - IDLE_CHANNELS))) {
      channel.close(this.#centrifuge);
      this.#channels.delete(channel.name);
    }
  }
}
