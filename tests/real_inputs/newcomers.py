"""What a newcomer meets."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
