"""Files that are not there."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
