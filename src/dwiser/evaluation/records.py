"""Results are records: a number with its unit, or an absence with its reason."""

import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeAlias

from dwiser.errors import Code, InputError


class CannotMeasure(InputError):
    """This metric needs something the inputs do not have; the message is the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, code=Code.MEASURE_IMPOSSIBLE)


@dataclass(frozen=True)
class Metric:
    """One number: what it is, of which volumes or tissue, its value and unit ("" for none)."""

    metric: str
    group: str
    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"{self.metric} of {self.group} is {self.value}: list it as absent")


@dataclass(frozen=True)
class Absent:
    """A number that could not be had, and why."""

    metric: str
    group: str
    reason: str


Row: TypeAlias = Metric | Absent


def measured(
    unit: str = "", absent: str = "the value is not defined here", *, default: Any = MISSING
) -> Any:
    """A field of a record that is a metric: its unit, and the reason when it is None."""
    return field(default=default, metadata={"unit": unit, "absent": absent})


def rows_of(record: Any, group: str, prefix: str = "") -> Iterator[Row]:
    """The metrics of a record's ``measured`` fields; None becomes an absence with its reason."""
    for item in fields(record):
        if "unit" not in item.metadata:
            continue
        value = getattr(record, item.name)
        if value is None or not math.isfinite(value):
            yield Absent(prefix + item.name, group, item.metadata["absent"])
        else:
            yield Metric(prefix + item.name, group, float(value), item.metadata["unit"])
