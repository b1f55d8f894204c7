"""Shapes in signatures are checked while testing: jaxtyping's hook, before dwiser is imported."""

from jaxtyping import install_import_hook

install_import_hook("dwiser", "beartype.beartype")

import json  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from dwiser import machine as machines  # noqa: E402
from dwiser.io import load, save_volume, write_bvals, write_bvecs  # noqa: E402
from dwiser.io.sample import sample_paths  # noqa: E402
from dwiser.machine import Machine  # noqa: E402
from dwiser.scan import Scan  # noqa: E402
from dwiser.simulation import Simulation, phantom  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """What would take every core takes one: threads of several workers wait for each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machines, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine("cpu", 1)


@pytest.fixture(scope="session")
def crop() -> Scan:
    """A real crop of 24×20×6×41 voxels, across the brain's edge; its b0 is the last volume."""
    files = sample_paths()
    scan = load(files.dwi, files.bval, files.bvec)
    return Scan(scan.data[2:26, 22:42, 8:14].copy(), scan.affine, scan.gradients, scan.header)


@pytest.fixture(scope="session")
def small() -> Simulation:
    """A small phantom: two b0s, 12 directions at b=1000, b0 SNR 20."""
    return phantom(shape=(26, 24, 8), shells=((1000.0, 12),), n_b0=2, snr=20.0, seed=3)


@pytest.fixture(scope="session")
def tiny() -> Simulation:
    """The least that every method of the tests takes: 10×11×5 voxels, one b0, 6 directions."""
    return phantom(shape=(10, 11, 5), shells=((1000.0, 6),), n_b0=1, snr=20.0, seed=4)


@pytest.fixture(scope="session")
def bids(tiny: Simulation) -> Callable[..., Path]:
    """Makes a BIDS dataset of phantoms: ``bids(home, "sub-01/ses-a", "sub-02")``, a series each.

    ``run-…`` and the like may follow after the folder: "sub-01 run-1". Each is scaled otherwise.
    """

    def make(home: Path, *places: str) -> Path:
        root = home / "raw"
        root.mkdir()
        told = {"Name": "phantoms", "BIDSVersion": "1.10.0", "Authors": ["A. One", "B. Two"]}
        (root / "dataset_description.json").write_text(json.dumps(told))
        (root / "README").write_text("Phantoms, made by code, for tests of a denoiser.\n" * 4)
        (root / "dwi.json").write_text('{"EchoTime": 0.09, "RepetitionTime": 3.0}')
        for count, place in enumerate(places):
            under, _, more = place.partition(" ")
            folder = root / under / "dwi"
            folder.mkdir(parents=True, exist_ok=True)
            head = folder / "_".join(w for w in (*under.split("/"), *more.split()) if w)
            scan = tiny.scan
            save_volume(scan.data * (1 + count / 10), Path(f"{head}_dwi.nii.gz"), like=scan)
            write_bvals(scan.gradients, Path(f"{head}_dwi.bval"))
            write_bvecs(scan.gradients, Path(f"{head}_dwi.bvec"))
        return root

    return make


def nrmse(a: np.ndarray, truth: np.ndarray) -> float:
    """Root mean squared error over the root mean square of the truth."""
    return float(np.sqrt(np.mean((a - truth) ** 2) / np.mean(truth**2)))
