"""A process that does what it is asked, one thing after the other, so that the one who asks is not slowed.

Forked before there is a loop or a thread, so it needs no interpreter and no path: the one file of
`make binary` can have it as well. It ends with whoever started it.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import trio

from monitor.errors import LanecastError, PeerError

LOOK_SECONDS = 0.02
"""Between two looks at whether something is asked."""

_LESS_URGENT = 5
"""As `nice` counts: a third of the time of a process beside it."""

P = ParamSpec("P")
R = TypeVar("R")


class Subject(Protocol):
    """What such a process has, and does things with."""

    def idle(self, seconds: float) -> None: ...


S = TypeVar("S", bound=Subject)


class Worker:
    """The other end of a process that has one subject; its methods are called by name."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Have the subject do something; cancelled, it is left to it. Raises what it raises, PeerError."""
        asked = (method.__name__, args, kwargs)
        return cast(R, await trio.to_thread.run_sync(self._ask, asked, abandon_on_cancel=True))

    def _ask(self, asked: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
        try:
            self._pipe.send(asked)
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise PeerError("a process that makes the probe's load has ended") from None
        if isinstance(answer, LanecastError):
            raise answer
        return answer


@contextmanager
def open_worker(make: Callable[[], Subject], *, gives_way: bool = False) -> Iterator[Worker]:
    """A process with what `make` returns when it is first asked for something.

    One that only makes load gives way to those that measure.
    """
    context = get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, make, gives_way), daemon=True)
    process.start()
    there.close()
    try:
        yield Worker(here)
    finally:
        process.kill()
        process.join()
        here.close()


def _work(pipe: Connection, make: Callable[[], Subject], gives_way: bool) -> None:
    os.nice(_LESS_URGENT if gives_way else 0)
    # Ctrl-C reaches all processes of a terminal: it is the parent's to act upon.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, subject = os.getppid(), None
    with suppress(EOFError, OSError):
        while os.getppid() == parent:
            if not pipe.poll(0 if subject else LOOK_SECONDS):
                if subject:
                    subject.idle(LOOK_SECONDS)
                continue
            name, args, kwargs = pipe.recv()
            try:
                subject = subject or make()
                answer = getattr(subject, name)(*args, **kwargs)
            except LanecastError as error:
                answer = error
            pipe.send(answer)
