"""Simulated scans with known truth: phantoms, signals, noise, lesions."""

from dwiser.simulate.acquire import NoiseModel
from dwiser.simulate.phantom import Simulation, phantom
from dwiser.simulate.refit import phantom_from
from dwiser.simulate.scheme import scheme

__all__ = ["NoiseModel", "Simulation", "phantom", "phantom_from", "scheme"]
