"""What a sidecar says of its image's making: the steps before this one, and this one's own fields.

``GeneratedBy`` lists every step in order. What dwiser says of its
own step is at the top level, under names of its own. What the input's sidecar says under these
names is of an earlier step (or of another program), and goes, a step an entry, to
``EarlierRecords``. All other fields of the input's sidecar are its acquisition's, and stay where
they are.
"""

from collections.abc import Mapping
from typing import Any

PROGRAM = "dwiser"
GENERATORS, EARLIER = "GeneratedBy", "EarlierRecords"
# Names that mean what dwiser did, whether or not a run has something to say under each.
OWN_FIELDS = frozenset({
    GENERATORS, EARLIER,
    "Method", "Preset", "Parameters", "Seed", "Device", "Threads", "Versions", "Date",
    "Shells", "B0Threshold", "NoiseModel", "SigmaMedian", "ResidualOverSigma", "SNR", "Shape",
    "WallTimeSeconds", "PeakMemoryMiB", "PeakAnonymousMiB", "MemoryLimitMiB",
    "NoiseMap", "Phase", "PhaseUnit", "Weights", "WeightsSHA256", "Series",
    "Sources", "InputSHA256", "InputFiles", "Description", "Verdict", "Warnings",
    "BValueScaling", "VolumesWithoutMeasurement", "VolumeCopies", "VolumesPartlyEmpty",
    "NoiseVolumes", "VolumesOfOtherNoise", "VolumeNotes", "NoiseImage", "NoiseVolumesLeftOut",
    "coils", "noise_floor", "volumes_denoised", "volumes_passed_through", "volumes_on_their_own",
})  # fmt: skip


def generators(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The programs that a sidecar or a dataset's description names, the first step first.

    Anyone may have written it: a single program may stand without its list, or by its name alone.
    """
    value = fields.get(GENERATORS)
    entries = value if isinstance(value, list) else [value]
    named = [{"Name": entry} if isinstance(entry, str) else entry for entry in entries]
    return [entry for entry in named if isinstance(entry, dict)]


def with_earlier_steps(record: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record, with what the input's sidecar said before it.

    Parameters
    ----------
    record : what this step says of itself; each of its fields stays as it is, but
        ``GeneratedBy``, to which the input's steps are added in front.
    fields : those of the input's sidecar, with any values.

    Returns
    -------
    dict
        The record, then the input's acquisition fields, then ``EarlierRecords``, the first step
        first, if there is something to put there.
    """
    steps = generators(fields)
    made_here = bool(steps) and steps[-1].get("Name") == PROGRAM

    def is_of_a_step(name: str) -> bool:
        # what a method of dwiser measures has a name in lower case, a BIDS field has not
        return name in OWN_FIELDS or name in record or (made_here and name[:1].islower())

    acquisition = {name: value for name, value in fields.items() if not is_of_a_step(name)}
    earlier = fields.get(EARLIER)
    records = (
        [entry for entry in earlier if isinstance(entry, dict)] if isinstance(earlier, list) else []
    )
    latest = {
        name: value
        for name, value in fields.items()
        if is_of_a_step(name) and name not in (GENERATORS, EARLIER)
    }
    if latest:
        records.append({GENERATORS: steps[-1:]} | latest if steps else latest)
    merged = {**record, GENERATORS: [*steps, *generators(record)], **acquisition}
    return merged | ({EARLIER: records} if records else {})
