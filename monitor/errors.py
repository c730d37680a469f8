"""One root for what can go wrong, and below it whose fault it is.

A library's own exceptions are translated in the one file that imports it, so that nobody
else has to know which library that was.
"""


class LanecastError(Exception):
    """Root of every error that Lanecast raises on purpose; its text is meant for a person."""


class ConfigError(LanecastError):
    """A setting, a file or a key that the user gave is wrong: says which, its value, what is allowed."""


class FeedError(LanecastError):
    """A venue, or the way to it, failed; the feed retries."""


class PeerError(LanecastError):
    """A client or a remote server broke the protocol; only that connection ends."""


class CaptureError(ConfigError):
    """A recorded session can't be read or does not hold what was asked of it."""
