from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.broadcast.history import History
from monitor.broadcast.item import Publication
from monitor.broadcast.keyed import Keyed, StreamLost

SECOND = 1_000_000_000
KEY_LIMIT = 6
STREAM_SIZE = 8
TTL_SECONDS = 20

keys = st.sampled_from("abcdefghé")
values = st.binary(max_size=3).map(lambda value: value.hex().encode())


def _put(keyed: Keyed, key: str, data: bytes = b"1", stamp_ns: int = 0) -> Publication:
    return keyed.put(Publication(data, "kind", stamp_ns, key=key))


def _keyed(*, key_limit: int = 100, limit_bytes: int = 10_000, ttl_seconds: int = 0) -> Keyed:
    return Keyed(
        History(100, 1 << 20, 0, epoch="e"),
        key_limit=key_limit,
        limit_bytes=limit_bytes,
        ttl_seconds=ttl_seconds,
    )


def _page(keyed: Keyed, after: str = "", *, count: int = 100, limit_bytes: int = 10_000) -> tuple[str, str]:
    page = keyed.page(after, keyed.stream.offset, count=count, limit_bytes=limit_bytes)
    return "".join(entry.key for entry in page.entries), page.cursor


def test_entries_are_paged_by_key() -> None:
    keyed = _keyed()
    for key in "dbeac":
        _put(keyed, key)
    assert _page(keyed, count=2) == ("ab", "b")
    assert _page(keyed, "b", count=2) == ("cd", "d")
    assert _page(keyed, "d", count=2) == ("e", "")


def test_page_is_bounded_in_bytes_but_holds_at_least_one_entry() -> None:
    keyed = _keyed()
    for key in "abc":
        _put(keyed, key, b"x" * 99)
    assert _page(keyed, limit_bytes=250) == ("ab", "b")
    assert _page(keyed, limit_bytes=10) == ("a", "a")


def test_page_leaves_out_what_changed_after_the_first_one() -> None:
    keyed = _keyed()
    for key in "abc":
        _put(keyed, key)
    frozen = keyed.stream.position
    _put(keyed, "b")
    page = keyed.page("", frozen.offset, count=9, limit_bytes=999)
    assert [entry.key for entry in page.entries] == ["a", "c"]
    assert [change.key for change in keyed.since(frozen.offset, frozen.epoch, 0)] == ["b"]


def test_unknown_key_is_removed_without_a_publication() -> None:
    keyed = _keyed()
    assert keyed.remove("a", "kind", 0) is None
    assert keyed.stream.offset == 0


def test_removal_carries_the_tags_of_what_it_removes() -> None:
    keyed = _keyed()
    keyed.put(Publication(b"1", "kind", 0, tags=b'{"t":"x"}', key="a"))
    told = keyed.remove("a", "kind", 0)
    assert told is not None
    assert told.document() == b'{"data":null,"key":"a","removed":true,"offset":2,"tags":{"t":"x"}}'
    assert (len(keyed), keyed.bytes) == (0, 0)


def test_bounds_are_told_with_what_to_do() -> None:
    keyed = _keyed(key_limit=2, limit_bytes=60)
    _put(keyed, "a")
    _put(keyed, "b")
    with pytest.raises(ValueError, match=r"has 2 keys, its limit \(key_limit\): remove some"):
        _put(keyed, "c")
    with pytest.raises(ValueError, match=r"would have 102 bytes, the limit is 60"):
        _put(keyed, "a", b"x" * 99)
    with pytest.raises(ValueError, match="must have 1 to 255 bytes"):
        _put(keyed, "é" * 128)
    assert keyed.stream.offset == 2


def test_keys_that_are_not_written_in_time_go_and_others_stay() -> None:
    keyed = _keyed(ttl_seconds=10)
    _put(keyed, "a", stamp_ns=0)
    _put(keyed, "b", stamp_ns=1 * SECOND)
    _put(keyed, "a", stamp_ns=5 * SECOND)
    assert [told.key for told in keyed.expire(11 * SECOND)] == ["b"]
    assert [told.key for told in keyed.expire(15 * SECOND)] == ["a"]


def test_position_of_another_stream_is_lost() -> None:
    keyed = _keyed()
    _put(keyed, "a")
    for offset, epoch in ((0, "other"), (2, keyed.stream.epoch)):
        with pytest.raises(StreamLost):
            keyed.since(offset, epoch, 0)


@dataclass
class Reader:
    """What a client of the protocol does: pages, then the stream, and then it holds the state."""

    offset: int
    epoch: str
    cursor: str = ""
    has_all_pages: bool = False
    state: dict[str, bytes] = field(default_factory=dict)

    def apply(self, publications: list[Publication]) -> None:
        for publication in publications:
            if publication.removed:
                self.state.pop(publication.key, None)
            else:
                self.state[publication.key] = publication.data
            self.offset = max(self.offset, publication.offset) if self.has_all_pages else self.offset


class KeyedMachine(RuleBasedStateMachine):
    """State by key against a dict, and readers that page, catch up and come back at any time."""

    def __init__(self) -> None:
        super().__init__()
        stream = History(STREAM_SIZE, 1 << 20, 0, epoch="e")
        self.keyed = Keyed(stream, key_limit=KEY_LIMIT, limit_bytes=50, ttl_seconds=TTL_SECONDS)
        self.model: dict[str, tuple[bytes, int]] = {}
        self.now_ns = 0
        self.reading: list[Reader] = []
        self.away: list[Reader] = []

    @rule(key=keys, data=values)
    def put(self, key: str, data: bytes) -> None:
        try:
            _put(self.keyed, key, data, self.now_ns)
        except ValueError:
            assert key not in self.model or len(data) > len(self.model[key][0])
        else:
            self.model[key] = data, self.now_ns

    @rule(key=keys)
    def remove(self, key: str) -> None:
        told = self.keyed.remove(key, "kind", self.now_ns)
        assert (told is not None) == (self.model.pop(key, None) is not None)

    @rule(key=keys)
    def renew(self, key: str) -> None:
        assert self.keyed.renew(key, self.now_ns) == (key in self.model)
        if key in self.model:
            self.model[key] = self.model[key][0], self.now_ns

    @rule(seconds=st.integers(1, 15))
    def let_time_pass(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND
        gone = {told.key for told in self.keyed.expire(self.now_ns)}
        late_ns = self.now_ns - TTL_SECONDS * SECOND
        assert gone == {key for key, (_, written_ns) in self.model.items() if written_ns <= late_ns}
        for key in gone:
            del self.model[key]

    @rule()
    def begin_to_read(self) -> None:
        position = self.keyed.stream.position
        self.reading.append(Reader(position.offset, position.epoch))

    @precondition(lambda self: self.reading)
    @rule(data=st.data(), count=st.integers(1, 3))
    def read_a_page(self, data: st.DataObject, count: int) -> None:
        reader = data.draw(st.sampled_from(self.reading))
        page = self.keyed.page(reader.cursor, reader.offset, count=count, limit_bytes=1_000)
        assert len(page.entries) <= count
        reader.apply(page.entries)
        reader.cursor, reader.has_all_pages = page.cursor, not page.cursor
        if reader.has_all_pages:
            self.reading.remove(reader)
            self.catch_up(reader)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        reader = data.draw(st.sampled_from(self.away))
        self.away.remove(reader)
        self.catch_up(reader)

    def catch_up(self, reader: Reader) -> None:
        missed = self.keyed.stream.offset - reader.offset
        try:
            changes = self.keyed.since(reader.offset, reader.epoch, self.now_ns)
            first = self.keyed.since(reader.offset, reader.epoch, self.now_ns, limit=2)
        except StreamLost:
            assert missed > STREAM_SIZE
        else:
            assert first == changes[:2]
            reader.apply(changes)
            assert missed <= STREAM_SIZE
            assert reader.state == {key: data for key, (data, _) in self.model.items()}
            self.away.append(reader)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert list(self.keyed) == sorted(self.model)
        assert self.keyed.bytes == sum(len(key) + len(data) for key, (data, _) in self.model.items()) <= 50
        for key, (data, _) in self.model.items():
            assert (entry := self.keyed.get(key)) is not None
            assert entry.data == data


TestKeyed = KeyedMachine.TestCase
TestKeyed.settings = settings(max_examples=100, stateful_step_count=40)
