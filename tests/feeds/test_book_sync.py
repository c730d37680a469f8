from hypothesis import given
from hypothesis import strategies as st

from monitor.events import BookDelta, BookSnapshot, BookStatus, BookStatusChanged, Event
from monitor.feeds.book_sync import BUFFER_LIMIT, BookSync, Update


def update(first: int, last: int) -> Update:
    """An update that sets the bid at price `last` to size `last`."""
    return Update(first, last, BookDelta("binance", "X", [(last, last)], [], last))


def snapshot(update_id: int) -> BookSnapshot:
    return BookSnapshot("binance", "X", [(update_id, update_id)], [], update_id)


def statuses(events: list[Event]) -> list[BookStatus]:
    return [event.status for event in events if isinstance(event, BookStatusChanged)]


def deltas(events: list[Event]) -> list[int]:
    return [event.time_ms for event in events if isinstance(event, BookDelta)]


def synced_at(update_id: int) -> BookSync:
    book = BookSync("binance", "X")
    book.resync(0, "subscribed")
    assert book.restore(update_id, snapshot(update_id)) == [snapshot(update_id)]
    return book


def test_buffered_updates_follow_the_snapshot() -> None:
    book = BookSync("binance", "X")
    assert statuses(book.resync(0, "subscribed")) == [BookStatus.RESYNC]
    for ids in [(1, 5), (6, 9), (10, 12), (13, 13)]:
        assert book.apply(update(*ids)) == []
    events = book.restore(10, snapshot(10))
    assert events is not None
    assert events[0] == snapshot(10)
    assert deltas(events) == [12, 13]
    assert book.status is BookStatus.SYNCED


def test_snapshot_older_than_the_first_update_is_refused_and_the_next_one_taken() -> None:
    book = BookSync("binance", "X")
    book.apply(update(10, 12))
    assert book.restore(8, snapshot(8)) is None
    events = book.restore(11, snapshot(11))
    assert events is not None
    assert deltas(events) == [12]


def test_snapshot_that_the_first_update_follows_on_is_taken() -> None:
    book = BookSync("binance", "X")
    book.apply(update(10, 12))
    events = book.restore(9, snapshot(9))
    assert events is not None
    assert deltas(events) == [12]


def test_old_updates_are_ignored() -> None:
    book = synced_at(10)
    assert book.apply(update(5, 10)) == []
    assert book.last_id == 10


def test_gap_invalidates_the_book_until_a_snapshot_arrives() -> None:
    book = synced_at(10)
    lost = book.apply(update(12, 14))
    assert statuses(lost) == [BookStatus.GAP, BookStatus.RESYNC]
    assert book.apply(update(15, 15)) == []
    restored = book.restore(13, snapshot(13))
    assert restored is not None
    assert deltas(restored) == [14, 15]


def test_gap_among_buffered_updates_is_a_gap() -> None:
    book = BookSync("binance", "X")
    book.apply(update(1, 2))
    book.apply(update(5, 6))
    events = book.restore(1, snapshot(1))
    assert events is not None
    assert statuses(events) == [BookStatus.GAP, BookStatus.RESYNC]
    assert book.status is BookStatus.RESYNC


def test_silent_book_is_stale_until_its_next_update() -> None:
    book = synced_at(10)
    assert statuses(book.fall_silent("no depth", 0)) == [BookStatus.STALE]
    assert book.fall_silent("no depth", 0) == []
    assert statuses(book.apply(update(11, 11))) == [BookStatus.SYNCED]


def test_lost_connection_is_said_once() -> None:
    book = synced_at(10)
    assert statuses(book.disconnect("lost", 0)) == [BookStatus.STALE]
    assert book.disconnect("lost", 0) == []


def test_buffer_is_bounded() -> None:
    book = BookSync("binance", "X")
    for index in range(1, BUFFER_LIMIT + 10):
        book.apply(update(index, index))
    assert book.restore(5, snapshot(5)) is None
    restored = book.restore(BUFFER_LIMIT + 5, snapshot(BUFFER_LIMIT + 5))
    assert restored is not None
    assert len(deltas(restored)) == 4


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_synced_book_has_seen_every_update_since_its_snapshot(
    widths: list[int], lost: set[int], snapshots_at: list[int]
) -> None:
    """Whatever is lost and whenever snapshots come, what passes since one is contiguous."""
    book = BookSync("binance", "X")
    book.resync(0, "subscribed")
    last, shown = 0, None
    for index, width in enumerate(widths):
        first, last = last + 1, last + width
        events = [] if index in lost else book.apply(update(first, last))
        if index in snapshots_at and book.status is BookStatus.RESYNC:
            events = [*events, *(book.restore(last, snapshot(last)) or [])]
        for event in events:
            if isinstance(event, BookSnapshot):
                shown = event.time_ms
            elif isinstance(event, BookStatusChanged):
                shown = None
            elif isinstance(event, BookDelta):
                assert shown is not None
                missed = [i for i in range(len(widths)) if shown < sum(widths[: i + 1]) < event.time_ms]
                assert not missed
                shown = event.time_ms
