/** What is wrong, above everything else: with what this page shows, and for an operator with the server. */
import { write } from "../dom.js";
import { Panel } from "../panel.js";
import { FEEDS, feedTroubles } from "../feeds.js";
import { clockText, errorText } from "../text.js";
import { ladderText } from "./connection.js";

/** What is over before it can be read moves nothing. */
const PATIENCE_MS = 2_000;
const SHOWN_TROUBLES = 4;
/** What a viewer notices, where no threshold of a kind is known; a single late sample says little. */
const LATE_MS = 1_000;
const LATE_SAMPLES = 3;

export class BannerPanel extends Panel {
  /** By name, since when a trouble lasts by the clock of the frames. */
  #since = new Map();

  /** An operator's alerts say more of feeds. */
  get channels() {
    return [this.page.link.isOperator ? "ops:alerts" : FEEDS];
  }

  draw(nowMs) {
    if (!this.channels.every((name) => this.watched.has(name))) queueMicrotask(() => this.follow());
    const { link } = this.page;
    const feeds = this.watched.get(FEEDS);
    const alerts = this.watched.get("ops:alerts")?.state.value?.alerts ?? [];
    const troubles = [...ownTroubles(link), ...feedTroubles(feeds?.isLive && feeds.state), ...link.watched.flatMap(bookTroubles), ...alerts.flatMap(alertTroubles)];
    this.#since = new Map(troubles.map(([name]) => [name, this.#since.get(name) ?? nowMs]));
    const texts = troubles.filter(([name]) => nowMs - this.#since.get(name) >= PATIENCE_MS).map(([, text]) => text);
    const more = texts.splice(SHOWN_TROUBLES).length;
    write(this.element, [...texts, more && `${more} more`].filter(Boolean).join("\n"));
  }
}

/** `[name, text]` of each thing that is wrong with all that this page shows. */
function ownTroubles({ state, cuts: [cut], ladder, delivery, deliveries }) {
  const isCut = state !== "connected" && cut;
  const newest = deliveries.slice(-LATE_SAMPLES);
  const isLate = delivery && newest.length === LATE_SAMPLES && newest.every((ms) => ms > LATE_MS);
  return [
    isCut && ["cut", `not connected since ${clockText(cut.sinceMs)}, ${cut.reason}: what you see is from before`],
    ladder && ["ladder", `this page reads too slowly and is given less: ${ladderText(ladder)}`],
    !isCut && isLate && ["late", `what you see comes late: ${errorText(delivery)} after its publication`],
  ].filter(Boolean);
}

function bookTroubles({ name, state: { status, since }, isLive }) {
  if (!isLive || !name.startsWith("book:") || since === null || status === "SYNCED") return [];
  return [[name, `${name.replace(":", " of ")}: ${status} since ${clockText(since)}, not to be trusted`]];
}

/** An alert that somebody has seen, or wants to hear nothing of, calls nobody here either. */
function alertTroubles({ id, severity, message, since, cleared, acknowledged, silenced_until: silenced }) {
  if (cleared || acknowledged || silenced) return [];
  return [[id, `${severity} since ${clockText(since)}: ${message}`]];
}
