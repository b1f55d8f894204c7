"""Series of a dataset that are no scans to denoise."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
