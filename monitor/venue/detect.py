"""Which venue a recording is of, told by the shape of its messages.

Decides by majority over the messages that belong to exactly one venue, so that a stray line does
not turn a session into another venue's.
"""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from monitor.errors import CaptureError
from monitor.storage.tape import read_rest, read_tape
from monitor.venue.binance import USER_EVENTS, BinanceVenue
from monitor.venue.binance_futures import BinanceFuturesVenue
from monitor.venue.bybit import BybitVenue
from monitor.venue.coinbase import CoinbaseVenue
from monitor.venue.kalshi import KalshiVenue
from monitor.venue.kraken import Kraken1Venue, Kraken2Venue
from monitor.venue.script import Recording, Venue

LOOKED_AT = 2_000
"""Inbound messages that are looked at; a venue shows itself within the first few."""

VENUES: dict[str, Callable[[Recording], Venue]] = {
    "binance": BinanceVenue,
    "binance futures": BinanceFuturesVenue,
    "kalshi": KalshiVenue,
    "coinbase": CoinbaseVenue,
    "bybit": BybitVenue,
    "kraken 1": Kraken1Venue,
    "kraken 2": Kraken2Venue,
}


def open_venue(capture: Path) -> Venue:
    """Read the session and its REST bodies; CaptureError when it can't be read or told."""
    recording = Recording(list(read_tape(capture)), list(read_rest(capture)))
    try:
        return VENUES[detect(capture, recording)](recording)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CaptureError(
            f"{capture} holds a message its venue never sends ({type(error).__name__}: {error})"
        ) from error


def detect(capture: Path, recording: Recording) -> str:
    """A key of VENUES."""
    votes: Counter[str] = Counter()
    for _, raw in islice(recording.inbound(), LOOKED_AT):
        try:
            votes.update(recognise(orjson.loads(raw)))
        except orjson.JSONDecodeError:
            continue
    if not votes:
        raise CaptureError(f"{capture} holds no message of a venue that can be stood in for")
    best = votes.most_common(1)[0][0]
    return "binance futures" if best == "binance" and votes["binance futures"] else best


def recognise(message: Any) -> list[str]:
    """The venues whose message this is."""
    if isinstance(message, list):
        return ["kraken 1"] if len(message) >= 4 and isinstance(message[-1], str) else []
    if not isinstance(message, dict):
        return []
    keys = message.keys()
    if keys >= {"stream", "data"} or keys >= {"subscriptionId", "event"} or ("e" in keys and "E" in keys):
        return _recognise_binance(message)
    if "topic" in keys or ("op" in keys and "success" in keys):
        return ["bybit"]
    if "event" in keys:
        return ["kraken 1"]
    if "channel" in keys or ("method" in keys and "success" in keys):
        return ["kraken 2"]
    if message.get("type") in ("subscribed", "ok") or "sid" in keys:
        return ["kalshi"]
    return ["coinbase"] if "product_id" in keys or message.get("type") == "subscriptions" else []


def _recognise_binance(message: dict[str, Any]) -> list[str]:
    """Futures say what went before (`pu`), and when (`T`) beside a best price."""
    event = message.get("data", message)
    if not isinstance(event, dict) or event.get("e") in USER_EVENTS:
        return ["binance"]
    return ["binance", "binance futures"] if "pu" in event else ["binance"]
