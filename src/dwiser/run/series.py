"""Several scans of one session: denoised together where they are one measurement, else apart."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io import companion, planned, stem
from dwiser.io.volume_labels import b_delta_file, echo_time
from dwiser.methods.base import Denoiser, VolumeReasons
from dwiser.prepare.measured_scan import measured_scan
from dwiser.prepare.scan_compatibility import are_echoes, decide, joined, summarize
from dwiser.prepare.shells import shell_table
from dwiser.prepare.volumes import volume_roles
from dwiser.run.capabilities import check_volumes
from dwiser.run.denoising import denoise, denoise_file
from dwiser.run.input_scan import ReadScan, read_scan
from dwiser.run.plan import plan_of
from dwiser.run.record import RESIDUAL_SD, residual_over_sigma
from dwiser.run.request import Request
from dwiser.run.result import Result, RunSummary
from dwiser.run.volumes import VOLUME_ENTRIES, judged_part, volumes_record
from dwiser.scan import Scan
from dwiser.watch import Watch, silent, step

IMAGES = "save_"  # fields of a request that name further images begin so
# fields that cannot be meant for several, or not yet
OF_ONE_SCAN = (
    "bval", "bvec", "grad", "b_delta", "noise_map", "phase", "save_weights", "warm_start", "resume",
)  # fmt: skip


def denoise_series(
    requests: Sequence[Request],
    *,
    together: bool | None = None,
    watch: Watch = silent,
    print_line: Callable[[str], None] = lambda line: None,
) -> list[RunSummary]:
    """Denoise several files, each into a set of its own; what can be refused is, before the work.

    Returns what each came to; the images are in the files.

    Parameters
    ----------
    requests : one a file, alike in all but ``dwi`` and ``out``.
    together : True, False, or None to decide by `dwiser.prepare.scan_compatibility.decide`.
    print_line : is called with the decision and its reason.

    Raises
    ------
    InputError
        For a file that cannot be read or written, and for scans that are forced together on
        different grids; then nothing is written.
    """
    method = _check(requests)
    with step(watch, "reading"):
        reads = [read_scan(request, plan_of(request).room) for request in requests]
    scans = [read.scan for read in reads]
    counts = [scan.shape[3] for scan in scans]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)  # each is given when its file is denoised
        names = [request.dwi.name for request in requests]
        times = [echo_time(read.fields) for read in reads]
        scan_summaries = [summarize(*one) for one in zip(scans, names, times, strict=True)]
        echoes = are_echoes(scan_summaries)
        as_one, why = decide(scan_summaries, together)
        for scan in () if as_one else scans:  # refused now, not after the first is denoised
            check_volumes(measured_scan(scan, volume_roles(scan)), method)
        one = joined(scans, as_echoes=echoes) if as_one else None
        if one is not None:  # which holds their voxels from now on
            reads = [_view_of(one, read, p) for read, p in zip(reads, _parts(counts), strict=True)]
    del scans, scan_summaries
    print_line(f"{'together' if as_one else 'apart'}: {why}")
    about = {"Together": as_one, "Why": why, "Files": names, "VolumesOfEach": counts}
    about |= {"EchoTimes": times} if echoes else {}
    summaries: list[RunSummary] = []
    if one is None:
        reads.reverse()  # each is released once it is denoised
        for request in requests:
            work = partial(_alone, request=request, about=about, watch=watch)
            summaries.append(denoise_file(request, watch, work=work, read=reads.pop()).summary)
        return summaries
    together_result = _denoised(one, requests[0], watch)
    for request, read, part in zip(requests, reads, _parts(counts), strict=True):
        work = partial(part_of, together_result, part, about)
        summaries.append(denoise_file(request, watch, work=work, read=read).summary)
    return summaries


def denoise_among_echoes(
    scan: Scan,
    request: Request,
    others: Sequence[Request],
    place: int,
    inherited: Sequence[Sequence[Path]],
    watch: Watch = silent,
) -> Result:
    """An echo of a scan, denoised with the others where they are one measurement, else alone.

    Parameters
    ----------
    scan : of ``request``, read; its mask, σ and noise volumes are used for all.
    others : the requests of the other echoes, in their order; only their scans are read.
    place : of this echo among all.
    inherited : of each of the others the JSON files above it, the nearest last.
    """
    room = plan_of(request).room
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)  # each echo's own run gives them
        reads = [
            read_scan(replace(other, mask=None), room, above)
            for other, above in zip(others, inherited, strict=True)
        ]
        scans = [read.scan for read in reads]
        scans.insert(place, scan)
        requests = [*others[:place], request, *others[place:]]
        names = [one.dwi.name for one in requests]
        summaries = [
            summarize(one, name, float(number))
            for number, (one, name) in enumerate(zip(scans, names, strict=True), 1)
        ]
        as_one, why = decide(summaries)
    counts = [one.shape[3] for one in scans]
    about = {"Together": as_one, "Why": why, "Files": names, "VolumesOfEach": counts}
    if not as_one:
        sentence = f"The echo is denoised without the others: {why}."
        warnings.warn(sentence, DwiserWarning, stacklevel=2)
        result = _alone(scan, request, about, watch)
        result.record["Warnings"].insert(0, sentence)
        return result
    joint = replace(
        joined(scans, as_echoes=True), mask=scan.mask, sigma=scan.sigma, coils=scan.coils
    )
    del scans, reads
    return part_of(_denoised(joint, request, watch), _parts(counts)[place], about, scan)


def in_folder(request: Request, files: Sequence[Path], outdir: Path) -> list[Request]:
    """A request a file, its results in ``outdir`` under the file's own name.

    What else a request saves (``save_noise`` …) is a name that is put after each file's stem:
    "sigma.nii.gz" becomes "A_sigma.nii.gz".

    Raises
    ------
    InputError
        For another format than an image's, and a name of a further image with a folder in it.
    """
    requests = []
    for file in files:
        stem(file)  # refuses another format for what it is, an input
        of_file: dict[str, Any] = {"dwi": file, "out": outdir / file.name}
        for extra in fields(request):
            name = getattr(request, extra.name)
            if extra.name.startswith((IMAGES, "report")) and name is not None:
                if name.name != str(name):
                    raise InputError(
                        f"{name}: with --outdir give a name without folders: it is put after "
                        "each scan's own.",
                        code=Code.ARGUMENT_VALUE,
                    )
                of_file[extra.name] = outdir / f"{stem(file).name}_{name.name}"
        requests.append(replace(request, **of_file))
    return requests


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """A folder, created if it does not exist, and removed again if it stays empty.

    Raises
    ------
    InputError
        Where the folder cannot be created.
    """
    new = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made a folder: give another name.", code=Code.OUTPUT_FOLDER
        ) from error
    try:
        yield
    finally:
        if new and not any(folder.iterdir()):
            folder.rmdir()


def _check(requests: Sequence[Request]) -> Denoiser:
    """Refuse wrong names or a wrong method; the method."""
    method = plan_of(requests[0]).method
    dwi_of_output: dict[Path, Path] = {}
    inputs = [request.dwi for request in requests]
    for request in requests:
        for name in OF_ONE_SCAN if len(requests) > 1 else ():
            value = getattr(request, name)
            if name == "b_delta":  # a number is for all
                value = b_delta_file(value)
            if value not in (None, False):
                raise InputError(
                    f"--{name.replace('_', '-')} belongs to one scan: denoise each by itself, "
                    "or put its table beside it.",
                    code=Code.ARGUMENT_CONFLICT,
                )
        # by the sidecar: dwi.mif and dwi.nii.gz have one name for it
        sidecar = companion(request.out, ".json").resolve()
        other = dwi_of_output.setdefault(sidecar, request.dwi)
        if other is not request.dwi:
            raise InputError(
                f"{request.dwi}: its result would have the name of {other}'s: "
                "give it a name of its own, or another --outdir.",
                code=Code.OUTPUT_SAME_NAME,
            )
        planned(request.out, *request.extras, inputs=inputs, force=request.force)
    return method


def _parts(counts: Sequence[int]) -> list[slice]:
    """Of each scan's volumes in the series of all."""
    ends = list(accumulate(counts))
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _view_of(joint: Scan, read: ReadScan, part: slice) -> ReadScan:
    """A scan whose voxels are a part of the ``joint`` scan's, not a copy of them."""
    return replace(read, scan=replace(read.scan, data=joint.data[..., part]))


def _denoised(scan: Scan, request: Request, watch: Watch) -> Result:
    return denoise(
        scan, plan_of(request).method, request.preset,
        device=request.device, threads=request.threads, seed=request.seed, watch=watch,
    )  # fmt: skip


def _alone(scan: Scan, request: Request, about: dict[str, Any], watch: Watch) -> Result:
    result = _denoised(scan, request, watch)
    result.record["Series"] = about
    return result


def part_of(joined_result: Result, part: slice, about: dict[str, Any], scan: Scan) -> Result:
    """One scan's volumes of a joint result, with a record of its own.

    Volumes in the record are counted from the scan's own first; warnings keep the counting of
    all volumes together, which ``Series`` tells.
    """
    result = replace(
        joined_result,
        data=joined_result.data[..., part],
        record=dict(joined_result.record),
        passed_through=_within(joined_result.passed_through, part),
        not_shared=None
        if joined_result.not_shared is None
        else _within(joined_result.not_shared, part),
        outlier_volumes=(
            None
            if joined_result.outlier_volumes is None
            else _within(joined_result.outlier_volumes, part)
        ),
    )
    if joined_result.roles is not None:
        roles = joined_result.roles.part(part)
        result = replace(result, roles=roles)
        for entry in VOLUME_ENTRIES:
            result.record.pop(entry, None)
        result.record.update(volumes_record(roles))
    record = result.record
    record["Shells"] = shell_table(scan.gradients)
    record["Warnings"] = list(record["Warnings"])
    record["Series"] = about | {"Volumes": [part.start, part.stop - 1]}
    if RESIDUAL_SD in record:
        record[RESIDUAL_SD] = residual_over_sigma(*judged_part(scan, result))
    return result


def _within(reasons: VolumeReasons, part: slice) -> dict[int, str]:
    """Of the volumes in ``part``, counted from its first."""
    return {v - part.start: why for v, why in reasons.items() if part.start <= v < part.stop}
