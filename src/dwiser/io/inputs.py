"""The files a scan is read from: its image, its gradient table, a mask."""

import shlex
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.about import FilePath, about, is_link_to_nothing
from dwiser.io.formats import refuse_no_file
from dwiser.io.gradient_table import ReadGradients, repeated, table_repeats
from dwiser.io.gradients import read_grad, read_gradients
from dwiser.io.names import BVAL_ENDINGS, BVEC_ENDINGS, companion, holds_table, image_files
from dwiser.io.opening import open_image
from dwiser.io.scanner_axes import in_image_axes
from dwiser.io.stored import StoredImage


@dataclass(frozen=True)
class Inputs:
    """The files a scan is read from.

    Parameters
    ----------
    dwi : the image.
    bval, bvec : its gradient table in FSL's format; None where it is in ``grad`` or in the image.
    mask : a mask, or None.
    grad : its gradient table in scanner axes, or None.
    data : the other file of an image that has header and voxels apart.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import Inputs
    >>> len(Inputs(Path("dwi.nii"), Path("dwi.bval"), Path("dwi.bvec")).files)
    3
    """

    dwi: Path
    bval: Path | None = None
    bvec: Path | None = None
    mask: Path | None = None
    grad: Path | None = None
    data: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, with the acquisition sidecar if there is one: never to be overwritten."""
        sidecar = companion(self.dwi, ".json")
        tables = self.bval, self.bvec, self.grad
        some = (self.dwi, self.data, *tables, self.mask, sidecar if sidecar.is_file() else None)
        return tuple(path for path in some if path is not None)

    @property
    def table(self) -> Path:
        """The file that an error about the table names."""
        return self.grad or self.bvec or self.dwi


def find_inputs(
    dwi: FilePath,
    bval: FilePath | None = None,
    bvec: FilePath | None = None,
    mask: FilePath | None = None,
    grad: FilePath | None = None,
) -> Inputs:
    """The scan's files: those that are named, else the table in the image or beside it.

    Parameters
    ----------
    dwi : the image.
    bval, bvec : text files; None for the table in the image, or the files beside it with its stem.
    mask : a mask, or None.
    grad : a table in scanner axes, in place of ``bval`` and ``bvec``.

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        If the image cannot be opened, or it has a gradient table nowhere, or two are named.

    Examples
    --------
    >>> from dwiser.io import find_inputs
    >>> from dwiser.io.sample import sample_paths
    >>> find_inputs(sample_paths().dwi).bval.name
    'dwi.bval'
    """
    with about(dwi):
        refuse_no_file(dwi)
        Path(dwi).open("rb").close()
    if grad and (bval or bvec):
        raise InputError(
            f"{grad}: --grad is a whole table: leave out --bval and --bvec.",
            code=Code.ARGUMENT_CONFLICT,
        )
    image = open_image(dwi) if len(image_files(dwi)) > 1 or holds_table(dwi) else None
    inputs = Inputs(
        dwi=Path(dwi),
        mask=Path(mask) if mask else None,
        grad=Path(grad) if grad else None,
        data=None if image is None else _other_half(image),
    )
    inside = image is not None and image.table is not None
    if grad or (inside and not (bval or bvec)):
        return inputs
    return replace(
        inputs,
        bval=Path(bval) if bval else _beside(dwi, BVAL_ENDINGS, "b-values", "--bval"),
        bvec=Path(bvec) if bvec else _beside(dwi, BVEC_ENDINGS, "b-vectors", "--bvec"),
    )


def _other_half(image: StoredImage) -> Path | None:
    """The second file of a format that has header and voxels apart."""
    files = (image.voxels.path, *image_files(image.path)[:-1])
    return next((file for file in files if file != image.path and file.is_file()), None)


def read_table(
    inputs: Inputs, image: StoredImage, *, volumes: int | tuple[int, ...], **options: Any
) -> ReadGradients:
    """Read the gradient table of a series from where it is.

    Parameters
    ----------
    inputs : the scan's files.
    image : the series, whose header may hold the table, and whose axes FSL's vectors are along.
    volumes : how many the series has; of an image of five axes or more, its sizes from the fourth
        on, as `read_gradients` has it.
    options : of `Gradients`: ``b0_threshold``, ``bvalue_scaling``, ``b_delta``, ``echoes``.

    Returns
    -------
    ReadGradients
        In the image's axes, as FSL has it.

    Raises
    ------
    InputError
        If the table cannot be read, or does not have one entry a volume; the message names the
        file.
    """
    if inputs.bval is not None and inputs.bvec is not None:
        return read_gradients(inputs.bval, inputs.bvec, volumes=volumes, **options)
    axes = (volumes,) if isinstance(volumes, int) else volumes
    with about(inputs.table):
        if inputs.grad is not None:
            rows, name = read_grad(inputs.grad), "rows"
            _warn_without_orientation(inputs, image)
        else:
            assert image.table is not None
            rows, name = image.table.read(), f"{image.table.name} rows"
        remedy = "give the table that belongs to it, with --grad or --bval and --bvec"
        table_repeats(len(rows), axes, name, remedy)
        return repeated(rows[:, 3], in_image_axes(rows[:, :3], image.affine), axes, **options)


def _warn_without_orientation(inputs: Inputs, image: StoredImage) -> None:
    """Scanner axes and an image that does not say where they are."""
    if image.header["qform_code"] <= 0 and image.header["sform_code"] <= 0:
        warnings.warn(
            f"{inputs.dwi}: its header says no orientation (qform_code, sform_code: 0), which "
            f"turns {inputs.grad} into its axes: x is taken to go to the left, as nibabel has it. "
            "Set one of them, or give --bval and --bvec.",
            DwiserWarning,
            stacklevel=4,
        )


def _beside(dwi: FilePath, endings: tuple[str, ...], name: str, option: str) -> Path:
    candidates = [companion(dwi, extension) for extension in endings]
    for path in (*filter(Path.is_file, candidates), *filter(is_link_to_nothing, candidates)):
        return path  # of a link to nothing its reader tells what to do
    names = " or ".join(path.name for path in candidates)
    others = _under_other_names(dwi, option)
    if others:
        raise InputError(
            f"{dwi}: there are no {name} beside it with its name ({names}); if the table in its "
            f"folder is this image's, add {others}.",
            code=Code.GRADIENTS_MISSING,
        )
    raise InputError(
        f"{dwi}: there are no {name} beside it ({names}): give them with {option}, or the whole "
        "table with --grad.",
        code=Code.GRADIENTS_MISSING,
    )


def _under_other_names(dwi: FilePath, option: str) -> str:
    """Options for the table in the image's folder that FSL or MRtrix named, if there is one."""
    folder = Path(dwi).parent
    fsl = [
        (word, folder / known.removeprefix("."))
        for word, endings in (("--bval", BVAL_ENDINGS), ("--bvec", BVEC_ENDINGS))
        for known in endings
        if word >= option  # who is asked for b-vectors has given the b-values
    ]
    mrtrix = [("--grad", companion(dwi, ".b")), ("--grad", folder / "grad.b")]
    there = {word: path for word, path in reversed(fsl) if path.is_file()}
    if option not in there and option == "--bval":  # who gave b-values cannot give --grad too
        there = {word: path for word, path in reversed(mrtrix) if path.is_file()}
    return " ".join(f"{word} {shlex.quote(str(path))}" for word, path in sorted(there.items()))
