"""``dwiser denoise`` as a nipype interface; nipype must be installed beside dwiser."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    CommandLine,
    CommandLineInputSpec,
    File,
    TraitedSpec,
    isdefined,
    traits,
)

from dwiser.io.names import companion
from dwiser.pipelines.options import TABLES, Option, denoise_options

OPTIONS = denoise_options()


def _trait(option: Option) -> Any:
    value = f"{option.flag} %s"
    if option.choices:
        return traits.Enum(*option.choices, argstr=value, desc=option.help)
    if option.kind == "texts":
        return traits.List(traits.Str, argstr=f"{value}...", desc=option.help)
    if option.kind in ("input", "output"):
        is_input = option.kind == "input"
        return File(exists=is_input, hash_files=is_input, argstr=value, desc=option.help)
    kinds = {
        "flag": (traits.Bool, option.flag),
        "text": (traits.Str, value),
        "integer": (traits.Int, f"{option.flag} %d"),
        "number": (traits.Float, f"{option.flag} %g"),
    }
    kind, form = kinds[option.kind]
    return kind(argstr=form, desc=option.help)


InputSpec = type(
    "InputSpec",
    (CommandLineInputSpec,),
    {
        "in_file": File(
            exists=True, mandatory=True, position=0, argstr="%s", desc="the series, a 4-D image"
        ),
        "out_file": File(
            name_source="in_file", name_template="%s_denoised", keep_extension=True,
            hash_files=False, position=1, argstr="%s", desc="the denoised series",
        ),
        **{option.name: _trait(option) for option in OPTIONS},
    },
)  # fmt: skip

OutputSpec = type(
    "OutputSpec",
    (TraitedSpec,),
    {
        "out_file": File(exists=True, desc="the denoised series"),
        **{f"out_{end[1:]}": File(desc=f"its {end} file") for end in TABLES},
        **{o.name: File(exists=True, desc=o.help) for o in OPTIONS if o.kind == "output"},
    },
)


class Denoise(CommandLine):
    """Denoise a series: ``Denoise(in_file="dwi.nii.gz", bval="dwi.bval", bvec="dwi.bvec").run()``.

    The inputs are the options of ``dwiser denoise``; the outputs are ``out_file``, the tables and
    the sidecar beside it, and whatever a ``save_…`` or ``report`` named.
    """

    _cmd = "dwiser denoise"
    input_spec = InputSpec
    output_spec = OutputSpec

    def _list_outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = super()._list_outputs()
        out = Path(outputs["out_file"])
        for end in TABLES:
            table = companion(out, end)
            if table.exists():
                outputs[f"out_{end[1:]}"] = str(table)
        for option in OPTIONS:
            if option.kind == "output" and isdefined(value := getattr(self.inputs, option.name)):
                outputs[option.name] = str(Path(value).absolute())
        return outputs
