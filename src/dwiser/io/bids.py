"""BIDS: the diffusion series of a dataset, what lies beside them, and what ours are called.

Only ``sub-*/[ses-*/]dwi/`` is looked at, a folder at a time: a dataset of ten thousand scans is
listed in seconds, which an index of every file of it would not do.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dwiser.errors import InputError, unknown
from dwiser.io.about import about
from dwiser.io.names import BVAL_ENDINGS, BVEC_ENDINGS, NIFTI_ENDINGS, companion, stem

SUFFIX = "dwi"
NOT_MAGNITUDE = ("phase", "real", "imag")  # BIDS "part"
BIDS_VERSION = "1.10.0"


@dataclass(frozen=True)
class BidsScan:
    """One diffusion series of a dataset.

    Parameters
    ----------
    dwi : the image's path.
    place : its folder in the dataset, say "sub-01/ses-a/dwi".
    name : the entities of its name, say "sub-01_ses-a_run-1".
    bval, bvec : its gradient files by BIDS's inheritance; None where there are none.
    """

    dwi: Path
    place: Path
    name: str
    bval: Path | None = None
    bvec: Path | None = None

    @property
    def phase(self) -> Path | None:
        """The series of its phase, ``part-phase``, beside it; None where there is none."""
        head = self.name if "part" in self.entities else _with_part(self.name)
        name = head.replace("part-mag", "part-phase")
        names = (self.dwi.with_name(f"{name}_{SUFFIX}{ending}") for ending in NIFTI_ENDINGS)
        return next((path for path in names if path.exists()), None)

    @property
    def entities(self) -> dict[str, str]:
        """Say {"sub": "01", "run": "1"}, in the order of the name."""
        return entities(self.name)

    @property
    def subject(self) -> str:
        return self.entities["sub"]

    @property
    def session(self) -> str | None:
        return self.entities.get("ses")

    def derived(self, description: str, suffix: str, extension: str) -> Path:
        """The name of what was made of it, relative to the derived dataset's folder."""
        return self.place / f"{self.name}_desc-{description}_{suffix}{extension}"


def _with_part(name: str) -> str:
    """A name with "part-mag" where BIDS has it: last, but for "chunk"."""
    head, chunk, number = name.partition("_chunk-")
    return f"{head}_part-mag{chunk}{number}"


def entities(name: str) -> dict[str, str]:
    """The key-value pairs of a BIDS name; parts without a hyphen are passed over."""
    pairs = (part.partition("-") for part in name.split("_"))
    return {key: value for key, hyphen, value in pairs if hyphen}


def find_scans(
    root: Path, subjects: Collection[str] = (), sessions: Collection[str] = ()
) -> list[BidsScan]:
    """The magnitude series of a dataset, ordered by name.

    Parameters
    ----------
    root : the dataset's folder.
    subjects, sessions : labels with or without "sub-" and "ses-"; empty for all.

    Raises
    ------
    InputError
        For a folder that is not there, a label that nothing has, and a dataset without a series.
    """
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder: give the BIDS dataset's.")
    top = _about_dwi(root)
    found = [
        scan for home in _chosen(root, subjects) for scan in _scans_of(root, home, sessions, top)
    ]
    if sessions:
        asked = {label.removeprefix("ses-") for label in sessions}
        missing = asked - {scan.session for scan in found}
        if missing:
            raise InputError(f"{root}: no series has session '{min(missing)}': check the label.")
    if not found:
        raise InputError(f"{root}: there is no diffusion series (sub-*/[ses-*/]dwi/*_dwi.nii.gz).")
    return found


def _chosen(root: Path, labels: Collection[str]) -> list[Path]:
    homes = sorted(path for path in root.glob("sub-*") if path.is_dir())
    if not labels:
        return homes
    known = {home.name.removeprefix("sub-"): home for home in homes}
    asked = [label.removeprefix("sub-") for label in labels]
    for label in asked:
        if label not in known:
            raise unknown("participant", label, known)
    return [known[label] for label in sorted(set(asked))]


def _scans_of(
    root: Path, home: Path, sessions: Collection[str], top: list[Path]
) -> Iterator[BidsScan]:
    asked = {label.removeprefix("ses-") for label in sessions}
    places = [home / SUFFIX] if not asked else []
    for folder in sorted(home.glob("ses-*")):
        if not asked or folder.name.removeprefix("ses-") in asked:
            places.append(folder / SUFFIX)
    for place in places:
        if not place.is_dir():
            continue
        above = [*(_about_dwi(level) for level in _levels(root, place)[:-1]), top]
        for dwi in sorted(place.iterdir()):
            name = dwi.name
            if not any(name.endswith(f"_{SUFFIX}{e}") for e in NIFTI_ENDINGS):
                continue
            head = stem(dwi).name.removesuffix(f"_{SUFFIX}")
            if entities(head).get("part") not in NOT_MAGNITUDE:
                bval, bvec = (_inherited(above, head, e) for e in (BVAL_ENDINGS, BVEC_ENDINGS))
                yield BidsScan(dwi, place.relative_to(root), head, bval, bvec)


def _levels(root: Path, place: Path) -> list[Path]:
    """The folders whose files may speak for a series in ``place``: its own, then those above."""
    return [place, *(p for p in place.parents if p == root or root in p.parents)]


def _about_dwi(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if f"{SUFFIX}." in path.name)


def _inherited(above: list[list[Path]], head: str, endings: tuple[str, ...]) -> Path | None:
    """The nearest file whose entities are all the series' own; of several the most specific."""
    for level in above:
        fitting = [path for path in level if path.suffix in endings and _speaks_for(path, head)]
        if fitting:
            return max(fitting, key=lambda path: len(entities(path.name.split(".")[0])))
    return None


def _speaks_for(path: Path, head: str) -> bool:
    name = path.name.split(".")[0]
    if name.split("_")[-1] != SUFFIX:
        return False
    return entities(name).items() <= entities(head).items()


def inherited_fields(root: Path, scan: BidsScan) -> dict[str, Any]:
    """The acquisition fields from every JSON above the series, the nearest one's first in rank.

    Its own, beside it, is not among them: ``sidecar.carried_over`` reads that.
    """
    fields: dict[str, Any] = {}
    own = companion(scan.dwi, ".json")
    for level in reversed(_levels(root, scan.dwi.parent)):
        some = [
            path
            for path in _about_dwi(level)
            if path.suffix == ".json" and path != own and _speaks_for(path, scan.name)
        ]
        for path in sorted(some, key=lambda p: len(entities(p.name.split(".")[0]))):
            with about(path):
                fields |= read_object(path)
    return fields


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; InputError where it holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError("It is not a readable JSON object: correct or remove it.")
    return found


def dataset_description(raw: Mapping[str, Any], version: str, link: str) -> dict[str, Any]:
    """What a derived dataset says of itself.

    Parameters
    ----------
    raw : the description of the dataset it was made of.
    version : dwiser's.
    link : where that dataset lies, as seen from the derived one; "bids:raw:…" points into it.
    """
    name = raw.get("Name")
    described: dict[str, Any] = {
        "Name": f"dwiser: denoised diffusion series{f' of {name}' if name else ''}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "dwiser", "Version": version, "Description": "denoising of diffusion MRI"}
        ],
        "DatasetLinks": {"raw": link},
    }
    source = {key: raw[f"Dataset{key}"] for key in ("DOI",) if raw.get(f"Dataset{key}")}
    described["SourceDatasets"] = [{"URL": link, **source}]
    for field in ("License", "Authors", "HowToAcknowledge"):
        if raw.get(field):
            described[field] = raw[field]
    return described
