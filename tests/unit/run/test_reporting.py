"""What the report is told: the command to repeat it, the volumes apart, a failure that is kept."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import dwiser
from dwiser.cli import build_app
from dwiser.errors import Code, DwiserError
from dwiser.methods.base import Weights
from dwiser.methods.registry import settings_of
from dwiser.run import reporting
from dwiser.run.denoising import denoise_file
from dwiser.run.judging import judgement
from dwiser.run.reporting import apart, measured, repeat_command
from dwiser.run.request import Request
from dwiser.run.result import Result
from dwiser.scan import Scan
from dwiser.simulation import Simulation
from tests.refusals import refused

EVERYTHING = Request(
    Path("a b.nii.gz"), Path("out's.nii"), bval=Path("x.bval"), bvec=Path("y.bvec"),
    mask=Path("m.nii"), method="difusion", preset="smoke",
    settings={"iterations": "7", "stop": "never"}, save_noise=Path("n.nii"),
    save_residual=Path("r.nii"), save_standardised=Path("z.nii"), save_mask=Path("k.nii"),
    b0_threshold=20.0, device="cpu", threads=2, seed=5, force=True, report=Path("out.html"),
    noise_map=Path("s.nii"), phase=Path("p.nii"), save_uncertainty=Path("u.nii"),
    save_weights=Path("w.safetensors"), warm_start=Path("v.safetensors"), resume=True,
    checkpoint_every=5.0, memory="2GiB",
)  # fmt: skip
APPLIED = Request(
    Path("a.nii.gz"), Path("b.nii.gz"), weights=Path("w.safetensors"), memory="2GiB", seed=3
)


@pytest.mark.parametrize(
    "request_", [EVERYTHING, APPLIED, Request(Path("a.nii.gz"), Path("b.nii.gz"))]
)
def test_the_command_line_asks_for_the_same_again(request_: Request) -> None:
    nothing_learned = Result(np.zeros((1, 1, 1, 1), np.float32))
    words = shlex.split(repeat_command(request_.words(), nothing_learned))
    assert words[0] == "dwiser"
    _, bound, _ = build_app().parse_args(words[1:], exit_on_error=False)
    arguments = dict(bound.arguments)
    settings = settings_of(arguments.pop("settings", None) or [])
    if "files" in arguments:
        arguments["dwi"], arguments["out"] = arguments.pop("files")
    arguments |= vars(arguments.pop("shared"))
    known = {f.name: arguments[f.name] for f in fields(Request) if f.name in arguments}
    assert Request(**known, settings=settings) == request_


def test_a_bound_in_minutes_becomes_the_work_it_came_to() -> None:
    request = replace(EVERYTHING, settings={"minutes": "3"})
    result = Result(
        np.zeros((1, 1, 1, 1), np.float32),
        weights=Weights({}, {"iterations": 812, "evaluations_most": 9}),
        parameters={"evaluations": None},
    )
    command = repeat_command(request.words(), result)
    assert "--set iterations=812 --set evaluations=9" in command
    assert "minutes" not in command
    one_pass = replace(result, parameters={})
    assert "evaluations" not in repeat_command(request.words(), one_pass)


def test_a_copied_volume_is_listed_whatever_the_method(small: Simulation) -> None:
    data = small.scan.data.copy()
    data[..., 9] = data[..., 5]
    scan = replace(small.scan, data=data)
    result = dwiser.denoise(scan, "gaussian", threads=1)
    assert list(apart(scan, result)) == [9]
    assert "volume 5" in apart(scan, result)[9]
    looked = replace(result, not_shared={0: "fewer than 4 b0s"}, outlier_volumes={})
    assert apart(scan, looked) == {}


def test_what_cannot_be_had_is_absent_with_its_reason(small: Simulation) -> None:
    scan = small.scan
    bare = Result(scan.data.copy(), mask=small.mask)
    material = measured(scan, bare, judgement(scan, bare), name="x", command="y")
    assert material.judged is None
    assert "σ map" in material.absent["residual"]
    assert "No verdict" in reporting.page(material)
    without = np.zeros(scan.shape[:3], np.float32)
    silent = replace(bare, sigma=without)
    none = measured(scan, silent, judgement(scan, silent), name="x", command="y")
    assert "σ is zero" in none.absent["residual"]
    assert "no noise was found" in reporting.page(none)


def test_a_report_that_fails_loses_no_result(
    crop: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dwiser.io import save_volume, write_bvals, write_bvecs

    save_volume(crop.data, tmp_path / "dwi.nii.gz", like=crop)
    write_bvals(crop.gradients, tmp_path / "dwi.bval")
    write_bvecs(crop.gradients, tmp_path / "dwi.bvec")

    def broken(*_: object, **__: object) -> str:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(reporting, "report", broken)
    out, page = tmp_path / "out.nii.gz", tmp_path / "out.html"
    said = ("out.html: the report could not be made", out, "were written", "report this")
    with refused(Code.REPORT_FAILED, *said, error=DwiserError) as caught:
        denoise_file(Request(tmp_path / "dwi.nii.gz", out, method="identity", report=page))
    assert caught.value.exit_code == 1
    assert out.exists()
    assert not page.exists()
