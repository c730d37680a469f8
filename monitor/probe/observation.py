"""What a server says of itself over some seconds: the ground on which it is judged.

Taken through the operator interface like the console's, so any server can be observed, and kept as
plain data, so that a report read tomorrow is judged by the same rules.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import trio

from monitor.client import Client, CommandRejected, Disconnected, Subscription, open_client
from monitor.errors import PeerError
from monitor.probe.documents import Amount, ChannelRow, ConnectionRow, Feed, Health

NAME = "probe"
"""What all connections of this package call themselves."""
ROWS = 200
"""The server's own bound for one look."""
NEWEST = 1
REFUSED_TOKENS = (3500, 109)
"""The codes by which a server closes on one that it does not take, or takes no longer."""
TOKEN_CURE = "give LANECAST_OPERATOR_TOKEN, or the server's --data-dir"

Row = dict[str, Any]
OnSecond = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Observation:
    """Documents and rows are those of the operator interface, as far as `documents` names their members."""

    seconds: Amount
    health: Annotated[list[Health], msgspec.Meta(min_length=1)]
    """At the start and then a document a second, oldest first."""
    feeds: list[Feed]
    """At the end."""
    connections_before: list[ConnectionRow]
    connections: list[ConnectionRow]
    """The deepest outboxes, at the start and at the end."""
    channels: list[ChannelRow]
    """Those with the most subscribers, at the end."""
    alerts: list[str] = field(default_factory=list)
    """The server's own, active at the end, in its words."""


async def observe(operator: Client, seconds: int, on_second: OnSecond = lambda: None) -> Observation:
    """Watch a server for whole seconds. Raises PeerError, also where the client is no operator's."""
    health = await follow(operator, "ops:health")
    feeds = await follow(operator, "ops:feeds")
    try:
        before = await _deepest(operator)
        await _widest(operator)  # a channel's rate is known from the second look on
        documents = [health.data]
        for _ in range(seconds):
            await trio.sleep(1)
            on_second()
            documents.append(await _newest(health))
        return _checked(
            operator,
            seconds=seconds,
            health=documents,
            feeds=(await _newest(feeds))["feeds"],
            connections_before=before,
            connections=await _deepest(operator),
            channels=await _widest(operator),
            alerts=await _active_alerts(operator),
        )
    finally:
        with trio.move_on_after(1, shield=True):
            await _leave(operator, health, feeds)


def _checked(operator: Client, **members: Any) -> Observation:
    try:
        return msgspec.convert(members, Observation)
    except msgspec.ValidationError as error:
        raise PeerError(f"{operator.url} says of itself what this probe can't read: {error}") from None


async def _leave(operator: Client, *subscriptions: Subscription) -> None:
    try:
        for subscription in subscriptions:
            await operator.unsubscribe(subscription.channel)
    except PeerError:
        return  # the connection is gone, and the subscriptions with it


async def follow(operator: Client, channel: str) -> Subscription:
    """Subscribe to a channel of operators. Raises PeerError for who is none."""
    try:
        return await operator.subscribe(channel, capacity=NEWEST)
    except CommandRejected as refusal:
        raise PeerError(
            f"{operator.url} does not take this token as an operator's ({refusal.message}); {TOKEN_CURE}"
        ) from None


async def _newest(subscription: Subscription) -> Row:
    """Of a channel that is published at least once a second."""
    newest: Row = (await anext(subscription)).data
    return newest


async def _active_alerts(operator: Client) -> list[str]:
    alerts = await follow(operator, "ops:alerts")
    await _leave(operator, alerts)
    return [_told(alert) for alert in alerts.data["alerts"] if alert["cleared"] is None]


def _told(alert: Row) -> str:
    """It may have begun long before this look."""
    since = datetime.fromtimestamp(alert["since"] / 1_000, UTC)
    return f"since {since:%Y-%m-%d %H:%M:%S} UTC: {alert['message']}"


async def _deepest(operator: Client) -> list[Row]:
    return await _rows(operator, "ops.connections", "depth")


async def _widest(operator: Client) -> list[Row]:
    return await _rows(operator, "ops.channels", "subscribers")


async def _rows(operator: Client, method: str, sort: str) -> list[Row]:
    answer = await operator.rpc(method, {"sort": sort, "descending": True, "limit": ROWS})
    rows: list[Row] = answer["rows"]
    return rows


@asynccontextmanager
async def open_probe(url: str, token: str, certificate_file: Path | None) -> AsyncIterator[Client]:
    """A connected client that does not come back once it is cut; raises PeerError where none answers."""
    async with open_client(
        url, token, NAME, reconnect=False, zstd=False, certificate_file=certificate_file
    ) as client:
        try:
            await client.rpc("me")
        except Disconnected as lost:
            cure = f"; {TOKEN_CURE}" if lost.code in REFUSED_TOKENS else ""
            raise PeerError(f"{url} can't be looked into: {lost.reason}{cure}") from None
        yield client
