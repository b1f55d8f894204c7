"""All situations, by kind: the heading of each kind is its module's first line."""

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


def heading(group: ModuleType) -> str:
    """What a group of situations has in common."""
    return (group.__doc__ or "").partition("\n")[0].removesuffix(".")


def situations() -> list[Situation]:
    """All rows, in the order of the page."""
    return [row for group in GROUPS for row in group.ROWS]
