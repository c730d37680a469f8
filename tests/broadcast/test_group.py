"""A fan-out that stops and goes on while clients come and go: each gets what was pushed while he was in."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast import group as group_module
from monitor.broadcast.client import Client
from monitor.broadcast.group import SendGroup
from monitor.broadcast.item import Item
from monitor.config import Lane


class Recorder(Client):
    """A client that only remembers what it was offered."""

    __slots__ = ("got",)

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def offer(self, item: Item) -> None:
        self.got.append(item.payload)


def _clock(step: int) -> Callable[[], int]:
    now = 0

    def clock_ns() -> int:
        nonlocal now
        now += step
        return now

    return clock_ns


@given(st.lists(st.sampled_from(["join", "leave", "push", "slice"]), max_size=120), st.randoms())
def test_each_member_gets_exactly_what_was_pushed_while_it_was_one(steps: list[str], chance: object) -> None:
    group = SendGroup()
    done: list[Item] = []
    members: list[tuple[Recorder, int]] = []
    pushed: list[bytes] = []
    left: list[tuple[Recorder, int]] = []
    for step in steps:
        match step:
            case "join":
                members.append((Recorder(), len(pushed)))
                group.add(members[-1][0])
            case "leave" if members:
                left.append(members.pop(chance.randrange(len(members))))  # type: ignore[attr-defined]
                group.remove(left[-1][0])
            case "push":
                pushed.append(b"%d" % len(pushed))
                group.push(Item(pushed[-1], Lane.NORMAL))
            case "slice":
                group.advance(_clock(10), 0, done.append)
    while not group.advance(_clock(10), 0, done.append):
        pass
    assert [item.payload for item in done] == pushed
    for member, since in members:
        assert member.got == pushed[since:]
    for member, since in left:
        assert member.got == pushed[since : since + len(member.got)]
    assert len(group) == len(members)


def test_a_slice_ends_when_its_time_is_up() -> None:
    group = SendGroup()
    members = [Recorder() for _ in range(3 * group_module.CLIENTS_PER_LOOK)]
    for member in members:
        group.add(member)
    group.push(Item(b"x", Lane.NORMAL))
    assert not group.advance(_clock(10), 5, lambda item: None)
    assert sum(len(member.got) for member in members) == group_module.CLIENTS_PER_LOOK
