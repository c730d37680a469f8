"""The console's way to the server: what it follows, and what it asks for while someone looks.

Runs in Trio and knows no terminal. Reports go into the model as they come; rows are asked for
once a second at most, and only while they are shown, because that costs the server work.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

from monitor.client import Client, Disconnected, Publication, Status, open_client
from monitor.errors import PeerError
from tui.model import Call, Model
from tui.refusal import refusal_text
from tui.reports import fill_of, fills_of

CLIENT_NAME = "console"
POLL_SECONDS = 1.0
PENDING_LATEST = 2
"""Where every publication is whole, only the newest matters."""
PENDING_ORDERS = 1_024

Take = Callable[[Publication], None]


class Link:
    """Fills a model from a server for as long as `run` runs; all its methods belong to Trio's side."""

    def __init__(self, model: Model, token: str, certificate_file: Path | None = None) -> None:
        self._model = model
        self._token = token
        self._certificate_file = certificate_file
        self._calls: tuple[Call, ...] = ()
        self._asked = trio.Event()
        self._again = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._client: Client | None = None
        self._heard_as = ""
        """On which connection, by what the server calls it, orders were told last."""
        self._account_turned = trio.Event()
        self._maps: tuple[str, ...] = ()
        self._maps_turned = trio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled; a final refusal stays on show until `reconnect`."""
        while True:
            self._again = trio.Event()
            async with (
                open_client(
                    self._model.url, self._token, CLIENT_NAME, certificate_file=self._certificate_file
                ) as self._client,
                trio.open_nursery() as self._nursery,
            ):
                self._follow_all(self._client, self._nursery)
                await self._again.wait()
                self._nursery.cancel_scope.cancel()

    def reconnect(self) -> None:
        """Try now, whatever the state of the link."""
        self._again.set()

    def ask(self, calls: tuple[Call, ...]) -> None:
        """Make these calls at once and then as often as is drawn, until others are asked for.

        Why one that is asked no longer was refused is of no interest any more.
        """
        for method in {call.method for call in self._calls} - {call.method for call in calls}:
            self._model.allow(method)
        self._calls = calls
        self._asked.set()

    def show_account(self, account: str) -> None:
        """Follow this account's orders and maps, and no other's any more."""
        self._model.show_account(account)
        self._account_turned.set()
        self._maps_turned.set()

    def follow_maps(self, namespaces: tuple[str, ...]) -> None:
        """Keep these maps of the account that is shown up to date, until others are wanted."""
        self._maps = namespaces
        self._maps_turned.set()

    def act(self, call: Call, words: str) -> None:
        """Have the server do something, once and now; the operator is told what became of it, in these words.

        What waited for the connection would be done long after he wanted it.
        """
        if self._client is None or self._nursery is None or not self._model.is_connected:
            self._model.tell(f"{words}: not done, as there is no connection", is_bad=True)
        else:
            self._nursery.start_soon(self._act, self._client, call, words)

    def _follow_all(self, client: Client, nursery: trio.Nursery) -> None:
        nursery.start_soon(self._watch, client)
        nursery.start_soon(self._poll, client)
        nursery.start_soon(self._hold_orders, client)
        nursery.start_soon(self._hold_maps, client)
        for channel, take, pending in (
            ("ops:health", self._take_health, PENDING_LATEST),
            ("ops:alerts", self._take_alerts, PENDING_LATEST),
            ("ops:feeds", self._take_feeds, PENDING_LATEST),
        ):
            nursery.start_soon(self._follow, client, channel, take, pending)

    async def _watch(self, client: Client) -> None:
        status: Status | None = None
        while True:
            status = client.status if status is None else await client.status_after(status)
            self._model.set_link(status, time.time())

    async def _follow(self, client: Client, channel: str, take: Take, pending: int) -> None:
        try:
            subscription = await client.subscribe(channel, capacity=pending)
            take(Publication(channel, subscription.data, is_whole=True))
            async for publication in subscription:
                take(publication)
        except Disconnected:
            return  # the status says why
        except PeerError as error:
            self._model.refuse(channel, refusal_text(error))

    async def _hold_orders(self, client: Client) -> None:
        while True:
            self._account_turned = trio.Event()
            async with trio.open_nursery() as nursery:
                if self._model.account:
                    nursery.start_soon(self._follow_orders, client, self._model.account)
                await self._account_turned.wait()
                nursery.cancel_scope.cancel()

    async def _follow_orders(self, client: Client, account: str) -> None:
        channel = f"orders:{account}"
        try:
            await self._follow(client, channel, partial(self._take_orders, account), PENDING_ORDERS)
        finally:
            await self._leave(client, channel)

    async def _hold_maps(self, client: Client) -> None:
        while True:
            self._maps_turned = trio.Event()
            async with trio.open_nursery() as nursery:
                for namespace in self._maps if self._model.account else ():
                    nursery.start_soon(self._follow_map, client, namespace, self._model.account)
                await self._maps_turned.wait()
                nursery.cancel_scope.cancel()

    async def _follow_map(self, client: Client, namespace: str, account: str) -> None:
        channel = f"{namespace}:{account}"
        try:
            subscription = await client.subscribe_map(channel)
            async for _ in subscription:
                if account == self._model.account:
                    self._model.set_map(namespace, account, subscription.entries)
        except Disconnected:
            return
        except PeerError as error:
            self._model.refuse(channel, refusal_text(error))
        finally:
            await self._leave(client, channel)

    async def _leave(self, client: Client, channel: str) -> None:
        with trio.move_on_after(POLL_SECONDS, shield=True), suppress(PeerError):
            await client.unsubscribe(channel)

    def _take_health(self, publication: Publication) -> None:
        if publication.data:
            self._model.set_health(publication.data, time.time())

    def _take_alerts(self, publication: Publication) -> None:
        if publication.data:
            self._model.set_alerts(publication.data["alerts"])

    def _take_feeds(self, publication: Publication) -> None:
        if publication.data:
            self._model.set_feeds(publication.data["feeds"])

    def _take_orders(self, account: str, publication: Publication) -> None:
        if account != self._model.account:
            return
        here, now = self._client.id if self._client else "", time.time()
        if publication.follows_gap:
            since = now if here == self._heard_as else self._model.lost_at
            self._model.note_gap(publication.channel, since, now)
        self._heard_as = here
        if publication.is_whole:
            self._model.set_fills(account, fills_of(publication.data))
        elif (fill := fill_of(publication.data)) is not None:
            self._model.add_fill(account, fill)

    async def _poll(self, client: Client) -> None:
        while True:
            self._asked = trio.Event()
            for call in self._calls:
                await self._look(client, call)
            pause_seconds = max(POLL_SECONDS, self._model.refresh_seconds)
            with trio.move_on_after(pause_seconds if self._calls else math.inf):
                await self._asked.wait()

    async def _look(self, client: Client, call: Call) -> None:
        try:
            params = {**call.params, **self._model.places.get(call.method, {})}
            TAKE[call.method](self._model, await client.rpc(call.method, params))
        except Disconnected:
            return
        except PeerError as error:
            if call in self._calls:
                self._model.refuse(call.method, refusal_text(error))
        else:
            self._model.allow(call.method)
            if not self._model.account and (names := self._model.account_names):
                self.show_account(names[0])

    async def _act(self, client: Client, call: Call, words: str) -> None:
        try:
            await client.rpc(call.method, call.params)
        except PeerError as error:
            self._model.tell(f"{words}: {error}", is_bad=True)
        else:
            self._model.tell(f"{words}: done")


TAKE: Mapping[str, Callable[[Model, Any], None]] = {
    "ops.connections": Model.set_connections,
    "ops.connection": Model.set_connection,
    "ops.channels": Model.set_channels,
    "ops.books": Model.set_books,
    "ops.book": Model.set_book,
    "ops.accounts": Model.set_accounts,
    "ops.logs": Model.add_logs,
}
"""Where the answers to what is asked every second go."""
