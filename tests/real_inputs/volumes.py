"""Volumes that are no measurement of their own."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
