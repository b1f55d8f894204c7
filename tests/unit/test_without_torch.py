"""The plain package, without PyTorch: a network is refused with the command that brings it."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dwiser
from dwiser import lazy, machine, torch_package
from dwiser.cli import main
from dwiser.errors import Code, DwiserWarning
from dwiser.io.tensors import tensor_bytes
from dwiser.methods.registry import METHODS, build
from dwiser.run import capabilities, demo
from dwiser.simulation import Simulation
from tests.refusals import command_refused, refused

INSTALL = 'pip install "dwiser[learn]"'
NETWORKS = ("splitnet", "difusion", "noise2noise", "noisier2noise", "ddm2", "deep_image_prior")


class NoTorch:
    """A finder that finds no torch."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoTorch, *sys.meta_path])
    installed = torch_package.find_spec
    monkeypatch.setattr(
        torch_package, "find_spec", lambda name: None if name == "torch" else installed(name)
    )
    with pytest.raises(ModuleNotFoundError):  # or nothing below says anything
        lazy.module("torch").Tensor  # noqa: B018


@pytest.fixture
def dwi(tiny: Simulation, tmp_path: Path) -> Path:
    path = tmp_path / "dwi.nii.gz"
    dwiser.io.save_volume(tiny.scan.data, path, like=tiny.scan)
    dwiser.io.write_bvals(tiny.scan.gradients, tmp_path / "dwi.bval")
    dwiser.io.write_bvecs(tiny.scan.gradients, tmp_path / "dwi.bvec")
    return path


def test_the_networks_and_only_they_need_it() -> None:
    assert tuple(name for name, entry in METHODS.items() if not entry.loadable) == NETWORKS
    for name in NETWORKS:
        with refused(Code.PROGRAM_MISSING, f"{name} needs PyTorch", INSTALL, "splitq"):
            build(name)


def test_in_python_a_network_is_refused_and_the_default_works(tiny: Simulation) -> None:
    with refused(Code.PROGRAM_MISSING, "difusion needs PyTorch", INSTALL):
        dwiser.denoise(tiny.scan, "difusion", threads=1)
    result = dwiser.denoise(tiny.scan, threads=1)
    assert np.isfinite(result.data).all()
    assert "torch" not in result.record["Versions"]


def test_a_network_is_not_advised(tiny: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    some = {name: METHODS[name] for name in ("gaussian", *NETWORKS)}
    monkeypatch.setattr(capabilities, "METHODS", some)
    assert capabilities.methods_that_take(tiny.scan) == ["gaussian"]


@pytest.mark.parametrize(
    "words",
    [
        lambda dwi, out: ("denoise", dwi, out / "o.nii.gz", "--method", "difusion"),
        lambda dwi, out: ("info", dwi, "--method", "ddm2"),
        lambda dwi, out: ("compare", dwi, out, "--methods", "splitq,noise2noise"),
        lambda dwi, out: ("methods", "splitnet"),
        lambda dwi, out: ("demo", out, "--set", "iterations=5"),
        lambda dwi, out: ("bids", dwi.parent, out, "participant", "--method", "noisier2noise"),
        lambda dwi, out: ("cohort", dwi.parent, out, "participant", "--method", "splitnet"),
        lambda dwi, out: ("apply", dwi.parent / "w.safetensors", dwi, out / "o.nii.gz"),
    ],
    ids=["denoise", "info", "compare", "methods", "demo", "bids", "cohort", "apply"],
)
def test_every_command_refuses_a_network_in_a_sentence(
    words: Callable[[Path, Path], tuple[object, ...]], dwi: Path, tmp_path: Path, capsys
) -> None:
    metadata = {"kind": "weights", "method": "difusion", "preset": "smoke", "parameters": {}}
    weights = tensor_bytes({"w": np.zeros(2, np.float32)}, metadata)
    (tmp_path / "w.safetensors").write_bytes(weights)
    out = tmp_path / "out"
    sentence = command_refused(
        capsys, Code.PROGRAM_MISSING, *map(str, words(dwi, out)), silent=False
    )
    assert f"PyTorch, which is not installed here: {INSTALL}" in sentence
    assert not out.exists()


@pytest.mark.parametrize("command", ["denoise", "bids", "cohort"])
def test_a_gpu_is_refused_where_only_pytorch_is_missing(
    command: str, dwi: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = {"denoise": (dwi, out / "o.nii.gz")}.get(command, (tmp_path, out, "participant"))
    words = (command, *map(str, words), "--device", "cuda")
    monkeypatch.setattr(machine, "_gpu_driver", lambda: True)
    assert machine.find_machine("auto").device == "cpu"
    assert INSTALL in command_refused(capsys, Code.PROGRAM_MISSING, *words)
    monkeypatch.setattr(machine, "_gpu_driver", lambda: False)
    assert "No CUDA GPU" in command_refused(capsys, Code.DEVICE_MISSING, *words)
    assert not out.exists()


def test_the_list_of_methods_says_what_is_missing(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in METHODS:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert (INSTALL in line) == (name in NETWORKS), line


def test_who_has_no_weights_is_told_who_has(dwi: Path, tmp_path: Path, capsys) -> None:
    words = ("denoise", str(dwi), str(tmp_path / "o.nii.gz"))
    words = (*words, "--save-weights", str(tmp_path / "w.safetensors"))
    assert f"a network, which {INSTALL} brings" in command_refused(
        capsys, Code.METHOD_NO_WEIGHTS, *words
    )


def test_the_demo_leaves_the_network_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods: list[str] = []

    def denoise_file(request, watch):
        methods.append(request.method)
        raise StopIteration

    monkeypatch.setattr(demo, "denoise_file", denoise_file)
    with (
        pytest.warns(DwiserWarning, match=r"difusion is left out.*dwiser\[learn\]"),
        pytest.raises(StopIteration),
    ):
        demo.demonstrate(tmp_path / "demo", "laptop", {}, threads=1)
    assert methods == ["splitq"]
