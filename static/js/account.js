/**
 * Whose orders and bots are shown: `?account=…`, which an operator chooses, else the `sub` of a token given as
 * `#token=…` or in the dialog.
 * The token stays in this tab; it is taken out of the address, so that it is not shared with it.
 */
import { passing } from "./storage.js";

const STORED_TOKEN = "lanecast.token";
const DEMONSTRATION_ACCOUNT = "paper";

/** The token to connect with, or null. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    keepToken(given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return given ?? passing.get(STORED_TOKEN);
}

const namedAccount = () => new URLSearchParams(location.search).get("account");

/** The account that the address names, else the token; only the server decides whether to believe it. */
export const accountOf = (token) => namedAccount() || subjectOf(token) || DEMONSTRATION_ACCOUNT;

/** "" where there is no token, or none that says it. */
function subjectOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub;
  } catch {
    return "";
  }
}

/** Show an operator whose address names no account the one of `accounts` that was told of last. */
export function startWithLast(page, [last]) {
  if (!last || namedAccount()) return;
  page.account = last;
  history.replaceState(null, "", searchOf(last) + location.hash);
}

const searchOf = (account) => `?account=${encodeURIComponent(account)}`;

/** Let an operator choose among `accounts`, of which `account` is shown; the page starts anew. */
export function offerAccounts(dialog, account, accounts) {
  const select = dialog.querySelector("select");
  select.parentElement.hidden = false;
  select.replaceChildren(...[...new Set([account, ...accounts])].map((name) => new Option(name, name, false, name === account)));
  select.onchange = () => (location.search = searchOf(select.value));
}

/** Let `dialog` ask for a token; the page starts anew with it. */
export function askToken(dialog) {
  const field = dialog.querySelector("textarea");
  field.value = "";
  field.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    field.form.requestSubmit(field.form.querySelector("[value=token]"));
  };
  dialog.onclose = () => {
    if (dialog.returnValue === "token" && field.value.trim()) keepToken(field.value.trim());
    else if (dialog.returnValue === "anonymous") passing.delete(STORED_TOKEN);
    else return;
    history.replaceState(null, "", location.pathname + location.hash);
    location.reload();
  };
  dialog.returnValue = "close";
  dialog.showModal();
}

function keepToken(token) {
  passing.set(STORED_TOKEN, token);
}
