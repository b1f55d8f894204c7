"""Each engine's file has every option of ``dwiser denoise``, and is what its writer writes now."""

import json
import re

import pytest
import yaml

from dwiser.cli.denoise import denoise
from dwiser.cli.options import Shared
from dwiser.pipelines.options import denoise_options
from scripts import pipelines

OPTIONS = denoise_options()
SEVERAL = {"files", "outdir", "together"}  # of several series


def test_they_are_all_that_the_command_takes_for_one_series() -> None:
    declared = {*denoise.__annotations__, *Shared.__annotations__} - {"return", "shared"} - SEVERAL
    assert {option.name for option in OPTIONS} == declared
    kinds = {option.name: option.kind for option in OPTIONS}
    assert {name for name, kind in kinds.items() if kind == "input"} == {
        "bval", "bvec", "grad", "mask", "noise_map", "phase", "warm_start",
    }  # fmt: skip
    written = {name for name, kind in kinds.items() if kind == "output"}
    assert written == {"report", *(name for name in kinds if name.startswith("save_"))}
    assert kinds["seed"] == kinds["threads"] == "integer"
    assert kinds["settings"] == "texts"


@pytest.mark.parametrize("path", pipelines.BUILT, ids=lambda path: path.name)
def test_the_files_are_what_the_options_say(path) -> None:
    assert path.read_text() == pipelines.BUILT[path](), "run: python -m scripts.pipelines"


def test_each_has_every_option() -> None:
    inputs = {entry["id"]: entry for entry in json.loads(pipelines.boutiques())["inputs"]}
    meta = yaml.safe_load(pipelines.nextflow_meta())
    listed = {name for part in ("args", "input") for entry in meta[part] for name in entry}
    module, rule = pipelines.nextflow(), pipelines.snakemake()
    for option in OPTIONS:
        assert inputs[option.name]["command-line-flag"] == option.flag
        assert option.name in listed
        assert re.search(rf'"{option.flag}[ "]', module), option.flag
        assert f'"{option.name}": ("{option.kind}", "{option.flag}")' in rule
