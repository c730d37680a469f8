/** The page: one link, one frame, and the panels; clicks and keys find their way from here. */
import { accountOf, askToken, takeToken } from "./account.js";
import { write } from "./dom.js";
import { Frame } from "./frame.js";
import { listen } from "./keyboard.js";
import { Link } from "./link.js";
import { AnalyticsPanel } from "./panels/analytics.js";
import { BookPanel } from "./panels/book.js";
import { BotsPanel } from "./panels/bots.js";
import { ConnectionBar } from "./panels/connection.js";
import { DrawerPanel } from "./panels/drawer.js";
import { FillsPanel } from "./panels/fills.js";
import { HotPanel } from "./panels/hot.js";
import { OrdersPanel } from "./panels/orders.js";
import { PulsePanel } from "./panels/pulse.js";
import { SearchPanel } from "./panels/search.js";
import { TapePanel } from "./panels/tape.js";
import { Screen } from "./screen.js";

const AGE_INTERVAL_MS = 500;

const token = takeToken();
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/connection/websocket`;
const frame = new Frame();
const link = new Link(url, token, () => frame.mark(bar));
const bar = new ConnectionBar(link);
const page = { link, frame, screen: new Screen(), account: accountOf(token) };

const at = (id) => document.getElementById(id);
const tape = new TapePanel(at("tape"), page);
const book = new BookPanel(at("book"), page);
const drawer = new DrawerPanel(at("drawer"), page);
const search = new SearchPanel(at("search"), page);
new PulsePanel(at("pulse"), page);
new HotPanel(at("hot"), page);
new AnalyticsPanel(at("analytics"), page);
new BotsPanel(at("bots"), page);
new FillsPanel(at("fills"), page);
new OrdersPanel(at("orders"), page);

const openMarket = (market) => drawer.open(market);
const actions = {
  pause: () => tape.togglePause(),
  search: () => search.open(openMarket),
  "book-market": () => search.open((market) => book.choose(market)),
  account: () => askToken(at("account-dialog")),
  theme: () => document.dispatchEvent(new Event("themetoggle")),
  help: () => at("help").showModal(),
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-action]");
  const row = target.closest("[data-market]");
  if (button) actions[button.dataset.action]();
  else if (row) openMarket(row.dataset.market);
});
drawer.element.querySelector("[data-drawer=pin]").addEventListener("click", () => book.choose(drawer.market));
listen({
  p: actions.pause,
  "/": actions.search,
  "?": actions.help,
  t: actions.theme,
  Escape: () => drawer.close(),
});

// Ages grow while nothing arrives.
setInterval(() => [book, drawer, bar].forEach((part) => frame.mark(part)), AGE_INTERVAL_MS);
write(at("account"), page.account);
link.connect();
