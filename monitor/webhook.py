"""Alerts as they turn, posted to an address of the operator's: signed, in order, tried again for minutes.

Nothing waits for the receiver. What it can't take is counted and dropped from the oldest on, so one
that is down for a day costs a few texts. The secret signs and is said to nobody.
"""

import hmac
import logging
import random
from collections import deque
from dataclasses import asdict
from urllib.parse import urlsplit

import httpx
import orjson
import trio

from monitor.health.alerts import Alert, Turn
from monitor.health.health import Health
from monitor.trust import trusting

QUEUE_LIMIT = 100
ATTEMPTS = 8
"""Over two to four minutes: longer than a receiver's restart, shorter than an operator's patience."""
FIRST_PAUSE_SECONDS = 1.0
PAUSE_LIMIT_SECONDS = 60.0
DEADLINE_SECONDS = 10.0
"""For one attempt, from the connection to the answer's head."""

_log = logging.getLogger("lanecast.webhook")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `Lanecast-Signature`: of the timestamp, a point and the body."""
    return "sha256=" + hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, "sha256").hex()


class Webhook:
    """One receiver, and what it has still to be told."""

    def __init__(self, url: str, secret: str, health: Health) -> None:
        self._url = url
        self._secret = secret
        self._health = health
        self._meter = health.webhook
        self._waiting: deque[bytes] = deque()
        self._has_more = trio.Event()
        self._open: set[int] = set()
        """The alerts that the receiver knows of and that are not cleared."""
        health.alerts.listeners.append(self._take)

    async def run(self) -> None:
        """Post what there is, one after the other, until cancelled; what waits then is not sent."""
        # Without trust_env: as all that we dial, past a proxy that is meant for pages.
        async with httpx.AsyncClient(verify=trusting(None), trust_env=False, timeout=None) as client:
            while True:
                await self._has_more.wait()
                while self._waiting:
                    await self._deliver(client, self._waiting.popleft())
                self._has_more = trio.Event()

    def _take(self, turn: Turn, alert: Alert) -> None:
        is_silenced = self._health.alerts.silenced_until(alert.name) is not None
        if is_silenced and not (turn is Turn.CLEARED and alert.id in self._open):
            return
        if turn is Turn.CLEARED:
            self._open.discard(alert.id)
        else:
            self._open.add(alert.id)
        if len(self._waiting) == QUEUE_LIMIT:
            self._waiting.popleft()
            self._meter.dropped += 1
        self._waiting.append(
            orjson.dumps({"event": turn, "server": self._health.address, "alert": asdict(alert)})
        )
        self._has_more.set()

    async def _deliver(self, client: httpx.AsyncClient, body: bytes) -> None:
        host = urlsplit(self._url).hostname
        for attempt in range(ATTEMPTS):
            if attempt:
                await trio.sleep(_pause_seconds(attempt))
            trouble = await self._post(client, body)
            if not trouble:
                self._meter.sent += 1
                return
            self._meter.failed += 1
            if not attempt:
                _log.warning("the webhook at %s did not take an alert: %s; it is tried again", host, trouble)
        self._meter.dropped += 1
        _log.warning("the webhook at %s did not take an alert in %d attempts: %s", host, ATTEMPTS, trouble)

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> str:
        """Try once; returns what went wrong. The answer's body is left unread: it may be endless."""
        timestamp = str(self._health.wall_ms() // 1_000)
        headers = {
            "Content-Type": "application/json",
            "Lanecast-Timestamp": timestamp,
            "Lanecast-Signature": sign(self._secret, timestamp, body),
        }
        try:
            with trio.fail_after(DEADLINE_SECONDS):
                async with client.stream("POST", self._url, content=body, headers=headers) as response:
                    return "" if response.is_success else f"HTTP {response.status_code}"
        except trio.TooSlowError:
            return f"no answer within {DEADLINE_SECONDS:g} s"
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__


def _pause_seconds(attempt: int) -> float:
    """Doubling up to a minute; half of it by chance, so that many servers don't come at once."""
    longest: float = min(PAUSE_LIMIT_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    return longest * random.uniform(0.5, 1)
