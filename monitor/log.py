"""Where the server's log goes, that each record of it is one line, and that all its times are UTC.

What peers say stands in some: nobody's text may begin a line of its own, which would pass for
ours, or steer the terminal that shows it.
"""

import logging
import logging.handlers
import time

from monitor.config import Settings

FILE_BYTES = 10_000_000
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_log = logging.getLogger("lanecast")


def start_log(settings: Settings, *, to_file: bool) -> None:
    """Log to standard error; to a file while the console has the terminal, whose screen a line would tear."""
    handler: logging.Handler = logging.StreamHandler()
    if to_file:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = logging.handlers.RotatingFileHandler(
            settings.data_dir / "lanecast.log", maxBytes=FILE_BYTES, backupCount=1
        )
    handler.setFormatter(OneLine(FORMAT))
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(settings.log_level.upper())


class OneLine(logging.Formatter):
    """Writes a record in one line, below it the traceback if it has one."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)
