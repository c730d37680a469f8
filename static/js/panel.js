/**
 * A part of the page that watches channels while it is on the screen and draws them once a frame.
 * A panel says which channels it needs now and how to draw; when to do either is decided here.
 */
import { make, write } from "./dom.js";
import { FEEDS } from "./feeds.js";
import { gapText } from "./text.js";

export class Panel {
  isShown = false;
  /** The panel is drawn at most once in so long: more than five times a second, figures are but a blur. */
  beatMs = 200;
  /** The channels watched now, by name. */
  watched = new Map();
  mark = () => this.page.frame.mark(this);
  /** For what the viewer's hand moves: he sees a wait of a beat. */
  markUrgent = () => this.page.frame.mark(this, true);
  #notice;
  #gap = make("span", "gap");

  constructor(element, page) {
    this.element = element;
    this.page = page;
    this.#notice = element.querySelector(".notice");
    this.#gap.setAttribute("role", "status");
    element.querySelector("h2")?.after(this.#gap);
    page.screen.observe(element, (isShown) => {
      this.isShown = isShown;
      this.follow();
    });
  }

  /** What the address bar says after `view`; "" while it names another one. */
  subjectOf(view) {
    const { route } = this.page.router;
    return route.view === view ? route.subject : "";
  }

  /** Whether something of a market belongs here: everything does, but in the view of one market. */
  concerns = ({ market }) => ["", market].includes(this.subjectOf("market"));

  /** Of whom, and in which market, something of the account's is shown. */
  get whose() {
    return [this.page.account, this.subjectOf("market")].filter(Boolean).join(" in ");
  }

  /** Names of the channels that the panel needs while it is shown. */
  get channels() {
    return [];
  }

  /** Draw the state of the watched channels; true asks for another frame. Reads no layout. */
  draw() {}

  /** Watch what is needed now and leave the rest; call it when `channels` has changed. */
  follow() {
    const needed = new Set(this.isShown ? this.channels : []);
    for (const name of this.watched.keys()) if (!needed.has(name)) this.#leave(name);
    for (const name of needed)
      if (!this.watched.has(name)) this.watched.set(name, this.page.link.watch(name, this.mark));
    this.mark();
  }

  state(name) {
    return this.watched.get(name).state;
  }

  isLive(name) {
    return this.watched.get(name).isLive;
  }

  /**
   * Say why there is nothing to see: `text`, unless a channel was refused, or was not heard of yet and nobody
   * knows; "" when there is something. That nothing may be known of the feeds is no reason. Beside the title, say
   * what is missing of what there is.
   */
  notice(text) {
    const channels = [...this.watched.values()].filter(({ name, refusal }) => name !== FEEDS || refusal === null);
    const refused = channels.find((channel) => channel.refusal);
    const isKnown = channels.every((channel) => channel.isLive);
    const why = refused?.needsToken
      ? `orders and bots need ${this.page.hasToken ? "another" : "a"} token: the account button takes one`
      : `${refused?.name}: ${refused?.refusal.reason}`;
    write(this.#notice, refused ? why : isKnown ? text : "");
    this.element.classList.toggle("needs-token", !!refused?.needsToken);
    const torn = channels.find((channel) => channel.gap !== null);
    write(this.#gap, torn ? gapText(torn.gap) : "");
  }

  #leave(name) {
    this.watched.delete(name);
    this.page.link.leave(name, this.mark);
  }
}
