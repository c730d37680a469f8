"""The server's last log lines, for an operator who has no shell on its machine.

What is logged holds no keys and no tokens; so neither does this. It is bounded in lines and in
what one line may hold, so that a flood of them costs no memory.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile

from monitor.clock import wall_ms

LINES_KEPT = 1_000
LINE_LENGTH_MAX = 2_000
"""Characters; of what is longer, as a traceback, the end says most."""


@dataclass(frozen=True, slots=True)
class Line:
    id: int
    """Counts up from the time of the start, so that a reader of before a restart is told all of it."""
    time: int
    """Ms since 1970."""
    level: str
    """debug, info, warning, error or critical."""
    logger: str
    message: str


class Logbook(logging.Handler):
    """Keeps what is logged, also by other threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[Line] = deque(maxlen=LINES_KEPT)
        self._last_id = wall_ms()

    @contextmanager
    def listening(self, logger: logging.Logger) -> Iterator[None]:
        """Keep what this logger and those below it log meanwhile."""
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; `Handler` holds the lock."""
        self._last_id += 1
        message = self.format(record)
        if len(message) > LINE_LENGTH_MAX:
            message = f"…{message[-LINE_LENGTH_MAX:]}"
        level = record.levelname.lower()
        self._lines.append(Line(self._last_id, int(record.created * 1_000), level, record.name, message))

    def after(self, line_id: int) -> list[Line]:
        """Those logged since, oldest first; all if there never was such a line, as after a restart."""
        lines = list(self._lines)
        if line_id > self._last_id:
            return lines
        return list(dropwhile(lambda line: line.id <= line_id, lines))
