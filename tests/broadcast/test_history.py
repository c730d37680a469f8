from monitor.broadcast.history import History
from monitor.broadcast.item import Publication

SECOND = 1_000_000_000


def _filled(size: int, count: int, seconds: int = 0) -> History:
    history = History(size, seconds)
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


def test_publications_expire_by_age() -> None:
    history = _filled(size=10, count=5, seconds=97)
    assert _offsets(history) == [3, 4, 5]


def test_clearing_keeps_offset_and_epoch() -> None:
    history = _filled(size=10, count=5)
    epoch = history.epoch
    history.clear()
    assert _offsets(history) == []
    assert (history.offset, history.epoch) == (5, epoch)


def test_every_stream_has_an_epoch_of_its_own() -> None:
    assert History(1, 0).epoch != History(1, 0).epoch
