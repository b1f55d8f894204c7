"""What earlier steps wrote."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
