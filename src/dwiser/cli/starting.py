"""The first step of a command: what it takes is imported."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from dwiser.watch import Watch, step


@contextmanager
def starting(watch: Watch) -> Iterator[None]:
    """Report the step; meanwhile no garbage is looked for.

    Imports leave next to none, and looking for it takes a tenth of their time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with step(watch, "starting"):
            yield
    finally:
        if was_enabled:
            gc.enable()
