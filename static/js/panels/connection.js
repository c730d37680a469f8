/** The header's readings: whether the page is connected, why not, and what the way costs in time. */
import { show, tag, write } from "../dom.js";
import { delayText, errorText } from "../text.js";

/** What each step of the server's ladder leaves, in words. */
const STEPS = {
  merge: "changes merged",
  book_20: "books of 20",
  book_5: "books of 5",
  slow: "once a second",
  snapshots: "every 5 s, no trades",
};

export const ladderText = ({ name }) => STEPS[name] ?? name;

export class ConnectionBar {
  beatMs = 100;
  #page;
  #button = document.getElementById("connection");
  #account = document.getElementById("account");
  #roundTrip = document.getElementById("round-trip");
  #delivery = document.getElementById("delivery");
  #eventAge = document.getElementById("event-age");
  #ladder = document.getElementById("ladder");

  constructor(page) {
    this.#page = page;
    this.#button.addEventListener("click", () => this.#retry());
  }

  get isShown() {
    return !document.hidden;
  }

  draw() {
    const { account, hasToken, link } = this.#page;
    const { state, roundTripMs, delivery, eventAgeMs, ladder } = link;
    tag(document.body, "connection", state);
    tag(this.#button, "state", state);
    write(this.#button, this.#stateText());
    const isStranger = link.needsToken || (!hasToken && link.watched.some((channel) => channel.needsToken));
    write(this.#account, isStranger ? "sign in" : account);
    write(this.#roundTrip, delayText(roundTripMs));
    write(this.#delivery, errorText(delivery));
    write(this.#eventAge, delayText(eventAgeMs));
    show(this.#ladder, ladder !== null);
    if (ladder) write(this.#ladder.querySelector("dd"), ladderText(ladder));
  }

  #retry() {
    const { link } = this.#page;
    if (link.state !== "disconnected") return;
    if (link.needsToken) this.#account.click();
    else link.connect();
  }

  #stateText() {
    const { state, reason, failedAttempts, needsToken } = this.#page.link;
    if (needsToken && state === "disconnected") return `${reason} · give another`;
    if (state === "connected") return state;
    const parts = [
      state,
      reason,
      failedAttempts ? `${failedAttempts} failed` : "",
      state === "disconnected" ? "retry" : "",
    ];
    return parts.filter(Boolean).join(" · ");
  }
}
