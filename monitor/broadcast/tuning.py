"""Tuning at work: reads health once a second, lets the tuner decide, and carries its steps out.

Off unless it is switched on. Each step is logged and shown with its cause, and an operator can
put everything back to what was configured.
"""

import logging
from collections.abc import Iterator

import trio

from monitor.broadcast.outflow import Outflow
from monitor.broadcast.tuner import Change, Pressure, Tuner
from monitor.health.health import Health
from monitor.health.kind import KindMeter
from monitor.health.latency import NS_PER_MS
from monitor.health.tuning import Outcome, TuningStep

_log = logging.getLogger("lanecast.tuning")

LOOK_SECONDS = 1.0
FAN_OUTS_AT_LEAST = 20
"""In ten seconds; with fewer a p99 is a matter of luck."""


class Tuning:
    def __init__(self, outflow: Outflow, health: Health, *, is_on: bool, bytes_per_second: int) -> None:
        """`bytes_per_second` is the most that all clients together should be sent, 0 for no matter."""
        self._outflow = outflow
        self._health = health
        self._bytes_per_second = bytes_per_second
        self._state = health.tuning
        self._state.is_on = is_on
        self._tuner = Tuner(outflow.cadence)

    def switch(self, *, is_on: bool) -> None:
        """Begin to tune; or end, and put everything back."""
        if not is_on:
            self.revert()
        self._state.is_on = is_on

    def revert(self) -> None:
        """Put everything back to what was configured; what is undone so is not done again for long."""
        for step in self._state.steps:
            if step.outcome in (Outcome.TRYING, Outcome.KEPT):
                step.outcome = Outcome.REVERTED
        self._tuner.revert(self._state.configured, trio.current_time())
        self._apply()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look once a second until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(LOOK_SECONDS)
            if self._state.is_on:
                self._look()

    def _look(self) -> None:
        change = self._tuner.judge(list(self._pressures()), trio.current_time())
        if change is not None:
            self._apply()
            self._record(change)

    def _apply(self) -> None:
        self._outflow.change_cadence(self._tuner.cadence)
        self._state.cadence = self._tuner.cadence

    def _record(self, change: Change) -> None:
        if change.helped is None:
            step = TuningStep(self._health.wall_ms(), change.knob, change.before, change.after, change.cause)
            self._state.steps.append(step)
        else:
            self._state.steps[-1].outcome = Outcome.KEPT if change.helped else Outcome.TAKEN_BACK
        outcome = self._state.steps[-1].outcome
        _log.info("%s from %d to %d, %s: %s", change.knob, change.before, change.after, outcome, change.cause)

    def _pressures(self) -> Iterator[Pressure]:
        for kind in self._health.kinds.values():
            if kind.threshold_ns is not None and kind.latency.last_10s.count >= FAN_OUTS_AT_LEAST:
                yield _pressure_of(kind, kind.threshold_ns)
        if self._bytes_per_second:
            rate = self._health.rates().bytes
            words = f"{rate:,.0f} bytes/s of {self._bytes_per_second:,}"
            yield Pressure("bytes", "bytes", rate / self._bytes_per_second, words)


def _pressure_of(kind: KindMeter, threshold_ns: int) -> Pressure:
    window = kind.last_10s()
    p99_ns = window.latency.summary().p99_ns or 0
    stage = window.stages.costliest
    words = (
        f"{kind.name}: p99 {p99_ns / NS_PER_MS:.1f} ms of {threshold_ns / NS_PER_MS:g} ms, most of it {stage}"
    )
    return Pressure(kind.name, stage, p99_ns / threshold_ns, words)
