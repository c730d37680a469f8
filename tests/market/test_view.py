"""What one view tells several watchers, whenever each of them came."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.market.view import LatestView, MapView, StateView, View
from tests.market.patches import MapWatcher, Watcher


class Shelf:
    """State in every form that a view shows."""

    def __init__(self) -> None:
        self.version = 0
        self.prices: dict[str, int] = {}

    def set(self, key: str, price: int | None) -> None:
        self.version += 1
        self.prices.pop(key, None)
        if price is not None:
            self.prices[key] = price

    def entries(self) -> dict[str, Any]:
        return dict(self.prices)

    def sections(self) -> dict[str, Any]:
        return {"prices": dict(self.prices), "count": len(self.prices)}


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["somebody comes", "they are told"]),
        st.tuples(st.sampled_from("ab"), st.none() | st.integers(1, 2)),
    )
)


@given(steps=STEPS)
@pytest.mark.parametrize("kind", [StateView, MapView])
def test_whoever_comes_between_two_changes_has_after_the_next_what_all_have(
    kind: type[StateView], steps: list[str | tuple[str, int | None]]
) -> None:
    shelf = Shelf()
    view = kind(lambda: shelf, lambda: 1.0)
    come = MapWatcher if kind is MapView else Watcher
    watchers: list[Any] = [come(view)]
    for step in [*steps, "they are told"]:
        if step == "somebody comes":
            watchers.append(come(view))
        elif step == "they are told":
            tell(view, watchers)
        else:
            shelf.set(*step)
    now = shelf.entries() if kind is MapView else shelf.sections()
    assert [watcher.state for watcher in watchers] == [now] * len(watchers)
    assert view.changes() is None


def tell(view: View, watchers: list[Any]) -> None:
    changes = view.changes()
    for watcher in watchers:
        watcher.take(changes)


def test_the_newest_goes_to_all_though_somebody_was_shown_it_before() -> None:
    shelf = Shelf()
    view = LatestView(lambda: shelf, lambda: 1.0)
    view.whole()
    assert view.changes() is None
    shelf.set("a", 1)
    newest = view.whole()
    assert view.changes() == newest == orjson.dumps(shelf.sections())
    assert view.changes() is None
