import math

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.reports import health
from tests.tui.screen import Screen, run
from tui.panels.header import Header
from tui.refresh import REFRESH_SECONDS, faster, refresh_text, slower


@given(st.sampled_from(REFRESH_SECONDS))
def test_steps_lead_up_and_down_and_stay_within_bounds(seconds: float) -> None:
    assert REFRESH_SECONDS[0] <= faster(seconds) <= seconds <= slower(seconds) <= REFRESH_SECONDS[-1]
    if seconds not in (REFRESH_SECONDS[0], REFRESH_SECONDS[-1]):
        assert faster(slower(seconds)) == slower(faster(seconds)) == seconds


def test_rate_is_told_as_one_says_it() -> None:
    assert [refresh_text(seconds) for seconds in REFRESH_SECONDS] == ["4/s", "2/s", "1/s", "2s", "5s", "10s"]


def test_keys_change_how_often_is_drawn_and_the_head_says_so() -> None:
    async def story(screen: Screen) -> None:
        head = screen.app.screen.query_one(Header)
        assert "⟳ 4/s" in str(head.content)
        await screen.press(*["minus"] * 9)
        assert "⟳ 10s" in str(head.content)
        await screen.press("plus")
        assert "⟳ 5s" in str(head.content)

    run(story)


def test_nothing_is_drawn_before_its_time_but_what_was_asked_for() -> None:
    async def story(screen: Screen) -> None:
        head = screen.app.screen.query_one(Header)
        screen.model.refresh_seconds = math.inf
        screen.app._hurried_at = 0.0
        screen.model.set_health(health(clients=77), 4e9)
        screen.app.beat()
        assert "clients 77" not in str(head.content)
        screen.app.ask(())
        screen.app.beat()
        assert "clients 77" in str(head.content)

    run(story)
