"""Phase, σ maps and voxel values."""

from tests.real_inputs.situation import Situation

ROWS: tuple[Situation, ...] = ()
