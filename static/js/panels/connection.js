/** The header's readings: whether the page is connected, why not, and what the way costs in time. */
import { tag, write } from "../dom.js";
import { NONE, delayText } from "../text.js";

/** What each step of the server's ladder leaves, in words. */
const STEPS = {
  merge: "changes merged",
  book_20: "books of 20",
  book_5: "books of 5",
  slow: "once a second",
  snapshots: "every 5 s, no trades",
};

export class ConnectionBar {
  isShown = true;
  #link;
  #button = document.getElementById("connection");
  #roundTrip = document.getElementById("round-trip");
  #delivery = document.getElementById("delivery");
  #eventAge = document.getElementById("event-age");
  #channels = document.getElementById("channels");
  #ladder = document.getElementById("ladder");

  constructor(link) {
    this.#link = link;
    this.#button.addEventListener("click", () => link.state === "disconnected" && link.connect());
  }

  draw() {
    const { state, roundTripMs, delivery, eventAgeMs, watchedNames, ladder } = this.#link;
    tag(document.body, "connection", state);
    tag(this.#button, "state", state);
    write(this.#button, this.#stateText());
    write(this.#roundTrip, roundTripMs === null ? NONE : delayText(roundTripMs));
    write(this.#delivery, delivery ? `${delayText(delivery.ms)} ± ${delayText(delivery.errorMs)}` : NONE);
    write(this.#eventAge, eventAgeMs === null ? NONE : delayText(eventAgeMs));
    write(this.#channels.querySelector("dd"), String(watchedNames.length));
    this.#channels.title = watchedNames.join("\n");
    this.#ladder.hidden = ladder === null;
    if (ladder) write(this.#ladder.querySelector("dd"), STEPS[ladder.name] ?? ladder.name);
    return false;
  }

  #stateText() {
    const { state, reason, failedAttempts } = this.#link;
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
