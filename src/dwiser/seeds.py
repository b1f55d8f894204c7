"""No hidden randomness: every stream is keyed by (seed, purpose, place)."""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

import numpy as np

from dwiser.errors import Code, InputError


def check_seed(seed: int) -> None:
    """Refuse a negative seed: NumPy's generators take none.

    Raises
    ------
    InputError
        For a seed below 0.
    """
    if seed < 0:
        raise InputError(f"--seed must not be negative: {seed} is.", code=Code.ARGUMENT_VALUE)


def stream(seed: int, purpose: str, *place: int) -> np.random.Generator:
    """An independent generator for one purpose at one place (say a volume and a slice).

    The same key gives the same numbers whatever the batch size or the number of
    workers; different keys give independent streams.
    """
    return np.random.default_rng([seed, crc32(purpose.encode()), *place])


@contextmanager
def global_stream(seed: int, purpose: str) -> Iterator[None]:
    """NumPy's global state keyed by the seed, for a library that draws from it; then as before."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(int(stream(seed, purpose).integers(2**32)))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
