"""What a line of each table says, cell by cell."""

from typing import Any

import pytest

from monitor.client import LinkState, Status
from tests.tui.reports import NOON_MS, alert, connection, feed, fill, health, kind, lane
from tests.tui.screen import Screen, run
from tui.figures import clock_text
from tui.graph import Graph
from tui.model import HEALTH_LATE_SECONDS, ConnectionPage, Model
from tui.panels.facts import Fact, arrange
from tui.panels.header import banner_text, identity, vitals
from tui.panels.kinds import KindsTable, kind_row
from tui.panels.lanes import LanesTable, lane_row
from tui.panels.load import load_facts
from tui.reports import LineReport
from tui.screens.alerts import AlertsTable, alert_row
from tui.screens.connection import connection_facts, connection_notes
from tui.screens.connections import CONNECTIONS, ConnectionsTable, connection_row
from tui.screens.feeds import FeedsTable, feed_of, feed_row, subscription_row
from tui.screens.fills import FillsTable, fill_row
from tui.screens.ledger import totals_notes
from tui.screens.logs import LogsTable, log_row
from tui.table import Cell, Row, Table, Tone

NOON = NOON_MS / 1_000


def cells(table: type[Table], row: Row) -> dict[str, Cell]:
    return {column.key: cell for column, cell in zip(table.COLUMNS, row.cells, strict=True)}


def texts(table: type[Table], row: Row) -> dict[str, object]:
    return {key: cell.content for key, cell in cells(table, row).items()}


def plain(parts: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in parts)


def test_lane_is_drawn_against_its_own_peak() -> None:
    row = cells(LanesTable, lane_row(lane(depth=3, bytes=420, peak=40, history=[40, 3])))
    assert (row["depth"], row["bytes"].content) == (Cell("3", Tone.STRONG, 3), "420 B")
    assert row["history"].content == Graph((40, 3), 40)


def test_small_depths_are_not_blown_up() -> None:
    assert cells(LanesTable, lane_row(lane(peak=2)))["history"].content == Graph((0,) * 60, 10)


@pytest.mark.parametrize(
    ("state", "sign", "tone"),
    [
        ("ok", "●", Tone.GOOD),
        ("warning", "▲", Tone.WARNING),
        ("over", "✖", Tone.BAD),
        ("none", "·", Tone.DIM),
    ],
)
def test_state_of_a_kind_is_told_by_sign_and_tone(state: str, sign: str, tone: Tone) -> None:
    row = cells(KindsTable, kind_row(kind(state=state)))
    assert row["sign"] == Cell(sign, tone, state)
    assert row["state"].tone is tone


def test_kind_without_a_threshold_has_no_gauge() -> None:
    row = texts(KindsTable, kind_row(kind(threshold_ms=None, p99_ms=None, state="none", lane=None)))
    assert (row["limit"], row["p99"], row["used"], row["lane"]) == ("-", "-", "", "")


def test_state_that_is_not_known_is_shown_as_it_is_called() -> None:
    assert texts(KindsTable, kind_row(kind(state="paused")))["state"] == "paused"
    assert texts(FeedsTable, feed_row(feed(state="napping"), False))["state"] == "napping"


def test_kinds_that_were_seen_come_first() -> None:
    model = Model("")
    model.health = health(kinds=[kind(kind="a", count=0), kind(kind="b"), kind(kind="c")])
    assert [row.key for row in KindsTable().rows(model, NOON)] == ["b", "c", "a"]


def test_active_alert_ages_and_a_cleared_one_does_not() -> None:
    active = texts(AlertsTable, alert_row(alert(), NOON + 75))
    assert (active["sign"], active["cleared"], active["lasted"]) == ("✖", "active", "1m15s")
    cleared = texts(AlertsTable, alert_row(alert(cleared=NOON_MS + 5_000), NOON + 75))
    assert (cleared["sign"], cleared["lasted"]) == ("✓", "5s")


def test_feed_in_trouble_says_why_and_how_often() -> None:
    row = cells(FeedsTable, feed_row(feed(state="retrying", gaps=2, error="reset by peer"), False))
    assert row["gaps"] == Cell("2", Tone.WARNING, 2)
    assert row["error"] == Cell("reset by peer", Tone.BAD)
    assert row["sign"] == Cell("✖", Tone.BAD, "retrying")


def test_feed_that_dials_again_stays_as_bad_as_its_alert() -> None:
    row = cells(FeedsTable, feed_row(feed(state="connecting", error="refused"), False))
    assert row["sign"] == Cell("✖", Tone.BAD, "connecting")
    row = cells(FeedsTable, feed_row(feed(state="connecting"), False))
    assert row["sign"] == Cell("◌", Tone.WARNING, "connecting")


def test_times_of_the_log_are_utc_as_those_in_its_lines_are() -> None:
    line: LineReport = {"id": 1, "time": 80_000_000, "level": "info", "logger": "lanecast", "message": "x"}
    assert texts(LogsTable, log_row(line))["time"] == "22:13:20Z"


def test_open_feed_is_followed_by_its_subscriptions() -> None:
    model = Model("", feeds=[feed(), feed(name="kalshi")], expanded_feeds={"binance"})
    keys = [row.key for row in FeedsTable().rows(model, NOON)]
    assert keys == ["binance", "binance\nbtcusdt@trade", "kalshi"]
    assert {feed_of(key) for key in keys[:2]} == {"binance"}


def test_subscription_shows_its_own_freshness() -> None:
    entry = feed()["subscriptions"][0]
    entry.update({"state": "stale", "age_ms": 43_000})
    row = texts(FeedsTable, subscription_row("binance", entry))
    assert (row["sign"], row["state"], row["age"]) == ("▲", "stale", "43s")


def test_newest_fill_is_on_top() -> None:
    model = Model("")
    model.set_fills("paper", [fill(fill="1"), fill(fill="2")])
    assert [row.key for row in FillsTable().rows(model, NOON)] == [
        "paper\nsim.BTCUSDT 2",
        "paper\nsim.BTCUSDT 1",
    ]


def test_side_of_a_fill_is_told_by_sign_and_word() -> None:
    assert texts(FillsTable, fill_row("paper", fill(side="sell"), NOON))["side"] == "▼ sell"


def test_connection_shows_all_four_lanes() -> None:
    row = texts(ConnectionsTable, connection_row(connection(lanes=[1, 0, 12, 3], user=""), NOON + 60))
    assert (row["depth"], row["user"], row["connected"]) == ("1/0/12/3", "-", "1m00s")


def test_facts_of_a_connection_say_why_it_stands_on_its_step() -> None:
    standing: Any = {"step": 3, "name": "book_5", "backlog_bytes": 520_000, "since": NOON_MS, "pinned": False}
    page = ConnectionPage("c1", connection(ladder=standing, rtt_ms=None, lanes=[1, 0, 12, 3]))
    facts = {fact.name: fact.text for fact in connection_facts(page, NOON)}
    assert (facts["round trip"], facts["end to end"]) == ("-", "1.5 ± 0.20 ms")
    notes = {fact.name: fact.text for fact in connection_notes(page, NOON + 8)}
    assert notes["ladder"] == "3 book 5, for 8s: 520.0 kB wait"
    assert notes["waiting"] == "immediate 1 · high 0 · normal 12 · low 3 · 0 B"
    assert notes["budget"] == "any number of messages, any number of bytes"
    standing["pinned"] = True
    assert (
        "kept there by an operator"
        in {fact.name: fact.text for fact in connection_notes(page, NOON)}["ladder"]
    )


def test_ledger_that_does_not_balance_says_by_how_much() -> None:
    totals = health()["totals"]
    assert totals_notes(totals)[0].tone is Tone.GOOD
    totals["sent"] += 3
    assert "-3 off" in totals_notes(totals)[0].text


def test_facts_stand_in_as_many_columns_as_fit() -> None:
    facts = [Fact(str(number), f"text {number}") for number in range(4)]
    wide, narrow = (arrange(facts, [Fact("note", "x" * 99)], width).plain.splitlines() for width in (80, 40))
    assert [line.split() for line in wide[:2]] == [
        ["0", "text", "0", "2", "text", "2"],
        ["1", "text", "1", "3", "text", "3"],
    ]
    assert (len(wide), len(narrow)) == (3, 5)
    assert wide[2].rstrip().endswith("…")


def test_title_says_how_many_connections_match() -> None:
    model = Model("", connections={"total": 1_200, "rows": [connection()]})
    assert ConnectionsTable().title(model) == "Connections · 1 of 1,200"
    model.refuse("ops.connections", "permission denied")
    assert ConnectionsTable().title(model) == "Connections · permission denied"


def test_columns_that_sort_are_the_servers_names() -> None:
    sortable = {column.key for column in ConnectionsTable.COLUMNS if column.is_sortable}
    assert set(CONNECTIONS.sort_columns) <= sortable


def test_head_names_server_and_figures() -> None:
    model = Model("http://127.0.0.1:8000")
    assert "clients -" in plain(vitals(None, 80))
    assert "connecting" in plain(identity(model, 80))
    words = " ".join(plain(vitals(health(), 120)).split())
    assert words == (
        "clients 1,204 in 220/s out 12.3k/s merged 0/s dropped 0/s lag 0.40 ms bytes 1.2 MB/s subs 3,312"
    )


def test_head_leaves_out_what_there_is_no_room_for() -> None:
    model = Model("http://127.0.0.1:8000")
    model.set_health(health(), NOON)
    for width in range(20, 130):
        assert len(plain(vitals(health(), width))) <= width
    assert "version" in plain(identity(model, 120))
    assert "version" not in plain(identity(model, 60))


def test_banner_says_since_when_why_and_what_to_do() -> None:
    model = Model("http://127.0.0.1:8000")
    model.set_link(Status(LinkState.CONNECTED), NOON)
    assert banner_text(model, NOON, "r") == ""
    assert "no health report for 4s" in banner_text(model, NOON + 1 + HEALTH_LATE_SECONDS, "r")
    model.set_link(Status(LinkState.CONNECTING, "shutdown", 3001, failures=1), NOON + 5)
    text = banner_text(model, NOON + 8, "r")
    assert ", 3s · attempt 2 · r tries now · shutdown (code 3001)" in text
    model.set_link(Status(LinkState.CONNECTING, "ws://127.0.0.1:8000/x can't be reached", failures=1), NOON)
    assert banner_text(model, NOON + 1, "r").endswith("· r tries now · can't be reached")
    model.set_link(Status(LinkState.DISCONNECTED, "invalid token", 3500), NOON + 9)
    assert "disconnected since" in banner_text(model, NOON + 9, "r")
    assert "r tries again · this server did not sign the token: " in banner_text(model, NOON + 9, "r")


def test_what_was_missed_stays_among_the_fills_and_is_news_for_a_minute() -> None:
    model = Model("")
    model.set_link(Status(LinkState.CONNECTED), NOON)
    model.set_link(Status(LinkState.CONNECTING, "shutdown", 3001), NOON + 10)
    model.set_link(Status(LinkState.CONNECTED), NOON + 40)
    model.note_gap("orders:ann", model.lost_at, NOON + 40)
    words = f"orders:ann: {clock_text(NOON_MS + 10_000)} to {clock_text(NOON_MS + 40_000)} not received"
    assert banner_text(model, NOON + 41, "r") == f"▲ {words}"
    model.set_health(health(), NOON + 101)
    assert banner_text(model, NOON + 101, "r") == ""
    model.add_fill("ann", fill())
    told = [texts(FillsTable, row)["market"] for row in FillsTable().rows(model, NOON)]
    assert told == [words, fill()["market"]]


def test_how_far_an_order_is_filled_is_said_where_it_is_known() -> None:
    known, unknown = fill(), {"filled": "", "order_size": ""}
    told = [
        fill_row("ann", each, NOON) for each in (known, fill(**unknown), fill(**unknown, backfilled=True))
    ]
    assert [texts(FillsTable, row)["filled"] for row in told] == ["0.5/1", "-/-", "looked up"]


def test_banner_says_what_an_operator_may_not_see() -> None:
    model = Model("")
    model.set_link(Status(LinkState.CONNECTED), NOON)
    model.refuse("orders:paper", "unknown channel")
    assert banner_text(model, NOON, "r") == ""
    model.refuse("ops:health", "subscribe ops:health was refused: permission denied (code 103)")
    assert "ops:health was refused" in banner_text(model, NOON, "r")


@pytest.mark.parametrize(
    ("left", "text", "tone"),
    [(0.6, "60%", Tone.DIM), (0.4, "40%", Tone.WARNING), (-2.5, "0%", Tone.BAD), (None, "", Tone.PLAIN)],
)
def test_error_budget_is_shown_until_nothing_is_left(left: float | None, text: str, tone: Tone) -> None:
    budget = cells(KindsTable, kind_row(kind(budget_left=left)))["budget"]
    assert (budget.content, budget.tone) == (text, tone)


def test_worst_client_of_a_kind_is_told_with_its_stage() -> None:
    assert texts(KindsTable, kind_row(kind()))["worst_client"] == "5e0f6a1c write"
    assert texts(KindsTable, kind_row(kind(worst_client=None)))["worst_client"] == ""


def test_age_of_a_lane_is_that_of_its_oldest_message() -> None:
    assert texts(LanesTable, lane_row(lane(age_ms=1_234.0)))["age"] == "1.2s"
    assert texts(LanesTable, lane_row(lane()))["age"] == "-"


def test_load_tells_what_goes_through_and_what_it_costs() -> None:
    facts = {fact.name: fact.text for fact in load_facts(health())}
    assert (facts["in, out"], facts["bytes"]) == ("220/s, 12.3k/s", "1.2 MB/s")
    assert (facts["process"], facts["compressed"]) == ("12 % cpu, 66.0 MB", "zstd 3.0x")
    assert (facts["journal"], facts["tuning"]) == ("durable, commit 0.40 ms", "off, tick 20 ms")


@pytest.mark.parametrize(
    ("journal", "text"),
    [
        ({"state": "durable", "commit_p99_ms": None}, "durable"),
        ({"state": "off", "commit_p99_ms": None}, "off"),
        ({"state": "not_durable", "commit_p99_ms": 9.0}, "keeps nothing: see alerts"),
    ],
)
def test_journal_is_told_by_what_it_does(journal: Any, text: str) -> None:
    facts = {fact.name: fact.text for fact in load_facts(health(journal=journal))}
    assert facts["journal"] == text


@pytest.mark.parametrize("size", [(140, 50), (160, 50), (220, 60)])
def test_no_figure_of_the_load_is_cut_however_large_it_is(size: tuple[int, int]) -> None:
    large: Any = {
        "rates": {"published": 99_949.0, "sent": 99_949.0, "merged": 99_949.0, "dropped": 0.0, "bytes": 9e8},
        "totals": health()["totals"] | {"merged": 9_999_999, "connections": 99_999, "failed": 9_999},
        "encodings": [{"encoding": name, "ratio": 11.4} for name in ("plain", "deflate", "zstd")],
        "journal": {"state": "durable", "commit_p99_ms": 12_345.0},
        "loop": {"lag_p99_ms": 1_234.0, "lag_max_ms": 12_345.0},
        "process": {"memory_bytes": 999_900_000, "cpu_percent": 100.0},
    }

    async def story(screen: Screen) -> None:
        screen.model.set_health(health(**large), 4e9)
        await screen.draw()
        shown = screen.text()
        assert [fact.text for fact in load_facts(health(**large)) if fact.text not in shown] == []

    run(story, size)


def test_load_tells_the_last_step_of_tuning() -> None:
    steps = [
        {"knob": "tick_ms", "before": 20, "after": 15, "outcome": "trying"},
        {"knob": "tick_messages", "before": 500, "after": 200, "outcome": "kept"},
    ]
    tuning = {"on": True, "cadence": {"tick_ms": 15.0}, "steps": steps}
    facts = {fact.name: fact.text for fact in load_facts(health(tuning=tuning))}
    assert facts["tuning"] == "on, tick 20 → 15 trying"
