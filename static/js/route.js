/**
 * The view that the address bar names: `#/market/sim.BTCUSDT` is `market` of `sim.BTCUSDT`. A view is a choice of
 * panels; those that are not in it are hidden, and so subscribe to nothing.
 */
const FIRST = "overview";

/** `{view, subject}` of a hash; the views are those that have a link. */
function routeOf(hash) {
  const [, view, subject = ""] = hash.split("/");
  const isKnown = view === "market" ? subject : document.querySelector(`.views [href="#/${CSS.escape(view)}"]`);
  if (!isKnown) return { view: FIRST, subject: "" };
  try {
    return { view, subject: decodeURIComponent(subject) };
  } catch {
    return { view: FIRST, subject: "" };
  }
}

export class Router {
  route = routeOf(location.hash);
  #main;
  #onChange;
  /** Where the focus was in each address, to be found again by the way back. */
  #focused = new Map();
  #hash = location.hash;

  /** `onChange()` is called once another view's panels are shown. */
  constructor(main, onChange) {
    this.#main = main;
    this.#onChange = onChange;
    this.#show();
    addEventListener("hashchange", () => this.#change());
  }

  #change() {
    const { hash } = location;
    if (hash.startsWith("#token=")) return location.reload();
    if (hash === "#panels") {
      history.replaceState(null, "", this.#hash || "#/"); // the link past the navigation names no view
      return this.#main.focus();
    }
    this.#focused.set(this.#hash, document.activeElement);
    this.#hash = hash;
    this.route = routeOf(this.#hash);
    this.#show();
    this.#onChange();
    const before = this.#focused.get(this.#hash);
    (before?.isConnected ? before : this.#main).focus({ preventScroll: before === undefined });
    if (!before) scrollTo(0, 0);
  }

  #show() {
    const { view, subject } = this.route;
    this.#main.dataset.view = view;
    for (const panel of this.#main.children) panel.hidden = !panel.dataset.in.split(" ").includes(view);
    for (const link of document.querySelectorAll(".views a")) {
      if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const name = subject || (view === FIRST ? "" : view);
    document.title = name ? `${name} · Lanecast` : "Lanecast";
  }
}

/** Go to a view, as a click on its link would. */
export function go(view, subject = "") {
  location.hash = `#/${view}${subject && `/${encodeURIComponent(subject)}`}`;
}
