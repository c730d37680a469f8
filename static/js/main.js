/** The page: one link, one frame, and the panels; clicks and keys find their way from here. */
import { accountOf, askToken, offerAccounts, startWithLast, takeToken } from "./account.js";
import { Frame } from "./frame.js";
import { listen } from "./keyboard.js";
import { Link } from "./link.js";
import { AnalyticsPanel } from "./panels/analytics.js";
import { BannerPanel } from "./panels/banner.js";
import { BookPanel } from "./panels/book.js";
import { BotPanel } from "./panels/bot.js";
import { BotsPanel } from "./panels/bots.js";
import { ConnectionBar } from "./panels/connection.js";
import { FillsPanel } from "./panels/fills.js";
import { HotPanel } from "./panels/hot.js";
import { OrdersPanel } from "./panels/orders.js";
import { PulsePanel } from "./panels/pulse.js";
import { QuotePanel } from "./panels/quote.js";
import { SearchPanel } from "./panels/search.js";
import { StatusPanel } from "./panels/status.js";
import { TapePanel } from "./panels/tape.js";
import { Router, go } from "./route.js";
import { Screen } from "./screen.js";

const AGE_INTERVAL_MS = 500;

const token = takeToken();
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/connection/websocket`;
const at = (id) => document.getElementById(id);
const frame = new Frame();
const router = new Router(at("panels"), () => panels.forEach((panel) => panel.follow()));
const link = new Link(url, token, () => [bar, banner].forEach((part) => frame.mark(part)), takeOffice);
const page = { link, frame, router, screen: new Screen(), account: accountOf(token), hasToken: !!token };
const bar = new ConnectionBar(page);

const banner = new BannerPanel(at("banner"), page);
const tape = new TapePanel(at("tape"), page);
const book = new BookPanel(at("book"), page);
const status = new StatusPanel(at("status"), page);
const search = new SearchPanel(at("search"), page);
const panels = [
  tape,
  book,
  status,
  new PulsePanel(at("pulse"), page),
  new QuotePanel(at("quote"), page),
  new HotPanel(at("hot"), page),
  new AnalyticsPanel(at("analytics"), page),
  new BotsPanel(at("bots"), page),
  new BotPanel(at("bot"), page),
  new FillsPanel(at("fills"), page),
  new OrdersPanel(at("orders"), page),
];

/** Whoever is an operator may look at every account. */
async function takeOffice() {
  startWithLast(page, await link.accounts());
  panels.forEach((panel) => panel.follow());
}

async function askAccount() {
  askToken(at("account-dialog"));
  if (link.isOperator) offerAccounts(at("account-dialog"), page.account, await link.accounts());
}

const openMarket = (market) => go("market", market);
const isMarketViewed = () => router.route.view === "market";
const actions = {
  pause: () => tape.togglePause(),
  search: () => search.open(openMarket),
  "book-market": () => search.open(isMarketViewed() ? openMarket : (market) => book.choose(market)),
  pin: () => book.choose(router.route.subject),
  account: askAccount,
  theme: () => document.dispatchEvent(new Event("themetoggle")),
  help: () => at("help").showModal(),
};

document.addEventListener("click", ({ target }) => {
  const found = target.closest("[data-action], [data-bot], [data-market]");
  if (!found) return;
  const { action, bot, market } = found.dataset;
  if (action) actions[action]();
  else if (bot) go("bots", bot);
  else openMarket(market);
});
const links = [...document.querySelectorAll(".views a")];
listen({
  p: actions.pause,
  "/": actions.search,
  "?": actions.help,
  t: actions.theme,
  Escape: () => go("overview"),
  ...Object.fromEntries(links.map((link, at) => [String(at + 1), () => link.click()])),
});

// Ages grow while nothing arrives.
setInterval(() => [book, status, bar, banner].forEach((part) => frame.mark(part)), AGE_INTERVAL_MS);
link.connect();
