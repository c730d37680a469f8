/** Every trade, or those of the market that is viewed, newest first. */
import { Panel } from "../panel.js";
import { write } from "../dom.js";
import { FEEDS, emptyText } from "../feeds.js";
import { wholeText } from "../text.js";
import { TapeList } from "../views/tape-list.js";

export class TapePanel extends Panel {
  /** Rows that move by leaps are harder to follow than figures. */
  beatMs = 100;
  #count = this.element.querySelector("[data-tape=count]");
  #pause = this.element.querySelector("[data-action=pause]");
  #list = new TapeList(
    this.element.querySelector("[data-tape=list]"),
    this.element.querySelector("[data-tape=newer]"),
    this.markUrgent,
  );

  #channel = "";

  get channels() {
    return [`trades:${this.subjectOf("market") || "all"}`, FEEDS];
  }

  /** What nobody sees is not paused by a key. */
  togglePause() {
    if (this.element.hidden) return;
    if (this.#list.isPaused) this.#list.toNewest();
    else this.#list.pause();
  }

  draw() {
    const [channel] = this.channels;
    const tape = this.state(channel);
    if (channel !== this.#channel) this.#list.reset();
    this.#channel = channel;
    this.#list.draw(tape);
    this.notice(tape.end ? "" : emptyText(this.state(FEEDS), "no trades yet"));
    write(this.#count, `${wholeText(tape.end - tape.start)} kept`);
    this.#pause.ariaPressed = this.#list.isPaused;
    write(this.#pause, this.#list.isPaused ? "Go on" : "Pause");
  }
}
