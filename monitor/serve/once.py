"""What was published under a key that its backend chose, so that a call made twice publishes once."""

from collections.abc import Callable
from typing import Generic, TypeVar

from monitor.recent import Recent
from monitor.serve import protocol

KEYS_MAX = 10_000
"""The oldest is forgotten first."""
KEY_LENGTH = 255

Result = TypeVar("Result")


class Once(Generic[Result]):
    """The results of calls by channel and idempotency key."""

    def __init__(self) -> None:
        self._results = Recent[tuple[str, str], Result](KEYS_MAX)

    def once(self, channel: str, key: str, call: Callable[[], Result]) -> tuple[Result, bool]:
        """Make the call, unless one with its key was made: its result then. True if it was made now.

        Raises:
            CommandError: the key is too long, or what the call raises.
        """
        if not key:
            return call(), True
        if len(key) > KEY_LENGTH:
            raise protocol.bad_request(f"idempotency_key has at most {KEY_LENGTH} characters")
        if (channel, key) in self._results:
            return self._results[channel, key], False
        result = call()
        self._results.keep((channel, key), result)
        return result, True
