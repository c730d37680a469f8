"""The embedded venue: 60 markets and 6 paper bots, without a network."""

from monitor.feeds.simulator.pacing import run_simulator
from monitor.feeds.simulator.simulation import Simulation

__all__ = ["Simulation", "run_simulator"]
