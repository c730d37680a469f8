"""The nursery tree: what runs, what feeds what, and in which order it ends.

The engine runs within, the feeds and the front door on its edges: they end first.
"""

import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio

from monitor import __version__
from monitor.address import local_url
from monitor.config import DEMO_ACCOUNT, AlertsSettings, Settings
from monitor.control import Control, heed_signals
from monitor.descriptors import make_room
from monitor.engine import Engine, build_engine
from monitor.health.feeds import FeedHealth
from monitor.health.health import Health
from monitor.health.metrics import Exposition
from monitor.keyring import KeyFiles, Keyring
from monitor.keys import Keys
from monitor.log import start_log
from monitor.reload import Reloads
from monitor.restart import take_over
from monitor.serve.api import Api
from monitor.serve.connection import Connection
from monitor.serve.entrance import open_listeners
from monitor.serve.files import load_page
from monitor.serve.front import SPARE_SOCKETS, FrontDoor
from monitor.serve.tls import Certificate
from monitor.serve.tokens import make_token

if TYPE_CHECKING:
    from monitor.webhook import Webhook

_log = logging.getLogger("lanecast")

GC_THRESHOLDS = (2_000, 250, 10)
"""Of new objects 2,000 are walked through in 0.3 ms; the older ones, and a pause in proportion, come
after as many as thousands of new clients make. Hardly anything of ours needs the collector."""
RECHECK_SECONDS = 1.0
"""Before a feed begins anew: what could not be taken has had its time to go."""
_PROGRAM = [sys.executable] if hasattr(sys, "frozen") else [sys.executable, "-m", "monitor"]
"""Starts this program again: the file that `make binary` made is its own interpreter."""


def run(settings: Settings, keys: Keys, *, console: bool) -> int:
    """Serve until the console ends, or SIGINT or SIGTERM comes; returns the exit status.

    Raises:
        ConfigError: the address can't be listened on, or a feed's settings are wrong.
    """
    has_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if console and not has_terminal:
        print(
            "running headless, without the console: it needs standard input, output and error at a terminal",
            flush=True,
        )
    start_log(settings, to_file=console and has_terminal)
    return trio.run(partial(_run, settings, Keyring(keys), console=console and has_terminal))


async def _run(settings: Settings, keys: Keyring, *, console: bool) -> int:
    status = 0
    control = Control()
    async with trio.open_nursery() as heeding:
        async with trio.open_nursery() as nursery:
            # Heeded until all has ended: a second signal would kill what the first one has told to end.
            heeding.start_soon(heed_signals, control, nursery.cancel_scope)
            address = await nursery.start(_serve_to_the_end, settings, keys, control, nursery.cancel_scope)
            _log.info("serves %s, version %s, data in %s", address, __version__, settings.data_dir)
            # A terminal that is gone already is told by its signal.
            with suppress(OSError):
                print(f"lanecast serves {address}", flush=True)
            if console:
                status = await _run_console(address, settings, keys)
                nursery.cancel_scope.cancel()
        heeding.cancel_scope.cancel()
    return status


async def _serve_to_the_end(
    settings: Settings,
    keys: Keyring,
    control: Control,
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[str],
) -> None:
    await serve(settings, keys, control, task_status=task_status)
    scope.cancel()


async def _run_console(address: str, settings: Settings, keys: Keyring) -> int:
    """The console, as a process of its own on our terminal; returns its exit status."""
    token = make_token(keys.console, "console")
    environment = {**os.environ, "LANECAST_OPERATOR_TOKEN": token}
    if settings.tls:
        environment["LANECAST_CERTIFICATE"] = str(settings.tls.certificate_file.absolute())
    ended = await trio.run_process([*_PROGRAM, "console", address], env=environment, check=False, stdin=None)
    return ended.returncode


async def serve(
    settings: Settings,
    keys: Keyring,
    control: Control,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the feeds, the broadcaster and the front door until told to end; started with the page's address.

    Told or cancelled, it says goodbye to its clients before what serves them ends.
    """
    _make_room(settings.limits.connections)
    feeds = _feeds(settings)
    engine = build_engine(settings, keys, frozenset({DEMO_ACCOUNT} if "simulator" in feeds else ()))
    health = engine.health
    certificate = Certificate(settings.tls) if settings.tls else None
    door = FrontDoor(
        engine.house,
        Api(engine.house, keys),
        load_page(),
        Exposition(health),
        certificate.accept if certificate else Connection,
    )
    reloaded = (KeyFiles(settings, keys), certificate, engine.house.tokens.jwks)
    webhook = _webhook(settings.alerts, health)
    reloads = Reloads(health.troubles, [thing for thing in reloaded if thing])
    # A port that is taken is known before the journal is touched; who comes meanwhile waits in the kernel.
    async with open_listeners(settings.host, settings.port) as listeners, trio.open_nursery() as core:
        health.address = local_url(settings.scheme, *listeners[0].getsockname()[:2])
        if (journal := await take_over(engine, settings)) is not None:
            await core.start(journal.run)
        await core.start(engine.run)
        core.start_soon(reloads.run, control)
        if webhook is not None:
            core.start_soon(webhook.run)
        async with trio.open_nursery() as edges:
            for name, feed in feeds.items():
                health.feeds[name] = FeedHealth(name, feed.venue, account=feed.account)
                await edges.start(_run_feed, feed, engine, health.feeds[name])
            async with trio.open_nursery() as entrance:
                await entrance.start(door.run, listeners, control.ending)
                _settle_memory()
                task_status.started(health.address)
            edges.cancel_scope.cancel()
        core.cancel_scope.cancel()


def _webhook(settings: AlertsSettings, health: Health) -> "Webhook | None":
    """What it is made with is imported for its users alone."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    from monitor.webhook import Webhook

    return Webhook(settings.webhook_url, settings.webhook_secret.get_secret_value(), health)


def _make_room(connections: int) -> None:
    room = make_room(connections + SPARE_SOCKETS) - SPARE_SOCKETS
    if room < connections:
        _log.warning(
            "room for %d clients, not for limits.connections = %d: raise the limit of open files"
            " (ulimit -Hn, ulimit -n), or lower that setting",
            max(0, room),
            connections,
        )


def _settle_memory() -> None:
    """Keep the collector from walking through what was made at the start, for as long as we run.

    A full collection took 18 ms, and with the default threshold one came every few seconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


class _Feed(NamedTuple):
    """A feed that the settings ask for; `run` takes a sink and its health."""

    venue: str
    account: str | None
    run: Callable[..., Awaitable[None]]
    has_history: bool = False
    """It looks up the fills of its account that nobody told, by what is known of it: `past`."""


async def _run_feed(
    feed: _Feed, engine: Engine, health: FeedHealth, *, task_status: trio.TaskStatus[None]
) -> None:
    """Until cancelled; one with a history begins anew whenever there is more to look up than it knows of."""
    if feed.account is None or not feed.has_history:
        await feed.run(engine.ingest, health, task_status=task_status)
        return
    while True:
        recheck = engine.rechecks.begin(feed.account, feed.venue)
        past = engine.market.past(feed.account, feed.venue)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(feed.run, engine.ingest, health, past=past))
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            await recheck.due.wait()
            nursery.cancel_scope.cancel()
        if recheck.refused:
            _log.warning("%s: begins anew: %d of what it told found no room", health.name, recheck.refused)
        await trio.sleep(RECHECK_SECONDS)


def _feeds(settings: Settings) -> dict[str, _Feed]:
    """By name. A venue's library is imported where its feed is, so that only its users wait for it.

    Raises:
        ConfigError: a private key can't be had.
    """
    feeds: dict[str, _Feed] = {}
    if settings.feeds.binance is not None:
        from monitor.feeds.binance import run_binance

        feeds["binance"] = _Feed("binance", None, partial(run_binance, settings.feeds.binance))
    if settings.feeds.binance_account is not None:
        from monitor.feeds.binance_account import run_binance_account

        account = settings.feeds.binance_account
        feeds["binance_account"] = _Feed(
            "binance", account.account, partial(run_binance_account, account), has_history=True
        )
    if settings.feeds.kalshi is not None:
        from monitor.feeds.kalshi import run_kalshi
        from monitor.feeds.kalshi_key import load_signer

        kalshi = settings.feeds.kalshi
        # Read once: a key file that is gone or changed later must not end what runs.
        run = partial(run_kalshi, kalshi, load_signer(kalshi.private_key_file))
        feeds["kalshi"] = _Feed("kalshi", kalshi.account, run, has_history=True)
    simulator = settings.simulator.enabled
    if simulator or (simulator is None and not feeds):
        from monitor.feeds.simulator import run_simulator

        feeds["simulator"] = _Feed("sim", DEMO_ACCOUNT, partial(run_simulator, settings.simulator))
    return feeds
