"""``dwiser denoise`` run by the engines themselves, where they are installed.

``pip install nipype 'pydra>=1.0a0' boutiques snakebids reftrace`` beside dwiser; Debian's groovy.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import dwiser
from dwiser.io import load, save_volume, write_bvals, write_bvecs
from dwiser.pipelines import FOLDER
from dwiser.simulation import Simulation

pytestmark = pytest.mark.slow
PROGRAMS = str(Path(sys.executable).parent)
FWHM = 2.0
OPTIONS = {"method": "gaussian", "settings": [f"fwhm={FWHM}"], "device": "cpu", "threads": 1}

# By pydra's pool of processes.
PYDRA = """
import json, sys
from dwiser.pipelines.pydra import Denoise
if __name__ == "__main__":
    outputs = Denoise(**json.loads(sys.argv[1]))(cache_root="cache", worker="cf")
    names = "out_file", "out_json", "save_noise", "save_mask"
    values = {name: getattr(outputs, name) for name in names}
    print(json.dumps({name: value and str(value) for name, value in values.items()}))
"""


@pytest.fixture
def dwi(tiny: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A series in the working folder, with its tables under other names; dwiser on the PATH."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    save_volume(tiny.scan.data, tmp_path / "raw.nii.gz", like=tiny.scan)
    write_bvals(tiny.scan.gradients, tmp_path / "b.txt")
    write_bvecs(tiny.scan.gradients, tmp_path / "v.txt")
    return tmp_path / "raw.nii.gz"


def expected(dwi: Path) -> np.ndarray:
    scan = load(dwi, dwi.with_name("b.txt"), dwi.with_name("v.txt"))
    return dwiser.denoise(scan, "gaussian", fwhm=FWHM, verdict=False, threads=1).data


def assert_denoised(image: Path | str, dwi: Path) -> None:
    np.testing.assert_allclose(nib.load(image).get_fdata(), expected(dwi), rtol=1e-5)


def needed(program: str) -> str:
    place = shutil.which(program)
    if place is None:
        pytest.skip(f"{program} is not installed")
    return place


def ran(*words: object) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_nipype_runs_it_and_names_its_outputs(dwi: Path, tmp_path: Path) -> None:
    pytest.importorskip("nipype")
    denoise = importlib.import_module("dwiser.pipelines.nipype").Denoise
    interface = denoise(
        in_file=str(dwi), bval=str(tmp_path / "b.txt"), bvec=str(tmp_path / "v.txt"),
        save_noise="sigma.nii.gz", **OPTIONS,
    )  # fmt: skip
    outputs = interface.run().outputs
    assert_denoised(outputs.out_file, dwi)
    assert Path(outputs.out_file).name == "raw_denoised.nii.gz"
    assert np.loadtxt(outputs.out_bvec).shape == (3, 7)
    assert json.loads(Path(outputs.out_json).read_text())["Method"] == "gaussian"
    assert nib.load(outputs.save_noise).ndim == 3


def test_pydra_runs_it_and_names_its_outputs(dwi: Path, tmp_path: Path) -> None:
    pytest.importorskip("pydra.compose")
    inputs = {"in_file": dwi.name, "bval": "b.txt", "bvec": "v.txt", "save_noise": True, **OPTIONS}
    outputs = json.loads(ran(sys.executable, "-c", PYDRA, json.dumps(inputs)))
    assert_denoised(outputs["out_file"], dwi)
    assert json.loads(Path(outputs["out_json"]).read_text())["Method"] == "gaussian"
    assert nib.load(outputs["save_noise"]).ndim == 3
    assert outputs["save_mask"] is None


def test_bosh_accepts_the_descriptor_and_runs_it(dwi: Path, tmp_path: Path) -> None:
    bosh, descriptor = needed("bosh"), FOLDER / "boutiques.json"
    ran(bosh, "validate", descriptor)
    invocation = {"in_file": dwi.name, "out_file": "out.nii.gz", "bval": "b.txt", "bvec": "v.txt"}
    invocation |= {"save_noise": "sigma.nii.gz", "force": True, **OPTIONS}
    invocation["settings"] = ["fwhm=9", *OPTIONS["settings"]]  # the last counts
    (tmp_path / "in.json").write_text(json.dumps(invocation))
    told = ran(bosh, "exec", "launch", "--no-container", descriptor, "in.json")
    assert "sigma.nii.gz (save_noise_file" in told
    assert_denoised(tmp_path / "out.nii.gz", dwi)


def test_snakemake_denoises_a_dataset(bids, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("snakebids")
    snakemake = needed("snakemake")
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    root, out = bids(tmp_path, "sub-01/ses-a", "sub-02/ses-a"), tmp_path / "out"
    rules = (snakemake, "-s", FOLDER / "snakemake" / "Snakefile", "-d", tmp_path, "--cores", 1)
    config = tmp_path / "config.yml"
    where = ("--configfile", config, "--config", f"bids_dir={root}", f"out={out}")
    options = {k: v for k, v in OPTIONS.items() if k != "threads"} | {"save_noise": True}
    config.write_text(json.dumps({"dwiser": options}))
    ran(*rules, *where)
    for subject in ("01", "02"):
        head = out / f"sub-{subject}/ses-a/dwi/sub-{subject}_ses-a_desc-denoised"
        assert json.loads(Path(f"{head}_dwi.json").read_text())["Parameters"]["fwhm"] == FWHM
        assert nib.load(f"{head}_noise.nii.gz").ndim == 3
    config.write_text(json.dumps({"dwiser": {"methud": "gaussian"}}))
    refused = subprocess.run([*map(str, (*rules, *where))], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "dwiser has no option 'methud': choose from method," in refused.stderr + refused.stdout


def test_reftrace_reads_the_nextflow_module() -> None:
    reftrace = pytest.importorskip("reftrace")
    module = reftrace.Module.from_file(str(FOLDER / "nextflow" / "dwiser" / "denoise" / "main.nf"))
    assert 'name: "DWISER_DENOISE"' in str(module)


def test_the_command_of_the_nextflow_module_denoises(
    dwi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groovy, java = needed("groovy"), Path(needed("java")).resolve()
    monkeypatch.setenv("JAVA_HOME", str(java.parents[1]))
    files = {key: [] for key in ("phase", "warm_start", "grad", "mask", "noise_map")}
    files |= {"image": dwi.name, "bval": "b.txt", "bvec": "v.txt"}
    task = {"ext": {k: v for k, v in OPTIONS.items() if k != "threads"}, "cpus": 1}
    task |= {"process": "DWISER_DENOISE", "memory": None}
    task["ext"] |= {"save_noise": True, "force": True, "quiet": False}
    variables = {"meta": {"id": "sub-01"}, "task": task, **files}
    module = FOLDER / "nextflow" / "dwiser" / "denoise" / "main.nf"
    script = ran(
        groovy, Path(__file__).with_name("script_of.groovy"), module, json.dumps(variables)
    )
    ran("bash", "-euc", script)
    assert_denoised(tmp_path / "sub-01__denoised.nii.gz", dwi)
    assert (tmp_path / "sub-01__save_noise.nii.gz").exists()
    assert dwiser.__version__ in (tmp_path / "versions.yml").read_text()
