from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from monitor.events import BotLifecycle, Event, FillsMissing
from tests.market.events import NOW_MS, listing, order_fill
from tests.storage.journal import Running, running

pytestmark = pytest.mark.trio

FILLS = 500
"""More than the smallest queue of a journal has room for."""
LITTLE_ROOM = {"queue_bytes": 65_536}


def tell(each: Running, events: Iterable[Event]) -> None:
    """All in one step: the journal takes none meanwhile."""
    each.engine.ingest(listing(), 0)
    for event in events:
        each.engine.ingest(event, 0)


def tell_fills(each: Running) -> None:
    tell(each, (order_fill(f"f{number}") for number in range(FILLS)))


async def test_what_finds_no_room_has_its_own_account_looked_up_at_its_venue_alone(tmp_path: Path) -> None:
    async with running(tmp_path, journal=LITTLE_ROOM) as each:
        rechecks = each.engine.rechecks
        own = rechecks.begin("paper", "sim")
        others = [rechecks.begin("paper", "kalshi"), rechecks.begin("ann", "sim")]
        tell_fills(each)
        assert own.due.is_set()
        assert not any(other.due.is_set() for other in others)
        assert not rechecks.begin("paper", "sim").due.is_set()


async def test_no_feed_begins_anew_for_a_bots_events_which_none_can_look_up(tmp_path: Path) -> None:
    lifecycle = BotLifecycle("sim", "paper", "b", "Bot" * 100, "BTCUSDT", "started", NOW_MS)
    async with running(tmp_path, journal=LITTLE_ROOM) as each:
        recheck = each.engine.rechecks.begin("paper", "sim")
        tell(each, [lifecycle] * FILLS)
        assert each.engine.health.totals.refused["queue_bytes"] > 0
        assert not recheck.due.is_set()


async def test_fills_stay_missing_though_all_was_looked_up_while_some_found_no_room(tmp_path: Path) -> None:
    async with running(tmp_path, journal=LITTLE_ROOM) as each:
        market, rechecks = each.engine.market, each.engine.rechecks
        rechecks.begin("paper", "sim")
        each.engine.ingest(FillsMissing("sim", "paper", 5), 0)
        tell_fills(each)
        each.engine.ingest(FillsMissing("sim", "paper", None), 0)
        (told,) = market.apply(order_fill("next"), NOW_MS)
        assert orjson.loads(told.payload)["missing_since"] == 5
        rechecks.begin("paper", "sim")
        each.engine.ingest(FillsMissing("sim", "paper", None), 0)
        (told,) = market.apply(order_fill("next"), NOW_MS)
        assert "missing_since" not in orjson.loads(told.payload)


async def test_of_many_fills_that_find_no_room_the_first_is_logged_and_the_others_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, journal=LITTLE_ROOM) as each:
        recheck = each.engine.rechecks.begin("paper", "sim")
        tell_fills(each)
        assert recheck.refused == each.engine.health.totals.refused["queue_bytes"] > 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
