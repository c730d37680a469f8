"""What every table can do, driven by keys and clicks."""

import csv
import os
import re
from pathlib import Path

import pytest

from tests.tui.reports import connection, feed, fill, health, kind
from tests.tui.screen import Screen, run
from tui.panels.kinds import KindsTable
from tui.question import Question
from tui.screens.connections import ConnectionsTable
from tui.screens.feeds import FeedsTable
from tui.screens.fills import FillsTable

FILLS = ("5", "tab", "tab")
"""Of three lists the last."""


def markets(screen: Screen) -> list[str]:
    return re.findall(r"\bsim\.\w+", "\n".join(screen.lines(FillsTable)))


def title(screen: Screen) -> str:
    return str(screen.app.screen.query_one(FillsTable).border_title).strip()


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def three_fills(screen: Screen) -> None:
    screen.model.set_fills(
        "paper",
        [
            fill(fill="1", market="sim.BTCUSDT", price="9.5", time=1_000),
            fill(fill="2", market="sim.ETHUSDT", price="100", time=2_000),
            fill(fill="3", market="sim.SOLUSDT", price="20", time=3_000),
        ],
    )


def test_slash_filters_and_escape_shows_all_again() -> None:
    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS, "slash", *"!btc")
        assert markets(screen) == ["sim.SOLUSDT", "sim.ETHUSDT"]
        assert title(screen) == "Fills · 2 of 3 · filter !btc"
        await screen.press("enter", "escape")
        assert len(markets(screen)) == 3
        assert title(screen) == "Fills"

    run(story, (80, 24))


def test_filter_of_one_view_leaves_another_alone() -> None:
    async def story(screen: Screen) -> None:
        await screen.press(*FILLS, "slash", *"nothing", "enter", "4")
        assert "binance" in screen.lines(FeedsTable)[1]
        await screen.press(*FILLS)
        assert screen.lines(FillsTable)[1] == " none that match"

    run(story)


def test_regular_expression_is_asked_of_the_rows_that_the_server_gave() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "slash", *"~^. \\S+ +ada")
        assert screen.query.filter == ""
        assert [line.split()[2] for line in screen.lines(ConnectionsTable)[1:] if line] == ["ada"]

    run(story)


def test_keys_sort_by_exact_values_column_by_column() -> None:
    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS, *"sssss")
        assert "price▼" in screen.lines(FillsTable)[0]
        assert markets(screen) == ["sim.ETHUSDT", "sim.SOLUSDT", "sim.BTCUSDT"]
        await screen.press("S")
        assert markets(screen) == ["sim.BTCUSDT", "sim.SOLUSDT", "sim.ETHUSDT"]

    run(story, (80, 24))


def test_chosen_cell_says_by_which_column_to_sort() -> None:
    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS, *["right"] * 5, "s")
        assert "price▼" in screen.lines(FillsTable)[0]
        await screen.press("s")
        assert markets(screen) == ["sim.BTCUSDT", "sim.SOLUSDT", "sim.ETHUSDT"]
        await screen.press("2", "right", "right", "s")
        assert (screen.query.sort, screen.query.descending) == ("address", False)

    run(story, (80, 24))


def test_click_on_a_head_sorts_and_another_turns_it_round() -> None:
    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS)
        await screen.pilot.click(FillsTable, offset=(12, 1))
        assert markets(screen)[0] == "sim.BTCUSDT"
        await screen.pilot.click(FillsTable, offset=(12, 1))
        assert markets(screen)[0] == "sim.SOLUSDT"

    run(story, (80, 24))


def test_troubles_only() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_health(health(kinds=[kind(), kind(kind="trade", state="over")]), 4e9)
        await screen.draw()
        screen.app.screen.query_one(KindsTable).focus()
        await screen.press("p")
        assert [line.split()[1] for line in screen.lines(KindsTable)[1:] if line] == ["trade"]

    run(story)


def test_pause_holds_the_rows_counts_what_comes_and_loses_nothing() -> None:
    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS, "space")
        before = screen.lines(FillsTable)
        for number in range(4, 11):
            screen.model.add_fill("paper", fill(fill=str(number), time=number * 1_000))
            await screen.draw()
        assert screen.lines(FillsTable) == before
        assert title(screen) == "Fills · paused, 7 new or changed"
        await screen.press("space")
        assert len(markets(screen)) == 10

    run(story, (80, 24))


def test_row_that_is_followed_keeps_the_cursor_even_at_the_top() -> None:
    async def story(screen: Screen) -> None:
        await screen.press(*FILLS, "f")
        followed = screen.app.screen.query_one(FillsTable)
        for number in range(40):
            screen.model.add_fill("paper", fill(fill=f"n{number}"))
            await screen.draw()
        assert followed.cursor_key == "paper\nsim.BTCUSDT f1"
        assert "following" in title(screen)
        await screen.press("home")
        assert followed.cursor_key == "paper\nsim.BTCUSDT n39"
        assert title(screen) == "Fills"

    run(story, (80, 24))


def test_cell_and_row_are_copied_without_control_characters() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_connections({"total": 1, "rows": [connection(address="1.2.3.4:5\r", name="x")]})
        await screen.press("2", "right", "right", "c")
        assert screen.app.clipboard == "1.2.3.4:5·"
        await screen.press("C")
        assert screen.app.clipboard.startswith("ok\t1.2.3.4:5·\tdesk\tx\tfull\t1\t0/0/0/0\t0\t1400\t0")

    run(story)


def test_export_asks_for_a_name_and_writes_what_is_on_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS, "slash", *"eth", "enter", "e")
        assert isinstance(screen.app.screen, Question)
        await screen.press("enter")
        (name,) = os.listdir()
        assert name.startswith("lanecast-fills-")
        (line,) = records(tmp_path / name)
        assert (line["market"], line["price"], line["time"]) == ("sim.ETHUSDT", "100", "2000")

    run(story, (80, 24))


def test_lanes_are_a_list_like_others_though_the_kinds_have_the_keys_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def story(screen: Screen) -> None:
        assert isinstance(screen.app.screen.focused, KindsTable)
        await screen.press("shift+tab", "e", "enter")
        assert [record["lane"] for record in records(tmp_path / os.listdir()[0])][-1] == "low"

    run(story, (80, 24))


def test_export_that_is_called_off_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def story(screen: Screen) -> None:
        await screen.press(*FILLS, "e", "escape")
        assert os.listdir() == []

    run(story, (80, 24))


def test_subscriptions_stay_below_their_feed_when_it_is_sorted() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_feeds([feed(name="a"), feed(name="b")])
        await screen.press("4", "enter", "s")
        await screen.pilot.click(FeedsTable, offset=(5, 1))
        names = [line.split()[1] for line in screen.lines(FeedsTable)[1:4]]
        assert names == ["▸", "▾", "btcusdt@trade"]

    run(story)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[/", "filter [/"),
        ("[bold]", "filter [bold]"),
        ("~[", "not a regular expression: "),
        ("~(btc", "not a regular expression: "),
        ("~\\", "not a regular expression: "),
    ],
)
def test_what_is_typed_as_a_filter_is_no_markup_and_may_be_unfinished(text: str, said: str) -> None:
    async def story(screen: Screen) -> None:
        three_fills(screen)
        await screen.press(*FILLS, "slash")
        await screen.stuff(text)
        assert said in screen.text()
        await screen.press("escape")
        assert len(markets(screen)) == 3

    run(story)
