"""The console's way to the server: what it follows, and what it asks for while someone looks.

Runs in Trio and knows no terminal. Reports go into the model as they come; connections are
asked for once a second, and only while they are shown, because that costs the server work.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import trio

from monitor.client import Client, Disconnected, Publication, Status, open_client
from monitor.errors import PeerError
from tui.model import Model, Query
from tui.reports import FeedReport, fill_of, fills_of

CLIENT_NAME = "console"
FIRST_ACCOUNT = "paper"
"""Whose fills are shown besides those of the feeds' accounts: the simulator's."""
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
        self._query: Query | None = None
        self._asked = trio.Event()
        self._again = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._client: Client | None = None
        self._accounts: set[str] = set()

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

    def ask_connections(self, query: Query | None) -> None:
        """Ask for these connections at once and then every second; None stops it."""
        self._query = query
        self._asked.set()

    def disconnect(self, client_id: str) -> None:
        """Have the server close that client's connection."""
        if self._client is not None and self._nursery is not None:
            self._nursery.start_soon(self._call_disconnect, self._client, client_id)

    def _follow_all(self, client: Client, nursery: trio.Nursery) -> None:
        self._accounts.clear()
        nursery.start_soon(self._watch, client)
        nursery.start_soon(self._poll_connections, client)
        for channel, take, pending in (
            ("ops:health", self._take_health, PENDING_LATEST),
            ("ops:alerts", self._take_alerts, PENDING_LATEST),
            ("ops:feeds", self._take_feeds, PENDING_LATEST),
        ):
            nursery.start_soon(self._follow, client, channel, take, pending)
        self._follow_account(FIRST_ACCOUNT)

    def _follow_account(self, account: str) -> None:
        """Follow an account's orders, once."""
        if account in self._accounts or self._client is None or self._nursery is None:
            return
        self._accounts.add(account)
        take = partial(self._take_orders, account)
        self._nursery.start_soon(self._follow, self._client, f"orders:{account}", take, PENDING_ORDERS)

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
            self._model.refuse(channel, str(error))

    def _take_health(self, publication: Publication) -> None:
        if publication.data:
            self._model.set_health(publication.data, time.time())

    def _take_alerts(self, publication: Publication) -> None:
        if publication.data:
            self._model.set_alerts(publication.data["alerts"])

    def _take_feeds(self, publication: Publication) -> None:
        if publication.data:
            feeds: list[FeedReport] = publication.data["feeds"]
            self._model.set_feeds(feeds)
            for feed in feeds:
                if feed["account"] is not None:
                    self._follow_account(feed["account"])

    def _take_orders(self, account: str, publication: Publication) -> None:
        if publication.follows_gap:
            self._model.note_gap(publication.channel, time.time())
        if publication.is_whole:
            self._model.set_fills(account, fills_of(publication.data))
        elif (fill := fill_of(publication.data)) is not None:
            self._model.add_fill(account, fill)

    async def _poll_connections(self, client: Client) -> None:
        while True:
            if self._query is not None:
                await self._call_connections(client, self._query)
                with trio.move_on_after(POLL_SECONDS):
                    await self._asked.wait()
            else:
                await self._asked.wait()
            self._asked = trio.Event()

    async def _call_connections(self, client: Client, query: Query) -> None:
        try:
            self._model.set_connections(await client.rpc("ops.connections", asdict(query)))
        except Disconnected:
            return
        except PeerError as error:
            self._model.refuse("ops.connections", str(error))

    async def _call_disconnect(self, client: Client, client_id: str) -> None:
        try:
            await client.rpc("ops.disconnect", {"client": client_id})
        except PeerError as error:
            self._model.refuse("ops.disconnect", str(error))
