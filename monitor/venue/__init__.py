"""A stand-in for a venue: a recorded session, served as that venue serves it."""

from monitor.venue.server import run_venue

__all__ = ["run_venue"]
