"""Lanecast: venue feeds in, a prioritised WebSocket broadcaster in the middle, three faces out."""

__version__ = "0.1.0"
