from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.history import History, Position
from monitor.broadcast.item import DOCUMENT_BYTES, Publication

SECOND = 1_000_000_000


def _filled(size: int, count: int, seconds: int = 0, limit_bytes: int = 1_000) -> History:
    history = History(size, limit_bytes, seconds, epoch="e")
    for offset in range(1, count + 1):
        history.append(Publication(b"%d" % offset, "kind", offset * SECOND, offset))
    return history


def _offsets(history: History, **how: object) -> list[int]:
    options = {"since": None, "limit": None, "reverse": False, **how}
    return [publication.offset for publication in history.read(100 * SECOND, **options)]  # type: ignore[arg-type]


def test_only_the_last_publications_are_kept_and_offsets_go_on() -> None:
    history = _filled(size=3, count=5)
    assert _offsets(history) == [3, 4, 5]
    assert history.position.offset == 5


def test_since_is_exclusive_in_both_directions() -> None:
    history = _filled(size=10, count=5)
    assert _offsets(history, since=3) == [4, 5]
    assert _offsets(history, since=3, reverse=True) == [2, 1]
    assert _offsets(history, reverse=True, limit=2) == [5, 4]
    assert _offsets(history, limit=0) == []


@given(since=st.none() | st.integers(-2, 12), limit=st.none() | st.integers(0, 12), count=st.integers(0, 10))
def test_what_is_read_is_a_part_of_what_is_kept(since: int | None, limit: int | None, count: int) -> None:
    kept = list(range(max(1, count - 3), count + 1))
    after = [offset for offset in kept if since is None or offset > since]
    before = [offset for offset in reversed(kept) if since is None or offset < since]
    history = _filled(size=4, count=count)
    assert _offsets(history, since=since, limit=limit) == after[:limit]
    assert _offsets(history, since=since, limit=limit, reverse=True) == before[:limit]


def test_publications_expire_by_age() -> None:
    history = _filled(size=10, count=5, seconds=97)
    assert _offsets(history) == [3, 4, 5]


def test_clearing_keeps_offset_and_epoch() -> None:
    history = _filled(size=10, count=5)
    epoch = history.epoch
    history.clear()
    assert _offsets(history) == []
    assert (history.offset, history.epoch) == (5, epoch)


def test_the_oldest_go_when_the_bytes_are_too_many() -> None:
    history = _filled(size=10, count=5, limit_bytes=3)
    assert _offsets(history) == [3, 4, 5]
    history.append(Publication(b"1234", "kind", 0, 6))
    assert (_offsets(history), history.bytes, history.offset) == ([], 0, 6)


def _missed(history: History, offset: int, epoch: str = "e") -> list[int] | None:
    missed = history.missed(Position(offset, epoch), 100 * SECOND, limit_bytes=1_000)
    return None if missed is None else [publication.offset for publication in missed]


def test_what_was_missed_is_told_in_full_or_not_at_all() -> None:
    history = _filled(size=3, count=5)
    assert [_missed(history, offset) for offset in range(7)] == [None, None, [3, 4, 5], [4, 5], [5], [], None]


def test_a_position_of_another_stream_is_worth_nothing_and_no_epoch_is_any() -> None:
    history = _filled(size=3, count=5)
    assert (_missed(history, 5, "f"), _missed(history, 4, "")) == (None, [5])


def test_more_bytes_than_may_be_is_not_told() -> None:
    history = _filled(size=10, count=5)
    position, size_bytes = Position(2, "e"), 3 * (DOCUMENT_BYTES + 1)
    assert history.missed(position, 0, limit_bytes=size_bytes - 1) is None
    assert len(history.missed(position, 0, limit_bytes=size_bytes) or ()) == 3


def test_what_has_expired_or_was_removed_can_not_be_told() -> None:
    history = _filled(size=10, count=5, seconds=97)
    assert (_missed(history, 1), _missed(history, 2)) == (None, [3, 4, 5])
    history.clear()
    assert (_missed(history, 4), _missed(history, 5)) == (None, [])
    history.append(Publication(b"6", "kind", 100 * SECOND, 6))
    assert (_missed(history, 4), _missed(history, 5)) == (None, [6])


def test_what_lies_between_what_is_kept_and_where_a_stream_stands_can_not_be_told() -> None:
    history = History(10, 1_000, 0, epoch="")
    kept = [Publication(b"1", "kind", 0, offset) for offset in range(1, 6)]
    history.restore(Position(8, "e"), kept)
    assert [_missed(history, offset) for offset in (3, 6, 8)] == [None, None, []]
