"""What holds where nobody asks for another thing: read before anything heavy is imported."""

from typing import Literal, TypeAlias

BValueScaling: TypeAlias = Literal["auto", "yes", "no"]

DEFAULT_METHOD, DEFAULT_PRESET = "splitq", "laptop"
B0_THRESHOLD = 50.0  # s/mm²; DIPY's default
