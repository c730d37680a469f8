"""Reports as a server makes them, each field changeable."""

from typing import Any

from tui.reports import (
    AlertReport,
    ChannelReport,
    CloseReport,
    ConnectionReport,
    FeedReport,
    FillReport,
    HealthReport,
    KindReport,
    LaneReport,
    LedgerReport,
)

NOON_MS = 1_795_176_000_000
"""Some day's."""
CLIENT = "ccfd6e7f-0c1d-4b7e-9f3a-5d2b8a1c4e6f"
"""One's id."""


def lane(**changes: Any) -> LaneReport:
    base: LaneReport = {
        "lane": "normal",
        "depth": 0,
        "bytes": 0,
        "age_ms": None,
        "peak": 0,
        "history": [0] * 60,
        "rate": 0.0,
    }
    return base | changes  # type: ignore[return-value]


def kind(**changes: Any) -> KindReport:
    base: KindReport = {
        "kind": "order_fill",
        "lane": "immediate",
        "threshold_ms": 10.0,
        "count": 12,
        "rate": 1.5,
        "p50_ms": 0.5,
        "p99_ms": 3.0,
        "worst_ms": 4.0,
        "late": 0,
        "budget_left": 1.0,
        "worst_client": {"client": "5e0f6a1c-77aa", "ms": 4.0, "stage": "write"},
        "stages": {"wait_ms": 0.1, "encode_ms": 0.02, "write_ms": 0.3},
        "end_to_end": {"p99_ms": 3.1, "error_ms": 0.4},
        "state": "ok",
    }
    return base | changes  # type: ignore[return-value]


def health(**changes: Any) -> HealthReport:
    base: HealthReport = {
        "time": NOON_MS,
        "uptime_seconds": 75.0,
        "version": "0.1.0",
        "address": "http://127.0.0.1:8000",
        "pid": 1,
        "clients": 1_204,
        "subscriptions": 3_312,
        "channels": 7,
        "rates": {"published": 220.0, "sent": 12_300.0, "merged": 0.0, "dropped": 0.0, "bytes": 1.2e6},
        "totals": {
            "published": 1,
            "offered": 2,
            "sent": 1,
            "merged": 0,
            "dropped": 1,
            "pending": 0,
            "resent": 0,
            "late": 0,
            "drops": {"left": 1},
            "refused": {},
            "refused_at": {},
            "bytes": 1,
            "connections": 1,
            "failed": 0,
        },
        "lanes": [lane(lane=name) for name in ("immediate", "high", "normal", "low")],
        "kinds": [kind(), kind(kind="trade", lane="normal", threshold_ms=100.0)],
        "encodings": [
            {"encoding": "zstd", "clients": 4, "payload_bytes": 900, "frame_bytes": 300, "ratio": 3.0}
        ],
        "journal": {"state": "durable", "commit_p99_ms": 0.4},
        "tuning": {"on": False, "cadence": {"tick_ms": 20.0}, "steps": []},
        "loop": {"lag_p99_ms": 0.4, "lag_max_ms": 2.1},
        "process": {"memory_bytes": 66_000_000, "cpu_percent": 12.3},
    }
    return base | changes  # type: ignore[return-value]


def alert(**changes: Any) -> AlertReport:
    base: AlertReport = {
        "id": 1,
        "name": "latency:order_fill",
        "severity": "critical",
        "message": "order_fill is late",
        "value": 12.0,
        "limit": 10.0,
        "since": NOON_MS,
        "raised": NOON_MS,
        "cleared": None,
        "acknowledged": False,
        "silenced_until": None,
    }
    return base | changes  # type: ignore[return-value]


def feed(**changes: Any) -> FeedReport:
    base: FeedReport = {
        "name": "binance",
        "venue": "binance",
        "account": None,
        "state": "live",
        "url": "wss://stream.binance.com:9443",
        "rate": 212.0,
        "messages": 4_000,
        "age_ms": 120,
        "gaps": 0,
        "retries": 0,
        "garbage": 0,
        "error": None,
        "subscriptions": [{"name": "btcusdt@trade", "state": "fresh", "age_ms": 12, "messages": 99}],
    }
    return base | changes  # type: ignore[return-value]


def ledger(**changes: Any) -> LedgerReport:
    base: LedgerReport = {
        "offered": 10,
        "sent": 10,
        "sent_bytes": 1_400,
        "merged": 0,
        "dropped": 0,
        "late": 0,
        "pending": 0,
        "resent": 0,
    }
    return base | changes  # type: ignore[return-value]


def close(**changes: Any) -> CloseReport:
    base: CloseReport = {
        "client": "c0",
        "address": "127.0.0.1:40000",
        "connected": NOON_MS - 75_000,
        "closed": NOON_MS,
        "code": 3008,
        "reason": "slow",
    }
    return base | changes  # type: ignore[return-value]


def channel(**changes: Any) -> ChannelReport:
    base: ChannelReport = {
        "channel": "trades:all",
        "lane": "normal",
        "delivery": "stream",
        "subscribers": 1_203,
        "published": 81_000,
        "kept": 300,
        "kept_bytes": 42_000,
        "queued_bytes": 0,
        "offset": 81_000,
        "epoch": "a1b2c3d4",
        "rate": 20.1,
        "ledger": ledger(),
    }
    return base | changes  # type: ignore[return-value]


def connection(**changes: Any) -> ConnectionReport:
    base: ConnectionReport = {
        "id": "c1",
        "user": "desk",
        "name": "js",
        "address": "127.0.0.1:40001",
        "state": "ok",
        "channels": ["trades:all"],
        "lanes": [0, 0, 0, 0],
        "outbox_bytes": 0,
        **ledger(),
        "rtt_ms": 0.4,
        "e2e_ms": 1.5,
        "e2e_error_ms": 0.2,
        "encoding": "plain",
        "connected": NOON_MS,
        "ladder": {"step": 0, "name": "full", "backlog_bytes": 0, "since": None, "pinned": False},
        "budget": {"messages_per_second": 0, "bytes_per_second": 0},
    }
    return base | changes  # type: ignore[return-value]


def fill(**changes: Any) -> FillReport:
    base: FillReport = {
        "market": "sim.BTCUSDT",
        "fill": "f1",
        "side": "buy",
        "price": "61837.63",
        "size": "0.5",
        "filled": "0.5",
        "order_size": "1",
        "bot": "bot-1",
        "role": "safety_order",
        "time": NOON_MS,
        "backfilled": False,
    }
    return base | changes  # type: ignore[return-value]
