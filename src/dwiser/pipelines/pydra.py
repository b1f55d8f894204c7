"""``dwiser denoise`` as a pydra task; pydra (1.0 or later) must be installed beside dwiser."""

from pathlib import Path
from typing import Any

from fileformats.generic import File
from pydra.compose import shell

from dwiser.io.names import companion
from dwiser.pipelines.options import TABLES, Option, denoise_options

OPTIONS = denoise_options()
WRITTEN = {"report": ".html", "save_weights": ".safetensors"}
TYPES: dict[str, Any] = {
    "input": File | None,
    "text": str | None,
    "integer": int | None,
    "number": float | None,
    "texts": list[str] | None,
}


def _argument(option: Option) -> Any:
    if option.kind == "flag":
        return shell.arg(type=bool, default=False, argstr=option.flag, help=option.help)
    form = f"{option.flag}..." if option.kind == "texts" else option.flag
    choices: list[str | None] = [*option.choices, None]
    return shell.arg(
        type=TYPES[option.kind], default=None, argstr=form, help=option.help,
        allowed_values=choices if option.choices else None,
    )  # fmt: skip


def _saved(option: Option) -> Any:
    """An output that is written where its name is given (True: under its option's)."""
    return shell.outarg(
        type=File | None, default=None, argstr=option.flag, help=option.help,
        path_template=f"{option.name}{WRITTEN.get(option.name, '.nii.gz')}",
    )  # fmt: skip


def _beside(end: str) -> Any:
    def path(out_file: File) -> File | None:
        table = companion(Path(out_file), end)
        return File(table) if table.exists() else None

    return path


Denoise = shell.define(
    "dwiser denoise",
    name="Denoise",
    inputs={
        "in_file": shell.arg(type=File, argstr="", position=1, help="the series, a 4-D image"),
        **{option.name: _argument(option) for option in OPTIONS if option.kind != "output"},
    },
    outputs={
        "out_file": shell.outarg(
            type=File, argstr="", position=2, path_template="denoised.nii.gz",
            help="the denoised series",
        ),
        **{option.name: _saved(option) for option in OPTIONS if option.kind == "output"},
        **{
            f"out_{end[1:]}": shell.out(type=File | None, callable=_beside(end), help=f"its {end}")
            for end in TABLES
        },
    },
)  # fmt: skip
# Found here by the processes of pydra's workers, which are sent a name.
Denoise.__module__ = Denoise.Outputs.__module__ = __name__
Denoise.Outputs.__qualname__ = "Denoise.Outputs"
