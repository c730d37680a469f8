"""The journal's file against a model: kept, deleted, lost or opened again, no position comes twice."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from monitor.broadcast.epochs import new_epoch
from monitor.broadcast.history import Position
from monitor.broadcast.journaled import Standing
from tests.storage.journal import NOW_MS, opened, record

CHANNELS = ("orders:ann", "orders:bob", "bots:ann")
HUGE = 2**40
channels = st.sampled_from(CHANNELS)


class JournalMachine(RuleBasedStateMachine):
    """The channels as their hub has them, and every position that anybody was ever told."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.file = opened(Path(self.directory.name))
        self.epoch = self.file.standing().epoch
        self.at: dict[str, Position] = {}
        self.told: dict[tuple[str, Position], int] = {}
        self.keys: dict[tuple[str, str], Position] = {}
        self.number = 0

    def position(self, channel: str) -> Position:
        return self.at.get(channel, Position(0, self.epoch))

    def tell(self, channel: str, position: Position, number: int) -> None:
        assert (channel, position) not in self.told
        self.told[channel, position] = number
        self.at[channel] = position

    @rule(wanted=st.lists(st.tuples(channels, st.sampled_from(["", "", "a", "b"])), min_size=1, max_size=6))
    def publish(self, wanted: list[tuple[str, str]]) -> None:
        """What waited together goes into one commit, so all of it holds the position from before."""
        records = []
        for channel, key in wanted:
            self.number += 1
            before = self.position(channel)
            records.append(record(self.number, channel, epoch=before.epoch, base=before.offset, key=key))
        for each, kept in zip(records, self.file.append(records), strict=True):
            assert kept.position is not None
            known = self.keys.get((each.channel, each.key)) if each.key else None
            assert kept.is_duplicate == (known is not None)
            if known is not None:
                assert kept.position == known
                continue
            assert kept.position.offset == self.position(each.channel).offset + 1
            self.tell(each.channel, kept.position, each.time_ms - NOW_MS)
            if each.key:
                self.keys[each.channel, each.key] = kept.position

    @rule(share=st.sampled_from([0.5, 1.0]))
    def grow_old(self, share: float) -> None:
        """The oldest are deleted, and with them what they are known by."""
        before = round(share * (self.number + 1))
        while self.file.trim(NOW_MS + before, HUGE):
            pass
        self.keys = {
            known: position
            for known, position in self.keys.items()
            if self.told[known[0], position] >= before
        }

    @rule()
    def restart(self) -> None:
        """The hub knows what the file tells it, and nothing else."""
        before = {channel: self.position(channel) for channel in CHANNELS}
        self.file.close()
        self.file = opened(Path(self.directory.name))
        standing = self.file.standing()
        self.epoch, self.at = standing.epoch, dict(standing.positions)
        assert {channel: self.position(channel) for channel in CHANNELS} == before

    @rule(lost=st.dictionaries(channels, st.integers(1, 3)))
    def lose_for_a_while(self, lost: dict[str, int]) -> None:
        """Some went out unkept, under another epoch; then the file can be written again."""
        self.lose(lost)
        self.file.close()
        self.file = opened(Path(self.directory.name))
        self.file.move_on(Standing(self.epoch, self.at))

    @rule(lost=st.dictionaries(channels, st.integers(1, 3)))
    def lose_and_restart(self, lost: dict[str, int]) -> None:
        """The server ended before the file could be written: the next one finds the mark."""
        self.lose(lost)
        self.file.close()
        self.file = opened(Path(self.directory.name))
        self.file.move_on(Standing(new_epoch(), {}))
        standing = self.file.standing()
        self.epoch, self.at = standing.epoch, dict(standing.positions)
        epochs = {position.epoch for _, position in self.told}
        assert not any(self.position(channel).epoch in epochs for channel in CHANNELS)

    def lose(self, lost: dict[str, int]) -> None:
        self.epoch = new_epoch()
        self.at = {channel: Position(at.offset, self.epoch) for channel, at in self.at.items()}
        for channel, count in lost.items():
            for _ in range(count):
                self.tell(channel, Position(self.position(channel).offset + 1, self.epoch), self.number)

    @invariant()
    def file_has_each_once_and_in_order(self) -> None:
        rows = [(row.channel, row.position) for row in self.file.tail(10_000)]
        assert len(rows) == len(set(rows))
        assert {row: self.told.get(row) for row in rows}.keys() <= self.told.keys()
        numbers = [self.told[row] for row in rows]
        assert numbers == sorted(numbers)

    def teardown(self) -> None:
        """Whatever was done last, the next server goes on from there."""
        self.restart()
        self.file.close()
        self.directory.cleanup()


JournalMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestJournalFile = JournalMachine.TestCase
