"""What an operator does with a list, by keys and mouse on a real terminal, beside a real server.

One server and one console for all: each test begins on the view that it names, and leaves it as it was.
"""

import base64
import csv
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.process import Process, lanecast_process
from tests.terminal import Terminal
from tests.tui.attached import CONNECTED, FIRST_LISTS, console
from tests.tui.reports import fill
from tui.app import VIEWS

pytestmark = pytest.mark.soak
"""Its walk is long, and `test_typed.py` shows what is typed ahead in a fraction of the time."""

SIZE = (160, 50)
CONFIGURATION = "port = 0\nsimulator.enabled = false"
PRICES = {"BTC": "61837.63", "ETH": "9.5", "SOL": "143"}
FILLS, CONNECTIONS, LOGS = ":fills\r", "2", "8"
ESCAPE, HOME = "\x1b", "\x1b[H"
BELOW_ROWS = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with lanecast_process(tmp_path_factory.mktemp("operator"), CONFIGURATION) as server:
        yield server


@pytest.fixture(scope="module")
def desk(server: Process) -> Iterator[Terminal]:
    with console(server.address, SIZE) as screen:
        screen.wait_until_shown(CONNECTED)
        for market, price in PRICES.items():
            publish_fill(server, market, price)
        screen.press("3")
        screen.wait_until_shown("orders:paper")  # an account is followed once something was told of it
        yield screen


def publish_fill(server: Process, market: str, price: str) -> None:
    event = fill(market=f"sim.{market}", fill=f"{market}-{price}", price=price)
    server.publish("orders:paper", {"type": "order_fill", **event})


def open_fills(desk: Terminal) -> None:
    """The list of fills has the keys then, and the cursor is on its first row."""
    desk.press(FILLS)
    desk.wait_until_shown("5 bots", *(f"sim.{market}" for market in PRICES))
    first = f"sim.{markets(desk)[0]}"
    # Below the rows: a second click soon after one on a row would open it.
    desk.click(first, lines_below=BELOW_ROWS)
    desk.press(HOME)
    desk.wait_until(lambda: desk.background(first) != desk.background("of order"))


def markets(desk: Terminal) -> list[str]:
    """Of the fills on the screen, from above."""
    return re.findall(r"^ [-:\d ]+ sim\.(\w+)", desk.shown, re.MULTILINE)


def type_filter(desk: Terminal, text: str, found: list[str]) -> None:
    """Filter, see what is found, and have everything again."""
    before = markets(desk)
    desk.press(f"/{text}\r")
    desk.wait_until(lambda: markets(desk) == found)
    desk.press(ESCAPE)
    desk.wait_until(lambda: markets(desk) == before)


def test_list_is_filtered_by_text_by_pattern_and_by_what_does_not_match(desk: Terminal) -> None:
    open_fills(desk)
    type_filter(desk, "eth", ["ETH"])
    type_filter(desk, "~(btc|sol)-[0-9]", ["SOL", "BTC"])
    type_filter(desk, "!eth", ["SOL", "BTC"])
    type_filter(desk, "!~(btc|sol)", ["ETH"])


def test_list_is_sorted_by_every_column_and_by_exact_values(desk: Terminal) -> None:
    open_fills(desk)
    columns = ("time", "market", "side", "size", "price", "of order", "role", "bot", "fill")
    for column in columns:
        desk.press("s")
        wait_until_sorted(desk, column)
        if column == "price":
            desk.wait_until(lambda: markets(desk) == ["BTC", "SOL", "ETH"])
            desk.press("S")
            desk.wait_until(lambda: markets(desk) == ["ETH", "SOL", "BTC"])
    desk.press("s")
    desk.wait_until_gone("fill▲")


def wait_until_sorted(desk: Terminal, column: str) -> None:
    desk.wait_until(lambda: re.search(rf"\b{column}[▲▼]", desk.shown))


def test_click_on_a_head_sorts_by_it(desk: Terminal) -> None:
    open_fills(desk)
    desk.click("of order")
    desk.wait_until_shown("of order▼")
    desk.click("of order")
    desk.wait_until_shown("of order▲")
    desk.press("ssss")
    desk.wait_until(lambda: not re.search(r"\w[▲▼]", desk.shown))


def test_list_becomes_a_file_with_exact_values_for_its_owner_alone(desk: Terminal, tmp_path: Path) -> None:
    open_fills(desk)
    path = tmp_path / "fills.csv"
    desk.press("e")
    desk.wait_until_shown("Fills as CSV", "lanecast-fills-", "only you can read")
    desk.press(f"{path}\r")
    desk.wait_until(path.exists)
    desk.wait_until_shown(f"{len(PRICES)} rows in")
    with path.open(newline="") as file:
        records = list(csv.DictReader(file))
    assert {record["market"]: record["price"] for record in records} == {
        f"sim.{market}": price for market, price in PRICES.items()
    }
    assert path.stat().st_mode & 0o777 == 0o600


def copied(desk: Terminal, key: str) -> str:
    """What the terminal is given for its clipboard after this key."""
    begin = len(desk.written)
    desk.press(key)
    pattern = re.compile(rb"\x1b\]52;c;([^\x07]*)\x07")
    desk.wait_until(lambda: pattern.search(desk.written, begin))
    (text,) = pattern.findall(desk.written, begin)
    return base64.b64decode(text).decode()


def test_row_and_cell_are_copied_to_the_terminals_clipboard(desk: Terminal) -> None:
    open_fills(desk)
    row = copied(desk, "C").split("\t")
    desk.wait_until(lambda: desk.shown.splitlines()[-1].lstrip("▌ ").startswith("copied "))
    assert row[1:5] == ["sim.SOL", "buy", "0.5", "143"]
    assert copied(desk, "\x1b[C\x1b[Cc") == "sim.SOL"
    desk.press("\x1b[D\x1b[D")


def test_paused_list_stands_still_and_loses_nothing(desk: Terminal, server: Process) -> None:
    open_fills(desk)
    before = markets(desk)
    desk.press(" ")
    desk.wait_until_shown("paused")
    for price in ("1", "2", "3"):
        publish_fill(server, "LATE", price)
    desk.wait_until_shown("paused, 3 new")
    assert markets(desk) == before
    desk.press(" ")
    desk.wait_until(lambda: markets(desk) == ["LATE"] * 3 + before)


def test_followed_row_keeps_the_cursor_while_new_ones_come_in_above(desk: Terminal, server: Process) -> None:
    open_fills(desk)
    followed = copied(desk, "C")
    desk.press("f")
    desk.wait_until_shown("following")
    publish_fill(server, "NEXT", "4")
    desk.wait_until_shown("sim.NEXT")
    assert copied(desk, "C") == followed
    desk.press("f")
    desk.wait_until_gone("following")
    desk.press("\x1b[H")
    assert "sim.NEXT" in copied(desk, "C")


def test_only_troubles_are_shown_on_demand(desk: Terminal, server: Process) -> None:
    for bot, status in (("calm", "active"), ("lost", "error")):
        state = {"name": bot, "market": "sim.BTC", "status": status}
        server.api("map_publish", channel="botstate:paper", key=bot, data=state)
    desk.press("5")
    desk.wait_until_shown("calm", "lost")
    desk.click("Bots")
    desk.press("p")
    desk.wait_until_shown("troubles only", "lost")
    desk.wait_until_gone("calm")
    desk.press("p")
    desk.wait_until_shown("calm", "lost")


def test_server_filters_and_sorts_what_it_alone_has_whole(desk: Terminal) -> None:
    desk.press("3")
    desk.wait_until_shown("Channels ·", "orders:paper", "ops:health")
    desk.press("/ops\r")
    desk.wait_until_shown("Channels · 3 of 3 · matching 'ops'")
    desk.click("channel ")
    desk.wait_until_shown("channel▲")
    desk.wait_until(lambda: channels(desk) == ["ops:alerts", "ops:feeds", "ops:health"])
    desk.press("S")
    desk.wait_until(lambda: channels(desk) == ["ops:health", "ops:feeds", "ops:alerts"])
    desk.press(ESCAPE)
    desk.wait_until_shown("orders:paper")


def channels(desk: Terminal) -> list[str]:
    """On the screen, from above."""
    return re.findall(r"^ (\w+:\S+)", desk.shown, re.MULTILINE)


def test_enter_goes_deeper_and_escape_back_along_the_crumbs(desk: Terminal) -> None:
    desk.press(CONNECTIONS)
    desk.wait_until_shown("Connections · 1 of 1")
    desk.press("\r")
    desk.wait_until_shown("2 connections ▸ console 127.0.0.1:", "Ledger by channel", "ops:health")
    desk.press(ESCAPE)
    desk.wait_until_gone("▸")
    desk.wait_until_shown("2 connections", "Connections · 1 of 1")


def test_colon_and_any_word_for_a_view_leads_there(desk: Terminal) -> None:
    desk.press(LOGS)
    before = "Log"
    words = zip_longest(*((view.NAME, *view.ALIASES) for view in VIEWS))
    for turn in words:
        for word, first in zip(turn, FIRST_LISTS, strict=True):
            if word is not None and first != before:
                desk.press(f":{word}\r")
                desk.wait_until_shown(f"─ {first} ")
                desk.wait_until_gone(f"─ {before} ")
                before = first


def test_keys_that_are_written_at_once_are_done_one_after_the_other(desk: Terminal) -> None:
    desk.press("1:alerts\r")
    desk.wait_until_shown("─ Alerts ", "─ Refused, by limit")
    desk.press("2:bots\r")
    desk.wait_until_shown("─ Bots ")
    desk.press("2\rm3\rn8:channels\r")
    desk.wait_until_shown("─ Channels ", "3 channels")
    desk.press("2")
    desk.wait_until_shown("2 connections ▸ console")
    desk.press("m3\rn2:logs\r")
    desk.wait_until_shown("─ Log ")
    assert "keeps on step" not in desk.shown
    desk.press("22")
    desk.wait_until_shown("─ Connections ")


def test_disconnecting_a_client_is_confirmed_done_and_logged(desk: Terminal, server: Process) -> None:
    with console(server.address, user="night") as other:
        other.wait_until_shown(CONNECTED)
        desk.press(CONNECTIONS)
        desk.wait_until_shown("Connections ·")
        desk.press("/night\r")
        desk.wait_until_shown("Connections · 1 of 1 · matching 'night'")
        desk.press("\r")
        desk.wait_until_shown("▸ night", "Ledger by channel")
        desk.press("x")
        desk.wait_until_shown("Disconnect night")
        desk.press("y")
        other.wait_until_shown("✖ disconnected since", "force disconnect")
    desk.press(LOGS)
    desk.wait_until_shown("operator 'console' disconnects client")
