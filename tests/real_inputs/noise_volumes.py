"""Volumes of noise alone."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
