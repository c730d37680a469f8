"""The clients that are behind, or not yet back on the ladder's first step: who writes to them, who judges.

Each has a writer of its own while it is behind. A thousand whose sockets have room again at once are
written to a few in each pass of the loop, or all others would wait for all of them. How they fare is
looked at a few times a second, and only while there is anybody to look at.
"""

import trio

from monitor.broadcast.client import Client
from monitor.health.health import Health
from monitor.health.survey import Survey
from monitor.turn import Turn
from monitor.turnstile import Turnstile

JUDGE_SECONDS = 0.25


class Watch:
    def __init__(self, health: Health) -> None:
        self._slow: set[Client] = set()
        self._health = health
        self._fell_behind = trio.Event()
        self._turnstile = Turnstile()

    def attend(self, client: Client) -> None:
        """A client has fallen behind: start its writer, and watch how it fares."""
        self.add(client)
        self._nursery.start_soon(client.catch_up, self._turnstile)

    def add(self, client: Client) -> None:
        """Judge now and then where a client stands on the ladder, until there is nothing to judge."""
        self._slow.add(client)
        self._fell_behind.set()

    def begin(self, nursery: trio.Nursery) -> None:
        """The writers live in the nursery, and who judges them."""
        self._nursery = nursery
        trio.lowlevel.add_instrument(self._turnstile)
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        while True:
            await self._fell_behind.wait()
            self._fell_behind = trio.Event()
            while self._slow:
                await trio.sleep(JUDGE_SECONDS)
                await self._judge(trio.current_time())

    async def _judge(self, now: float) -> None:
        survey, turn = Survey(), Turn()
        # One by one: a step may have somebody fall behind who was judged before.
        for client in list(self._slow):
            if client.judge(now):
                survey.note(client)
            else:
                self._slow.discard(client)
            await turn.give_way()
        self._health.survey = survey
