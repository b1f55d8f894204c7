"""Simulated scans with known truth: phantoms, signals, noise, lesions."""

from dwiser.simulation.acquire import NoiseModel
from dwiser.simulation.phantom import phantom
from dwiser.simulation.refit import phantom_from
from dwiser.simulation.scheme import scheme
from dwiser.simulation.simulator import Simulation

__all__ = ["NoiseModel", "Simulation", "phantom", "phantom_from", "scheme"]
