"""Where the angular response is learned, and where it goes back: splitq's estimate in, less lost.

Twice. First from held-out volumes: the estimate that other volumes give of a volume, against its
raw values, whose noise that estimate never saw. That is the least error, and it still shrinks,
since a posterior mean does. Then from the residual of the whole estimate itself, where FA says
that there is a fibre: what a residual shows of the fibre's shape was signal. In isotropic voxels
it would be noise that the tensor follows, so there it stays out.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.machine import side_by_side
from dwiser.methods.splitq.angular_response import (
    AngularResponse,
    TensorShape,
    deficit_of,
    response_shells,
    tensor_design,
    tensor_shape,
    tents,
)
from dwiser.methods.splitq.parts import chunks
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.prepare.moments import magnitude_moments
from dwiser.prepare.shells import shells
from dwiser.prepare.tensor_fit import TensorFit
from dwiser.scan import Gradients

DIM = 1e-3  # of the mean signal; logarithms need a positive number
DARK = 0.5  # of σ: below, a real part (no magnitude) is noise, and its logarithm a wild one
FITTED = 24_000  # voxels that the second response is fitted to: 450 numbers from a million values
CLASS_KNOTS = np.arange(0, 0.5, 0.15)  # FA of the classes that have weights of their own
FAINT, CLEAR = 2.0, 3.0  # σ: mean of a shell below and above which a voxel is faint, and is not
NO_FIBRE, FIBRE = 0.05, 0.15  # FA from and above which the second response is restored
TINY = 1e-12


class ResponseModel:
    """A scan's shells and directions, and its voxels' values as magnitudes.

    Where there is no tensor to be had, or no shell of six directions, ``shells`` is empty.
    ``threads`` share the voxels of what is learned and restored with it.
    """

    def __init__(self, whitened: WhitenedScan, gradients: Gradients, threads: int = 1) -> None:
        self.whitened, self.threads = whitened, threads
        shared = np.arange(len(gradients))
        if whitened.subspace is not None:
            shared = np.setdiff1d(shared, whitened.lone)
        self.shells = response_shells(gradients, shared)
        self.directions, self.b0s = gradients.bvecs, np.flatnonzero(gradients.is_b0)
        self.sigma = whitened.sigma_inside
        self.least = max(DIM * float(whitened.mean.mean()), DARK * float(np.median(self.sigma)))
        fitted = tensor_design(gradients, shared)
        self.fitted = np.zeros(0, int) if fitted is None else fitted[0]
        self.tensor_fit = TensorFit(np.zeros((0, 7))) if fitted is None else fitted[1]
        by_shell = [np.isin(np.arange(len(gradients)), s.volumes) for s in shells(gradients)]
        self.by_shell = np.stack([s / s.sum() for s in by_shell], 1).astype(np.float32)
        self.shell_means = whitened.mean.astype(np.float32) @ self.by_shell
        mean, variance = magnitude_moments(np.zeros(1), whitened.coils)
        self.darkest = float(mean[0] + np.sqrt(variance[0]))  # one sd above noise alone

    def magnitudes(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray
    ) -> Float[np.ndarray, "n m"]:
        """The volumes that a tensor is fitted to, of voxels given in units of y."""
        part = values[:, self.fitted] * self.sigma[rows, None]
        part += self.whitened.mean[self.fitted].astype(np.float32)
        return part

    def standard(
        self, magnitudes: Float[np.ndarray, "n m"], rows: slice | np.ndarray
    ) -> Float[np.ndarray, "n m"]:
        """`magnitudes` turned back to units of y."""
        mean = self.whitened.mean[self.fitted].astype(np.float32)
        return (magnitudes - mean) / self.sigma[rows, None]

    def shape(self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray) -> TensorShape:
        """The tensor of some of the mask's voxels, given in units of y."""
        return tensor_shape(self.magnitudes(values, rows), self.tensor_fit, self.least)

    def level(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray,
        volumes: Int[np.ndarray, "m"],
    ) -> Float[np.ndarray, "n"]:  # fmt: skip
        """The mean signal of a shell, in σ; 0 where no shell shows more than noise alone."""
        return self._mean(values, rows, volumes) * self.bright(values, rows)

    def bright(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray
    ) -> Bool[np.ndarray, "n"]:
        """Where a shell's mean signal is more than noise alone: in the others is no fibre.

        A mask without help holds a rim of such voxels; their tensor is noise, and often that of
        white matter.
        """
        means = values @ self.by_shell + self.shell_means / self.sigma[rows, None]
        return means.max(1) > self.darkest

    def classes(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray
    ) -> Float[np.ndarray, "n c"]:
        """Shares of voxels in classes of FA, and last of the faint: 1 in all.

        Faint is a voxel whose lowest shell lies near the noise floor, as fluid does: its tensor
        says little. Without a tensor or a shell of six directions there is one class.
        """
        if not self.shells:
            return np.ones((len(values), 1), np.float32)
        faint = self.faint(values, rows)[:, None]
        shares = tents(self.shape(values, rows).fa, CLASS_KNOTS)
        return np.concatenate([shares * (1 - faint), faint], 1)

    def faint(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray
    ) -> Float[np.ndarray, "n"]:
        """How near the noise floor a voxel's lowest shell is: 1 at it, 0 where it is clear."""
        level = self._mean(values, rows, self.shells[0].volumes)
        return ((CLEAR - level) / (CLEAR - FAINT)).clip(0, 1).astype(np.float32)

    def attenuation(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray
    ) -> Float[np.ndarray, "n"]:
        """What diffusion leaves of a voxel's signal: its lowest shell's mean over its b0s'."""
        parts = (self._mean(values, rows, v) for v in (self.shells[0].volumes, self.b0s))
        level, whole = (part.astype(np.float32) for part in parts)
        return (level / np.maximum(whole, np.float32(TINY))).clip(0, 1)

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        return len(CLASS_KNOTS) + 1 if self.shells else 1

    def _mean(
        self, values: Float[np.ndarray, "n v"], rows: slice | np.ndarray,
        volumes: Int[np.ndarray, "m"],
    ) -> Float[np.ndarray, "n"]:  # fmt: skip
        mean = np.float32(self.whitened.mean[volumes].mean())
        each = np.isin(np.arange(values.shape[1]), volumes) / np.float32(len(volumes))
        return values @ each.astype(np.float32) + mean / self.sigma[rows]


class HeldOutResponse:
    """The first response: gathered split by split, of voxels ``rows`` of the mask."""

    def __init__(self, model: ResponseModel, rows: Int[np.ndarray, "n"]) -> None:
        self.model, self.rows = model, rows
        self.shells = [AngularResponse() for _ in model.shells]

    def add(
        self, estimate: Float[np.ndarray, "n v"], y: Float[np.ndarray, "n v"],
        held: Int[np.ndarray, "h"],
    ) -> None:  # fmt: skip
        """One split: all volumes as the others show them, and raw; ``held`` were not seen."""
        model = self.model

        def gathered(part: slice) -> list[AngularResponse]:
            shape = model.shape(estimate[part], self.rows[part])
            own = [AngularResponse() for _ in model.shells]
            for response, shell in zip(own, model.shells, strict=True):
                volumes = np.intersect1d(shell.volumes, held)
                if len(volumes):
                    level = model.level(estimate[part], self.rows[part], shell.volumes)
                    deficit = y[part][:, volumes] - estimate[part][:, volumes]
                    response.add(shape, level, deficit, model.directions[volumes])
            return own

        for own in side_by_side(gathered, chunks(len(estimate)), model.threads):
            for response, more in zip(self.shells, own, strict=True):
                response.merge(more)

    def coefficients(self) -> Float[np.ndarray, "s c k"]:
        """One set a shell."""
        return np.stack([response.coefficients() for response in self.shells])


def restore_held_out(
    values: Float[np.ndarray, "n v"],
    model: ResponseModel,
    response: Float[np.ndarray, "s c k"],
    rows: Int[np.ndarray, "n"] | None = None,
) -> TensorShape:
    """Add the first response to ``values``; returns the tensor after it.

    ``rows`` are the mask's voxels whose values these are; None for all of them.
    """

    def work(part: slice) -> None:
        where = part if rows is None else rows[part]
        _restore(values[part], model, where, response, model.shape(values[part], where))

    list(side_by_side(work, chunks(len(values)), model.threads))
    return shape_of(values, model, rows)


def shape_of(
    values: Float[np.ndarray, "n v"],
    model: ResponseModel,
    rows: Int[np.ndarray, "n"] | None = None,
) -> TensorShape:
    """The tensor of ``values``, of which ``rows`` are the mask's voxels; None for all of them."""

    def of(part: slice) -> TensorShape:
        return model.shape(values[part], part if rows is None else rows[part])

    parts = list(side_by_side(of, chunks(len(values)), model.threads))
    names = ("fa", "mode", "deviator")
    return TensorShape(*(np.concatenate([getattr(s, n) for s in parts]) for n in names))


def residual_response(
    values: Float[np.ndarray, "n v"],
    model: ResponseModel,
    shape: TensorShape,
    rows: Int[np.ndarray, "n"] | None = None,
) -> Float[np.ndarray, "s c k"]:
    """The second response: of y − ``values`` at the most anisotropic voxels and evenly spread ones.

    Their places do not hang on FA's last digit, nor does what is learned from them.
    """
    where = np.arange(len(values)) if rows is None else rows
    half, tissue = FITTED // 2, np.flatnonzero(model.bright(values, where))
    anisotropic = tissue[np.argsort(-shape.fa[tissue], kind="stable")[:half]]
    chosen = np.union1d(anisotropic, tissue[:: max(1, -(-len(tissue) // half))])
    fitted = []
    for shell in model.shells:
        volumes = shell.volumes

        def gathered(part: slice, volumes: Int[np.ndarray, "m"] = volumes) -> AngularResponse:
            here, response = chosen[part], AngularResponse()
            own = values[here]
            deficit = model.whitened.y[where[here]][:, volumes] - own[:, volumes]
            level = model.level(own, where[here], volumes)
            response.add(shape[here], level, deficit, model.directions[volumes])
            return response

        whole = AngularResponse()
        for own in side_by_side(gathered, chunks(len(chosen)), model.threads):
            whole.merge(own)
        fitted.append(whole.coefficients())
    return np.stack(fitted)


def restore_residual(
    values: Float[np.ndarray, "n v"],
    model: ResponseModel,
    response: Float[np.ndarray, "s c k"],
    shape: TensorShape,
    rows: Int[np.ndarray, "n"] | None = None,
    share: float = 1.0,
) -> None:
    """Add a ``share`` of the second response: all of it above FA 0.15 and none below 0.05."""
    gate = share * ((shape.fa - NO_FIBRE) / (FIBRE - NO_FIBRE)).clip(0, 1)

    def work(part: slice) -> None:
        where = part if rows is None else rows[part]
        _restore(values[part], model, where, response, shape[part], gate[part])

    list(side_by_side(work, chunks(len(values)), model.threads))


def _restore(
    values: Float[np.ndarray, "n v"],
    model: ResponseModel,
    rows: slice | np.ndarray,
    response: Float[np.ndarray, "s c k"],
    shape: TensorShape,
    gate: Float[np.ndarray, "n"] | None = None,
) -> None:
    for shell, coefficients in zip(model.shells, response, strict=True):
        level = model.level(values, rows, shell.volumes)
        level = level if gate is None else level * gate
        directions = model.directions[shell.volumes]
        values[:, shell.volumes] += deficit_of(coefficients, shape, level, directions)
