"""Protocols, pipelines and outputs."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
