"""The Trio client of the served protocol."""

from monitor.client.client import (
    Client,
    History,
    LinkState,
    Status,
    open_client,
)
from monitor.client.connection import CommandRejected, Disconnected, NoAnswer
from monitor.client.map import MapSubscription
from monitor.client.membership import Unsubscribed
from monitor.client.subscription import Position, Publication, Subscription

__all__ = [
    "Client",
    "CommandRejected",
    "Disconnected",
    "History",
    "LinkState",
    "MapSubscription",
    "NoAnswer",
    "Position",
    "Publication",
    "Status",
    "Subscription",
    "Unsubscribed",
    "open_client",
]
