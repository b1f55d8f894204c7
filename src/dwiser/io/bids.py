"""BIDS: the diffusion series of a dataset, the files beside them, and the names of outputs.

Only ``sub-*/[ses-*/]dwi/`` is looked at, a folder at a time: a dataset of ten thousand scans is
listed in seconds, which an index of every file of it would not do.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dwiser.errors import Code, InputError, unknown
from dwiser.io.names import BVAL_ENDINGS, BVEC_ENDINGS, NIFTI_ENDINGS, companion, stem

SUFFIX = "dwi"
NOISE = "noRF"
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
    twin : the same series as the other of .nii and .nii.gz; None where there is none.
    echoes : the other echoes of it: series whose names differ by the entity "echo" alone.
    """

    dwi: Path
    place: Path
    name: str
    bval: Path | None = None
    bvec: Path | None = None
    twin: Path | None = None
    echoes: tuple["BidsScan", ...] = ()

    @property
    def echo(self) -> int | None:
        """Its number in "echo", say 2; None without one."""
        index = self.entities.get("echo", "")
        return int(index) if index.isdigit() else None

    @property
    def phase(self) -> Path | None:
        """The series of its phase, ``part-phase``, beside it; None where there is none."""
        head = self.name if "part" in self.entities else _with_part(self.name)
        name = head.replace("part-mag", "part-phase")
        names = (self.dwi.with_name(f"{name}_{SUFFIX}{ending}") for ending in NIFTI_ENDINGS)
        return next((path for path in names if os.path.lexists(path)), None)

    @property
    def noise(self) -> Path | None:
        """Its volumes without excitation, suffix ``noRF``, beside it; None where there are none."""
        names = (self.dwi.with_name(f"{self.name}_{NOISE}{ending}") for ending in NIFTI_ENDINGS)
        return next((path for path in names if path.exists()), None)

    @property
    def entities(self) -> dict[str, str]:
        """Say {"sub": "01", "run": "1"}, in the order of the name."""
        return entities(self.name)

    @property
    def subject(self) -> str:
        """The label of "sub", say "01"."""
        return self.entities["sub"]

    @property
    def session(self) -> str | None:
        """The label of "ses", say "a"; None without sessions."""
        return self.entities.get("ses")

    def derived(self, description: str, suffix: str, extension: str) -> Path:
        """The name of an output, relative to the derived dataset's folder.

        Parameters
        ----------
        description : of the BIDS entity "desc", say "denoised".
        suffix : say "dwi".
        extension : say ".nii.gz".

        Returns
        -------
        Path
            Say "sub-01/dwi/sub-01_desc-denoised_dwi.nii.gz". A name has one "desc": that of
            "sub-01_desc-preproc_dwi.nii.gz" becomes "desc-preprocDenoised", so that series that
            differ by it alone keep apart.
        """
        own = self.entities.get("desc", "")
        label = own + (description[:1].upper() + description[1:] if own else description)
        return self.place / f"{self.without_desc}_desc-{label}_{suffix}{extension}"

    @property
    def without_desc(self) -> str:
        """Its name without the entity "desc"."""
        parts = self.name.split("_")
        return "_".join(part for part in parts if not part.startswith("desc-"))


def scan_of_derived(root: Path, image: Path, description: str) -> BidsScan | None:
    """The series that ``derived`` named a denoised one after; None for any other file.

    Parameters
    ----------
    root : the derived dataset's folder.
    image : a denoised series in it; it takes the place of the raw one.
    description : as in `BidsScan.derived`.
    """
    head, _, label = image.name.removesuffix(f"_{SUFFIX}.nii.gz").rpartition("_desc-")
    own = label.removesuffix(description[:1].upper() + description[1:])
    name = head if label == description else f"{head}_desc-{own}"
    scan = BidsScan(image, image.parent.relative_to(root), name)
    is_its = root / scan.derived(description, SUFFIX, ".nii.gz") == image
    return scan if is_its and not is_hidden(image) else None


def is_hidden(path: Path) -> bool:
    """Whether a name begins with a dot: macOS puts a "._" file beside files on foreign disks."""
    return path.name.startswith(".")


def _with_part(name: str) -> str:
    """A name with "part-mag" where BIDS has it: last, but for "chunk" and "desc"."""
    parts = name.split("_")
    after = [part for part in parts if part.startswith(("chunk-", "desc-"))]
    return "_".join([*(part for part in parts if part not in after), "part-mag", *after])


def entities(name: str) -> dict[str, str]:
    """The key-value pairs of a BIDS name; parts without a hyphen are ignored.

    Parameters
    ----------
    name : say "sub-01_run-1_dwi".

    Returns
    -------
    dict
        Say {"sub": "01", "run": "1"}, in the order of the name.
    """
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

    Returns
    -------
    list of BidsScan

    Raises
    ------
    InputError
        For a missing folder, a label that no series has, and a dataset without a series.
    """
    if not root.is_dir():
        raise InputError(
            f"{root}: there is no such folder: give the BIDS dataset's.", code=Code.FILE_MISSING
        )
    top = _dwi_files(root)
    scans = [
        scan
        for home in _subject_folders(root, subjects)
        for scan in _scans_of(root, home, sessions, top)
    ]
    if sessions:
        wanted = {label.removeprefix("ses-") for label in sessions}
        missing = wanted - {scan.session for scan in scans}
        if missing:
            raise InputError(
                f"{root}: no series has session '{min(missing)}': check the label.",
                code=Code.BIDS_NO_SERIES,
            )
    if not scans:
        raise InputError(
            f"{root}: there is no diffusion series (sub-*/[ses-*/]dwi/*_dwi.nii.gz).",
            code=Code.BIDS_NO_SERIES,
        )
    return scans


def _subject_folders(root: Path, labels: Collection[str]) -> list[Path]:
    folders = sorted(path for path in root.glob("sub-*") if path.is_dir())
    if not labels:
        return folders
    known = {folder.name.removeprefix("sub-"): folder for folder in folders}
    wanted = [label.removeprefix("sub-") for label in labels]
    for label in wanted:
        if label not in known:
            raise unknown("participant", label, known, code=Code.BIDS_NO_SERIES)
    return [known[label] for label in sorted(set(wanted))]


def _scans_of(
    root: Path, subject_folder: Path, sessions: Collection[str], top: list[Path]
) -> Iterator[BidsScan]:
    wanted = {label.removeprefix("ses-") for label in sessions}
    folders = [subject_folder / SUFFIX] if not wanted else []
    for session_folder in sorted(subject_folder.glob("ses-*")):
        if not wanted or session_folder.name.removeprefix("ses-") in wanted:
            folders.append(session_folder / SUFFIX)
    for folder in folders:
        if not folder.is_dir():
            continue
        levels_above = [*(_dwi_files(level) for level in _levels(root, folder)[:-1]), top]
        series: dict[str, list[Path]] = {}
        for dwi in sorted(folder.iterdir()):
            if not is_hidden(dwi) and any(
                dwi.name.endswith(f"_{SUFFIX}{e}") for e in NIFTI_ENDINGS
            ):
                series.setdefault(stem(dwi).name.removesuffix(f"_{SUFFIX}"), []).append(dwi)
        scans = []
        for head, (dwi, *twins) in series.items():
            if entities(head).get("part") not in NOT_MAGNITUDE:
                bval, bvec = (
                    _inherited(levels_above, head, e) for e in (BVAL_ENDINGS, BVEC_ENDINGS)
                )
                twin = twins[0] if twins else None
                scans.append(BidsScan(dwi, folder.relative_to(root), head, bval, bvec, twin))
        yield from with_echoes(scans)


def with_echoes(scans: list[BidsScan]) -> list[BidsScan]:
    """The series of a folder, each with the others that are echoes of it.

    Parameters
    ----------
    scans : in any order, which is kept.
    """
    acquisitions: dict[str, list[BidsScan]] = {}
    for scan in scans:
        if scan.echo is not None:
            acquisitions.setdefault(_without_echo(scan.name), []).append(scan)
    others = {
        scan.name: tuple(sorted((s for s in alike if s is not scan), key=lambda s: s.echo or 0))
        for alike in acquisitions.values()
        for scan in alike
    }
    return [replace(scan, echoes=others.get(scan.name, ())) for scan in scans]


def _without_echo(name: str) -> str:
    return "_".join(part for part in name.split("_") if not part.startswith("echo-"))


def _levels(root: Path, place: Path) -> list[Path]:
    """The folders whose files may speak for a series in ``place``: its own, then those above."""
    return [place, *(p for p in place.parents if p == root or root in p.parents)]


def _dwi_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if f"{SUFFIX}." in path.name and not is_hidden(path)
    )


def _inherited(above: list[list[Path]], head: str, endings: tuple[str, ...]) -> Path | None:
    """The nearest file whose entities are all the series' own; of several the most specific."""
    for level in above:
        fitting = [path for path in level if path.suffix in endings and _applies_to(path, head)]
        if fitting:
            return max(fitting, key=lambda path: len(entities(path.name.split(".")[0])))
    return None


def _applies_to(path: Path, head: str) -> bool:
    name = path.name.split(".")[0]
    if name.split("_")[-1] != SUFFIX:
        return False
    return entities(name).items() <= entities(head).items()


def inherited_sidecars(
    root: Path, scan: BidsScan, listed: dict[Path, list[Path]] | None = None
) -> tuple[Path, ...]:
    """Every JSON above the series that speaks for it, the nearest last.

    The sidecar beside the series is not among them. ``sidecar.carried_over`` reads them all.

    Parameters
    ----------
    root : the dataset's folder.
    scan : one of its series.
    listed : by folder its files, to which those that are listed now are added; for many scans.

    Returns
    -------
    tuple of Path
    """
    listed = {} if listed is None else listed
    sidecars: list[Path] = []
    own_sidecar = companion(scan.dwi, ".json")
    for level in reversed(_levels(root, scan.dwi.parent)):
        if level not in listed:
            listed[level] = _dwi_files(level)
        paths = [
            path
            for path in listed[level]
            if path.suffix == ".json" and path != own_sidecar and _applies_to(path, scan.name)
        ]
        sidecars += sorted(paths, key=lambda p: len(entities(p.name.split(".")[0])))
    return tuple(sidecars)


def dataset_description(raw: Mapping[str, Any], version: str, link: str) -> dict[str, Any]:
    """The ``dataset_description.json`` of a derived dataset.

    Parameters
    ----------
    raw : the description of the dataset that was denoised.
    version : dwiser's.
    link : the path to that dataset from the derived one; "bids:raw:…" points into it.

    Returns
    -------
    dict
        The fields under their BIDS names.
    """
    name = raw.get("Name")
    description: dict[str, Any] = {
        "Name": f"dwiser: denoised diffusion series{f' of {name}' if name else ''}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "dwiser", "Version": version, "Description": "denoising of diffusion MRI"}
        ],
        "DatasetLinks": {"raw": link},
    }
    source = {key: raw[f"Dataset{key}"] for key in ("DOI",) if raw.get(f"Dataset{key}")}
    description["SourceDatasets"] = [{"URL": link, **source}]
    for field in ("License", "Authors", "HowToAcknowledge"):
        if raw.get(field):
            description[field] = raw[field]
    return description
