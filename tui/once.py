"""One look at a server: its reports are taken once, and what the views would show of them is printed.

For scripts, pipes and terminals that can't draw: no colour, no keys, and an end. As JSON the reports are
given as the server made them, under the keys that ARCHITECTURE.md has for them.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import trio

from monitor.client import Client, Disconnected, open_client
from monitor.errors import PeerError
from tui.app import VIEWS
from tui.link import CLIENT_NAME, TAKE
from tui.model import Model
from tui.panels.header import identity, vitals
from tui.plain import panel_lines
from tui.refusal import refusal_text
from tui.reports import FillReport, bots_of, fills_of, open_orders_of
from tui.screens.account import ACCOUNTS
from tui.screens.bots import BOTS, OPEN_ORDERS
from tui.screens.channels import CHANNELS
from tui.screens.connections import CONNECTIONS
from tui.screens.feeds import BOOKS
from tui.screens.ledger import BY_CHANNEL
from tui.screens.logs import LINES

LOOK_SECONDS = 15.0
"""For all of it."""
WIDTH = 200
"""Of the line above the tables."""
LAST_ACCOUNTS = ACCOUNTS._replace(params={**ACCOUNTS.params, "limit": 40})
"""Those told of last, with two channels each: so a look is no more than the 100 commands a second and the
128 channels that a server allows a client, unless it is set otherwise."""


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


class Look(NamedTuple):
    text: str
    """What is to be printed."""
    refusals: Mapping[str, str]
    """By reason, what is missing there."""


def look_once(url: str, token: str, certificate_file: Path | None, output: Output) -> Look:
    """Take a look.

    Raises:
        ConfigError: `url` is no server's address.
        PeerError: the server can't be reached, lets nobody in with this token, or doesn't answer in time.
    """
    model = Model(url)
    trio.run(_look, model, token, certificate_file)
    now = time.time() + model.server_ahead
    text = json_text(model) if output is Output.JSON else "\n".join(text_lines(model, now))
    missing: dict[str, list[str]] = defaultdict(list)
    for name, why in model.refusals.items():
        missing[why].append(name)
    return Look(text, {why: ", ".join(names) for why, names in missing.items()})


async def _look(model: Model, token: str, certificate_file: Path | None) -> None:
    with trio.move_on_after(LOOK_SECONDS):
        async with open_client(
            model.url, token, CLIENT_NAME, reconnect=False, certificate_file=certificate_file
        ) as client:
            await take_reports(client, model)
            return
    raise PeerError(f"{model.url} gave no answer within {LOOK_SECONDS:g} s")


async def take_reports(client: Client, model: Model) -> None:
    """One of each; what the server refuses is noted, and the rest is taken.

    What is subscribed to is never left: a look's end is its connection's. So it comes after the rows,
    which have this client in them as well.
    """
    with _noting(model, "me"):
        await client.rpc("me")
    model.set_link(client.status, time.time())
    channels = replace(CHANNELS, params=BY_CHANNEL.params)
    for call in (CONNECTIONS.call(model), channels.call(model), BOOKS, LINES, LAST_ACCOUNTS):
        with _noting(model, call.method):
            TAKE[call.method](model, await client.rpc(call.method, call.params))
    await _take(model, client, "ops:health", lambda data: model.set_health(data, time.time()))
    await _take(model, client, "ops:alerts", lambda data: model.set_alerts(data["alerts"]))
    await _take(model, client, "ops:feeds", lambda data: model.set_feeds(data["feeds"]))
    await _take_accounts(client, model)


async def _take_accounts(client: Client, model: Model) -> None:
    """Those told of last first, for a server may allow less; the newest of all their fills are kept."""
    fills: list[tuple[str, FillReport]] = []
    for account in model.account_names:
        await _take(model, client, f"orders:{account}", partial(_take_orders, model, fills, account))
        await _take(model, client, f"bots:{account}", partial(_set_bots, model, account))
    for account, fill in sorted(fills, key=lambda told: told[1]["time"]):
        model.add_fill(account, fill)


async def _take(model: Model, client: Client, channel: str, take: Callable[[Any], None]) -> None:
    with _noting(model, channel):
        take((await client.subscribe(channel)).data)


def _take_orders(model: Model, fills: list[tuple[str, FillReport]], account: str, whole: Any) -> None:
    fills += ((account, fill) for fill in fills_of(whole))
    model.set_map(OPEN_ORDERS, account, open_orders_of(whole))


def _set_bots(model: Model, account: str, whole: Any) -> None:
    model.set_map(BOTS, account, bots_of(whole))


@contextmanager
def _noting(model: Model, name: str) -> Iterator[None]:
    """Only without a connection there is nothing to be had."""
    try:
        yield
    except Disconnected as error:
        raise PeerError(refusal_text(error)) from None
    except PeerError as error:
        model.refuse(name, refusal_text(error))


def text_lines(model: Model, now: float) -> Iterator[str]:
    """Each panel once, below the view that is its own."""
    for parts in (identity(model, WIDTH), vitals(model.health, WIDTH)):
        yield "".join(text for text, _ in parts).strip()
    last_of = {panel: view for view in VIEWS for panel in view.PANELS}
    for view in VIEWS:
        for panel in view.PANELS:
            if last_of[panel] is view:
                yield ""
                yield from panel_lines(panel(), model, now)


def json_text(model: Model) -> str:
    """The reports by name."""
    document = {
        "url": model.url,
        "health": model.health,
        "alerts": model.alerts,
        "feeds": model.feeds,
        "connections": model.connections,
        "channels": model.channels,
        "books": model.books,
        "accounts": model.accounts,
        "bots": _by_account(model.maps[BOTS]),
        "open_orders": _by_account(model.maps[OPEN_ORDERS]),
        "fills": [{"account": account, **fill} for (account, _, _), fill in model.fills.items()],
        "logs": list(model.logs),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _by_account(entries: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for (account, key), state in entries.items():
        found[account][key] = state
    return found
