"""Reports as a server could have given cause for, without one."""

from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.probe.observation import Observation
from monitor.probe.report import (
    Connected,
    Delivered,
    Heard,
    Knee,
    Limit,
    Load,
    Own,
    Report,
    Standing,
    Step,
    Wave,
)


def health(**members: Any) -> dict[str, Any]:
    """An `ops:health` document of a server at rest, as far as it is judged."""
    lanes = [
        {"lane": lane, "depth": 0, "bytes": 0, "rate": 0.0} for lane in ("immediate", "high", "normal", "low")
    ]
    journal = {"trouble": None, "not_kept": 0, "commit_p50_ms": 1.0, "commit_p99_ms": 2.0}
    cadence = {"tick_ms": 20, "compression_level": 6, "compression_from_bytes": 0}
    return {
        "version": "1.0",
        "clients": 3,
        "rates": {"sent": 10.0},
        "lanes": lanes,
        "kinds": [kind()],
        "encodings": [],
        "journal": journal,
        "tuning": {"cadence": cadence},
        "loop": {"lag_p99_ms": 0.5},
        "process": {"memory_bytes": 50_000_000, "cpu_percent": 5.0},
        **members,
    }


def kind(
    name: str = "trade", p99_ms: float = 5.0, count: int = 100, lane: str = "normal", **stages: float
) -> dict[str, Any]:
    means = {"receive_ms": 0.0, "wait_ms": 1.0, "encode_ms": 0.1, "write_ms": 0.5} | stages
    window = {"count": count, "p99_ms": p99_ms, "stages": means if count else None}
    return {"kind": name, "lane": lane, "threshold_ms": 100.0, "last_10s": window}


def feed(name: str = "binance", state: str = "live", **members: Any) -> dict[str, Any]:
    counts = {"age_ms": 20, "rate": 5.0, "retries": 0, "gaps": 0}
    return {
        "name": name,
        "state": state,
        "url": "wss://venue",
        "error": None,
        "subscriptions": [],
        **counts,
        **members,
    }


def connection(id: str = "c1", waiting: int = 0, **members: Any) -> dict[str, Any]:
    row = {"id": id, "user": "", "address": "127.0.0.1", "encoding": "plain", "lanes": [0, 0, waiting, 0]}
    counts = {"outbox_bytes": 100 * waiting, "sent": 5, "dropped": 0}
    budget = {"messages_per_second": 0, "bytes_per_second": 0}
    return row | counts | {"ladder": {"step": 0, "name": "full"}, "budget": budget} | members


def channel(name: str = "trades:all", subscribers: int = 3, rate: float | None = 5.0) -> dict[str, Any]:
    return {"channel": name, "lane": "normal", "subscribers": subscribers, "rate": rate}


def observation(
    *,
    feeds: Sequence[Any] = (),
    connections: Sequence[Any] = (),
    channels: Sequence[Any] = (),
    **members: Any,
) -> Observation:
    """Of a server at rest but for what is given, with the same connections at both looks."""
    seen = {
        "seconds": 2,
        "health": [health(**members)] * 3,
        "feeds": list(feeds),
        "connections_before": list(connections),
        "connections": list(connections),
        "channels": list(channels),
    }
    return msgspec.convert(seen, Observation)


def step(clients: int = 100, p99_ms: float = 20.0, name: str = "ramp", **members: Any) -> Step:
    """Half of what a slow kind brings is late."""
    late = 500 if p99_ms > 100 else 0
    given: dict[str, Any] = {
        "failures": {},
        "cut": {},
        "kinds": [
            Heard("trade", 100.0, 1_000, late, 0, p99_ms / 2, p99_ms * 0.9, p99_ms, p99_ms * 1.2),
            Heard("order_fill", 10.0, 1_000, 0, 0, 0.7, 1.0, 1 + clients / 1_000, 5.0),
        ],
        "server": Standing(min(100.0, clients / 20), 1.0, 50_000_000 + clients * 10_000, 0, clients * 50.0),
        "own": Own(min(100.0, clients / 60), 0.5, 40.0),
    }
    return Step(name, clients, **given | members)


def load(ramp: Sequence[Step] = (), **members: Any) -> Load:
    given: dict[str, Any] = {
        "knee": Knee(800, 1_200, Limit.THRESHOLD, "trade: 500 of 1000 took longer than 100 ms, p99 180.0 ms"),
        "villains": [step(name=name) for name in ("nobody", "never reads", "resets")],
        "wave": Wave(400, 400, {}, 0.8, 210.0, step(name="reconnect wave")),
        "observation": observation(),
    }
    sizes = ramp or [step(clients, 10 + clients / 8) for clients in (50, 100, 200, 400, 800, 1_600, 1_200)]
    return Load(list(sizes), **given | members)


def report(**members: Any) -> Report:
    delivered = Delivered("trade", "normal", "trades:probe-x", 30, 0, 0, 0, 0, 100.0, 12.0, 30.0, 20.0)
    given: dict[str, Any] = {
        "url": "http://127.0.0.1:8000",
        "time_ms": 1_700_000_000_000,
        "version": "1.0",
        "seconds": 15,
        "kinds": [delivered],
        "connected": Connected(20, 0, 0, 0.5),
        "leaks": [],
        "observation": observation(),
    }
    return Report(**given | members)
