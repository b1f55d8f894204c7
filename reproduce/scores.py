"""How a denoised scan is scored where the chain itself is studied: figures 2, 6 and 7."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dwiser.evaluation.heldout import predict_dti
from dwiser.evaluation.kfold import WHITE_FA, kfold_prediction, r_squared
from dwiser.evaluation.tensor import TensorMaps, angular_error, fit_tensor
from dwiser.machine import Machine, limited
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.registry import build
from dwiser.prepare.mask import object_mask
from dwiser.scan import Scan
from dwiser.simulation import Simulation
from reproduce.arms import NOISY, preset_of, walk_of_claims
from reproduce.claims import AgainstNoisy
from reproduce.data import dealt, made, nrmse, real
from reproduce.protocol import Record, Run

WHITE_SHARE = 0.5  # of a phantom's voxel: white matter, where R² is taken
PAIRS = {"adjacent": "the paper's pair", "predicted": "the predicted pair"}
PHANTOM, REAL = "phantom", "real"
SOURCES = {PHANTOM: "phantom", REAL: "real scan"}


def sources(record: Record) -> list[str]:
    """What a record has rows of, of `SOURCES`, in its order."""
    return list(dict.fromkeys(r["source"] for r in record["rows"]))


def on_phantom(record: Record, method: str) -> AgainstNoisy:
    """The error of a method's result on the phantom, and of the noisy scan."""
    error = {r["method"]: r["nrmse"] for r in record["rows"] if r["source"] == PHANTOM}
    return AgainstNoisy("its result", "NRMSE on the phantom", error.get(method), error.get(NOISY))


@dataclass(frozen=True, eq=False)
class Bench:
    """A scan, its white matter, and Di-Fusion on it at the run's budget."""

    run: Run
    scan: Scan
    white: np.ndarray
    seed: int

    @classmethod
    def real(cls, run: Run) -> "tuple[Bench | None, str]":
        """Some directions of a real scan, and which it is; white matter by the raw FA."""
        scan, name = real(run)
        if scan is None:
            return None, name
        own, _ = dealt(scan, run.setting.directions, run.seed)
        mask = object_mask(scan)
        white = mask & (fit_tensor(scan.data, scan.gradients, mask).fa > WHITE_FA)
        told = f"{name}, {(~own.gradients.is_b0).sum()} of its directions"
        return cls(run, own, white, run.seed), told

    @property
    def machine(self) -> Machine:
        return self.run.machine

    def method(self, **settings: Any) -> Difusion:
        """Di-Fusion with the run's preset and iterations, the claims' walk, and some fields set."""
        preset = preset_of("difusion", self.run.setting.preset)
        method = build("difusion", preset, walk_of_claims(preset) | settings)
        assert isinstance(method, Difusion)
        return replace(method, iterations=self.run.setting.trained(method, self.scan))

    def fit(self, method: Difusion, seed: int | None = None) -> Weights:
        with limited(self.machine):
            return method.fit(self.scan, machine=self.machine, seed=self._seed(seed))

    def apply(self, method: Difusion, weights: Weights, seed: int | None = None) -> Denoised:
        with limited(self.machine):
            return method.apply(weights, self.scan, machine=self.machine, seed=self._seed(seed))

    def _seed(self, seed: int | None) -> int:
        return self.seed if seed is None else seed

    def scores(self, data: np.ndarray) -> dict[str, float]:
        """The tensor's 3-fold R², its median over white matter.

        "r2" is the poster's, of the denoised volumes themselves; "r2_raw" of the raw ones.
        """
        table = self.scan.gradients
        own, raw = data[self.white], self.scan.data[self.white]
        guess = kfold_prediction(own, table, predict=predict_dti, seed=self.seed)
        to_own, to_raw = (float(np.median(r_squared(guess, goal, table))) for goal in (own, raw))
        return {"r2": to_own, "r2_raw": to_raw}


@dataclass(frozen=True, eq=False)
class Known(Bench):
    """A bench whose truth is known: a phantom."""

    made: Simulation
    true: TensorMaps

    @classmethod
    def of(cls, run: Run, seed: int) -> "Known":
        phantom = made(run, seed)
        truth = fit_tensor(phantom.truth, phantom.scan.gradients, phantom.mask)
        white = phantom.mask & (phantom.tissues["wm"] > WHITE_SHARE)
        return cls(run, phantom.scan, white, seed, phantom, truth)

    def errors(self, data: np.ndarray) -> dict[str, float]:
        """Against the truth: NRMSE of the DWIs, RMSE of FA, median angle of V1 in degrees."""
        scan, mask = self.made.scan, self.made.mask
        maps = fit_tensor(data, scan.gradients, mask)
        angle = angular_error(maps.v1, self.true.v1, self.true.fa, mask).median
        fa = float(np.sqrt(np.mean((maps.fa - self.true.fa)[mask] ** 2)))
        error = nrmse(data, self.made.truth, mask, ~scan.gradients.is_b0)
        return {"nrmse": error, "fa_rmse": fa, "v1_degrees": angle}

    def scores(self, data: np.ndarray) -> dict[str, float]:
        """The errors against the truth, and R²."""
        return self.errors(data) | super().scores(data)


def benches(run: Run) -> tuple[list[tuple[str, Bench]], str]:
    """A phantom a seed, then the real scan where there is one; and which it is."""
    phantoms: list[tuple[str, Bench]] = [
        (PHANTOM, Known.of(run, seed)) for seed in range(run.seed, run.seed + run.setting.seeds)
    ]
    scan, name = Bench.real(run)
    return [*phantoms, *([(REAL, scan)] if scan is not None else [])], name
