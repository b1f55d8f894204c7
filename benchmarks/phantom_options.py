"""Options of the benchmarks on phantoms: a shape in voxels, a seed that nothing was tuned on."""

from argparse import ArgumentTypeError

PUBLISHED = range(300, 400)  # seeds that nothing was tuned on


def published_seed(text: str) -> int:
    """A seed whose figures may be published; the others are for tuning.

    Raises
    ------
    ArgumentTypeError
        For another seed, or no whole number; the parser says it and exits with 2.
    """
    if not text.isdecimal() or int(text) not in PUBLISHED:
        raise ArgumentTypeError(
            f"must be from {PUBLISHED[0]} to {PUBLISHED[-1]}, not {text}: the others are for tuning"
        )
    return int(text)


def voxels(text: str) -> tuple[int, int, int]:
    """A shape X,Y,Z in voxels.

    Raises
    ------
    ArgumentTypeError
        For anything but three whole numbers; the parser says it and exits with 2.
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise ArgumentTypeError(f"must be three whole numbers X,Y,Z, not {text}")
    x, y, z = map(int, parts)
    return x, y, z
