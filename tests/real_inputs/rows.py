"""All situations, by kind: the heading of each kind is its module's first line."""

from collections.abc import Iterable
from types import ModuleType

from tests.real_inputs import (
    datasets,
    images,
    links,
    names,
    newcomers,
    noise_volumes,
    phases,
    protocols,
    provenance,
    sidecars,
    tables,
    volumes,
)
from tests.real_inputs.situation import Situation

GROUPS: tuple[ModuleType, ...] = (
    volumes,
    noise_volumes,
    provenance,
    sidecars,
    links,
    datasets,
    names,
    tables,
    phases,
    newcomers,
    images,
    protocols,
)

# Of what is in the images: about half of the time, in a test file of its own, so that
# two workers share all of them.
OF_VALUES: tuple[ModuleType, ...] = (volumes, noise_volumes, phases, images)
OTHERS = tuple(group for group in GROUPS if group not in OF_VALUES)


def heading(group: ModuleType) -> str:
    """What a group of situations has in common."""
    return (group.__doc__ or "").partition("\n")[0].removesuffix(".")


def situations(groups: Iterable[ModuleType] = GROUPS) -> list[Situation]:
    """All rows, in the order of the page."""
    return [row for group in groups for row in group.ROWS]
