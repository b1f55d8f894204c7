"""How a denoised phantom is scored where the chain itself is studied: figures 2, 6 and 7."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dwiser.evaluate.heldout import predict_dti
from dwiser.evaluate.kfold import kfold_prediction, r_squared
from dwiser.evaluate.tensor import TensorMaps, angular_error, fit_tensor
from dwiser.machine import Machine, limited
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.difusion import Difusion
from dwiser.methods.registry import build
from dwiser.simulate import Simulation
from reproduce.data import made, nrmse
from reproduce.protocol import Run

WHITE_SHARE = 0.5  # of a voxel: white matter, where R² is taken
PAIRS = {"adjacent": "the paper's pair", "predicted": "the predicted pair"}


@dataclass(frozen=True, eq=False)
class Bench:
    """A phantom, and Di-Fusion on it at the run's budget."""

    run: Run
    made: Simulation
    true: TensorMaps
    seed: int

    @classmethod
    def of(cls, run: Run, seed: int) -> "Bench":
        phantom = made(run, seed)
        truth = fit_tensor(phantom.truth, phantom.scan.gradients, phantom.mask)
        return cls(run, phantom, truth, seed)

    @property
    def machine(self) -> Machine:
        return Machine("cpu", self.run.threads)

    def method(self, **settings: Any) -> Difusion:
        """Di-Fusion with the run's preset and iterations, and some fields set."""
        budget = self.run.setting.iterations
        given = {} if budget is None else {"iterations": budget}
        method = build("difusion", self.run.setting.preset, given | settings)
        assert isinstance(method, Difusion)
        return method

    def fit(self, method: Difusion, seed: int | None = None) -> Weights:
        with limited(self.machine):
            return method.fit(self.made.scan, machine=self.machine, seed=self._seed(seed))

    def apply(self, method: Difusion, weights: Weights, seed: int | None = None) -> Denoised:
        with limited(self.machine):
            return method.apply(
                weights, self.made.scan, machine=self.machine, seed=self._seed(seed)
            )

    def _seed(self, seed: int | None) -> int:
        return self.seed if seed is None else seed

    def errors(self, data: np.ndarray) -> dict[str, float]:
        """Against the truth: NRMSE of the DWIs, RMSE of FA, median angle of V1 in degrees."""
        scan, mask = self.made.scan, self.made.mask
        maps = fit_tensor(data, scan.gradients, mask)
        angle = angular_error(maps.v1, self.true.v1, self.true.fa, mask).median
        fa = float(np.sqrt(np.mean((maps.fa - self.true.fa)[mask] ** 2)))
        error = nrmse(data, self.made.truth, mask, ~scan.gradients.is_b0)
        return {"nrmse": error, "fa_rmse": fa, "v1_degrees": angle}

    def scores(self, data: np.ndarray) -> dict[str, float]:
        """The errors, and the tensor's 3-fold R², median over white matter.

        "r2" is the poster's, of the denoised volumes themselves; "r2_raw" of the raw ones.
        """
        table = self.made.scan.gradients
        white = self.made.mask & (self.made.tissues["wm"] > WHITE_SHARE)
        own, raw = data[white], self.made.scan.data[white]
        guess = kfold_prediction(own, table, predict=predict_dti, seed=self.seed)
        to_own, to_raw = (float(np.median(r_squared(guess, goal, table))) for goal in (own, raw))
        return self.errors(data) | {"r2": to_own, "r2_raw": to_raw}
