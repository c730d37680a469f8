from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.graph import Graph, gauge

values = st.lists(st.integers(0, 10_000), max_size=60).map(tuple)


@given(values, st.integers(0, 10_000), st.integers(0, 200))
def test_graph_is_as_wide_as_its_column(history: tuple[int, ...], top: int, width: int) -> None:
    assert cell_len(Graph(history, top).draw(width)) == width


def test_two_values_share_a_cell() -> None:
    assert Graph((0, 0, 4, 8), 8).draw(4) == "⣀⣾  "


def test_an_odd_one_stands_beside_nothing() -> None:
    assert Graph((8,), 8).draw(1) == "⣸"


def test_the_newest_stay_where_not_all_fit() -> None:
    assert Graph((8, 8, 0, 0), 8).draw(1) == "⣀"


def test_the_smallest_depth_differs_from_nothing() -> None:
    assert Graph((1, 0), 10_000).draw(1) != Graph((0, 0), 10_000).draw(1)


@given(st.floats(allow_nan=False), st.integers(0, 40))
def test_gauge_is_bounded(fraction: float, width: int) -> None:
    assert len(gauge(fraction, width)) == width


def test_gauge_is_full_at_one_and_beyond() -> None:
    assert (gauge(0, 3), gauge(0.5, 3), gauge(1, 3), gauge(7, 3)) == ("   ", "█▌ ", "███", "███")
