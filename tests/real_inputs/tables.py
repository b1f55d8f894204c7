"""Gradient tables."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
