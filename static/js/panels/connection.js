/** The header's readings: whether the page is connected, why not, and what the way costs in time. */
import { tag, write } from "../dom.js";
import { NONE, delayText } from "../text.js";

export class ConnectionBar {
  isShown = true;
  #link;
  #button = document.getElementById("connection");
  #roundTrip = document.getElementById("round-trip");
  #eventAge = document.getElementById("event-age");
  #channels = document.getElementById("channels");

  constructor(link) {
    this.#link = link;
    this.#button.addEventListener("click", () => link.state === "disconnected" && link.connect());
  }

  draw() {
    const { state, roundTripMs, eventAgeMs, watchedNames } = this.#link;
    tag(document.body, "connection", state);
    tag(this.#button, "state", state);
    write(this.#button, this.#stateText());
    write(this.#roundTrip, roundTripMs === null ? NONE : delayText(roundTripMs));
    write(this.#eventAge, eventAgeMs === null ? NONE : delayText(eventAgeMs));
    write(this.#channels.querySelector("dd"), String(watchedNames.length));
    this.#channels.title = watchedNames.join("\n");
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
