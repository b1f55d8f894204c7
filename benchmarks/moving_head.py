"""A head that moves between volumes and rings: its signals by TRXScan, its motion known.

TRXScan's own motion takes the tissue of the nearest sample of its grid: a movement of less than
half a sample does nothing (`findings/trxscan_motion_nearest_sample.sh`). So the head is moved
here. Its signals, by TRXScan at rest on a grid of half the voxel and with the gradients as the
turned head sees them, are a smooth field; cubic splines interpolate it at each volume's pose, the
middle of its k-space is kept (what is sharp rings), and noise is added to the complex image.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

from dwiser.scan import Gradients
from dwiser.seeds import stream
from dwiser.simulation.geometry import HeadAnatomy, head_anatomy
from dwiser.simulation.scheme import scheme
from dwiser.simulation.simulator import WHITE
from dwiser.simulation.texture import Texture, textured

FINER = 2  # samples a voxel and axis of the head
MARGIN = 4  # voxels of air along x and y; slices above and below that are not scanned
SMOOTH = 0.7  # samples, sd: a field that splines interpolate well
TEXTURE = Texture(0.3, 2.0)  # strength, and samples
SHIFT, TURN = 0.8, 0.8  # sd of a pose's parts, mm and degrees
JUMP = 0.5  # how far a pose follows the one before
ECHO_SPACING, T2_STAR = 0.1, 1e6  # ms: no blur along the readout
SLAB = 8  # slices at once, for memory


@dataclass(frozen=True, eq=False)
class Scene:
    """One head, scheme and course of motion.

    Parameters
    ----------
    anatomy : on the fine grid.
    gradients : as the scanner played them out.
    poses : (V, 4, 4) from the head at rest to the head as it lay, in mm about the middle.
    voxel : mm.
    """

    anatomy: HeadAnatomy
    gradients: Gradients
    poses: Float[np.ndarray, "v 4 4"]
    voxel: float
    trxscan: Any

    @cached_property
    def turned(self) -> Gradients:
        """The directions that the head saw, in its own axes."""
        bvecs = np.einsum("vji,vj->vi", self.poses[:, :3, :3], self.gradients.bvecs)
        return Gradients(self.gradients.bvals, bvecs)

    @cached_property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """Of the scanned grid; its middle is the origin."""
        return centred(self.mask.shape, self.voxel)

    @cached_property
    def mask(self) -> Bool[np.ndarray, "x y z"]:
        """Voxels that hold tissue."""
        return scanned_slices(coarse(sum(self.anatomy.tissues.values()))) > 0.5

    @cached_property
    def white(self) -> Bool[np.ndarray, "x y z"]:
        return scanned_slices(coarse(self.anatomy.tissues["wm"])) > WHITE

    @cached_property
    def at_rest(self) -> Float[np.ndarray, "x y z v"]:
        """Signals on the fine grid without motion, noise or ringing."""
        tissues, axes = self.anatomy.tissues, self.anatomy.axes
        weights = self.anatomy.shares * tissues["wm"][..., None]
        flat = np.arange(tissues["wm"].size).reshape(tissues["wm"].shape, order="F")
        fibers = self.trxscan.Fibers(
            voxel=np.broadcast_to(flat[..., None], weights.shape)[weights > 0].astype(np.uint32),
            dirs=axes[weights > 0].astype(np.float32),
            weight=weights[weights > 0].astype(np.float32),
        )
        side = self.voxel / FINER
        made = self.trxscan.objects.from_arrays(
            tissues["wm"], tissues["gm"], tissues["csf"], oversample=1, voxel_mm=side,
            fibers=fibers,
        )  # fmt: skip
        table = self.turned.bvals, self.turned.bvecs
        signals = signals_of(self.trxscan, made, table, side)
        return np.stack([gaussian_filter(v, SMOOTH) for v in np.moveaxis(signals, -1, 0)], -1)

    @cached_property
    def truth(self) -> Float[np.ndarray, "x y z v"]:
        """What each voxel holds with the head at rest: means over it, so without ringing."""
        return scanned_slices(coarse(self.at_rest))

    def scanned(self, sigma: float, seed: int) -> Float[np.ndarray, "x y z v"]:
        """Magnitudes of the moved head; ``sigma`` is the noise's sd in each of two channels."""
        fine = centred(self.at_rest.shape, self.voxel / FINER)
        volumes = []
        for v, pose in enumerate(self.poses):
            moved = resampled(self.at_rest[..., v], np.linalg.inv(pose), fine).clip(0)
            image = acquired(scanned_slices(through_plane(moved)))
            rng = stream(seed, "noise", v)
            noise = rng.normal(size=image.shape) + 1j * rng.normal(size=image.shape)
            volumes.append(np.abs(image + sigma * noise).astype(np.float32))
        return np.stack(volumes, axis=-1)

    def sigma_for(self, snr: float) -> float:
        """The noise's sd at which b0s have an SNR in white matter."""
        return float(self.truth[self.white][:, self.gradients.is_b0].mean()) / snr


def scene(
    trxscan: Any, shape: tuple[int, int, int], directions: int, b0s: int, voxel: float, seed: int
) -> Scene:
    """A textured head on a grid with air around it, and a course of motion."""
    inner = tuple(FINER * (n - 2 * MARGIN) for n in shape[:2])
    head = textured(head_anatomy((*inner, FINER * (shape[2] + MARGIN)), seed), TEXTURE, seed)
    air = [(FINER * MARGIN,) * 2] * 2 + [(0, 0)]

    def padded(x: np.ndarray) -> np.ndarray:
        return np.pad(x, air + [(0, 0)] * (x.ndim - 3))

    head = HeadAnatomy(
        padded(head.mask), padded(head.density), {k: padded(v) for k, v in head.tissues.items()},
        padded(head.shares), padded(head.axes),
    )  # fmt: skip
    table = scheme(((1000.0, directions),), n_b0=b0s, seed=seed)
    return Scene(head, table, poses(len(table), seed), voxel, trxscan)


def poses(volumes: int, seed: int) -> Float[np.ndarray, "v 4 4"]:
    """A slow drift with jumps: the first volume is at rest."""
    steps = stream(seed, "motion").normal(size=(volumes, 6)) * ([SHIFT] * 3 + [TURN] * 3)
    for volume in range(1, volumes):
        steps[volume] = JUMP * steps[volume - 1] + np.sqrt(1 - JUMP**2) * steps[volume]
    steps -= steps[0]
    affines = np.tile(np.eye(4), (volumes, 1, 1))
    affines[:, :3, :3] = Rotation.from_euler("xyz", steps[:, 3:], degrees=True).as_matrix()
    affines[:, :3, 3] = steps[:, :3]
    return affines


def signals_of(
    trxscan: Any, made: Any, table: tuple[np.ndarray, np.ndarray], side: float
) -> Float[np.ndarray, "x y z v"]:
    """Of TRXScan, one sample a voxel: no ringing, no noise, no blur along the readout."""
    settings = trxscan.Protocol.DEFAULT.replace(
        voxel_mm=side, oversample=1, echo_spacing_ms=ECHO_SPACING, t_inhom_ms=T2_STAR
    )
    clean = trxscan.Artifacts(distortion=False)
    ran = made.simulate(table, settings, clean, clean_b0=False, kspace=False, chunk=SLAB)
    x, y, z = ran.dims
    return np.asarray(ran.mag, np.float32).reshape(z, y, x, -1).transpose(2, 1, 0, 3)


def acquired(fine: Float[np.ndarray, "a b z"]) -> Complex[np.ndarray, "x y z"]:
    """The middle of k-space only, as a scanner samples it: sharp edges ring along x and y."""
    for axis in (0, 1):
        n = fine.shape[axis]
        k = np.fft.fftfreq(n)
        middle = np.abs(k) < 0.5 / FINER
        middle |= k == -0.5 / FINER
        centre = np.exp(2j * np.pi * k * (FINER - 1) / 2)  # of a voxel, not its first sample
        shape = [-1 if a == axis else 1 for a in range(3)]
        spectrum = np.fft.fft(fine, axis=axis) * centre.reshape(shape)
        fine = np.fft.ifft(np.compress(middle, spectrum, axis), axis=axis) / FINER
    return fine


def centred(shape: tuple[int, ...], side: float) -> Float[np.ndarray, "4 4"]:
    """An affine whose origin is the grid's middle."""
    affine = np.diag([side, side, side, 1.0])
    affine[:3, 3] = -side * (np.array(shape[:3]) - 1) / 2
    return affine


def resampled(
    volume: Float[np.ndarray, "x y z"],
    points: Float[np.ndarray, "4 4"],
    affine: Float[np.ndarray, "4 4"],
) -> Float[np.ndarray, "x y z"]:
    """The volume at ``points`` of each voxel's place, mm to mm, by cubic splines."""
    voxels = np.linalg.inv(affine) @ points @ affine
    return affine_transform(volume, voxels[:3, :3], voxels[:3, 3], order=3, mode="nearest")


def through_plane(fine: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "x y z/2"]:
    """Means over a slice's samples."""
    return fine.reshape(*fine.shape[:2], -1, FINER).mean(-1)


def coarse(fine: Float[np.ndarray, "x y z *v"]) -> np.ndarray:
    """Means over a voxel's samples."""
    x, y, z = (n // FINER for n in fine.shape[:3])
    return fine.reshape(x, FINER, y, FINER, z, FINER, *fine.shape[3:]).mean((1, 3, 5))


def scanned_slices(grid: np.ndarray) -> np.ndarray:
    return grid[:, :, MARGIN // 2 : grid.shape[2] - MARGIN // 2]
