"""A whitened scan of fibres that turn, and its truth: for the laws of few volumes."""

import numpy as np

from dwiser.methods.splitq.restoring import ResponseModel
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.scan import Gradients
from dwiser.seeds import stream

SHAPE = (26, 20, 10)


def table(dwis: int) -> Gradients:
    bvecs = stream(3, "bvecs").standard_normal((dwis + 1, 3))
    return Gradients(
        np.r_[0.0, np.full(dwis, 1000.0)], bvecs / np.linalg.norm(bvecs, axis=1, keepdims=True)
    )


def along_x() -> np.ndarray:
    """Fibres that turn by half a circle along x."""
    angle = np.indices(SHAPE)[0].ravel() / SHAPE[0] * np.pi
    along = np.stack([np.cos(angle), np.sin(angle), np.full(angle.shape, 0.3)], 1)
    return along / np.linalg.norm(along, axis=1, keepdims=True)


def fibres(dwis: int, sigma: float) -> tuple[ResponseModel, np.ndarray]:
    """A whitened scan of fibres in noise, turning along an axis; and its truth, in units of y."""
    gradients = table(dwis)
    brightness = 500 + 20 * np.indices(SHAPE)[1].reshape(-1, 1)
    exponent = gradients.bvals * 1e-3 * (0.4 + 1.2 * (along_x() @ gradients.bvecs.T) ** 2)
    return whitened_scan(brightness * np.exp(-exponent), gradients, sigma, SHAPE)


def whitened_scan(
    signal: np.ndarray, gradients: Gradients, sigma: float, shape: tuple[int, int, int]
) -> tuple[ResponseModel, np.ndarray]:
    """A whitened scan of these signals (n, V) in noise; and the signals, in units of y."""
    mean, volumes = signal.mean(0), signal.shape[1]
    truth = ((signal - mean) / sigma).astype(np.float32)
    noise = stream(4, "noise").standard_normal(truth.shape).astype(np.float32)
    whitened = WhitenedScan(
        np.ones(shape, bool), np.full(shape, sigma, np.float32), 1.0, truth + noise, mean,
        np.ones(volumes), None, (), dict.fromkeys(range(volumes), "few"), {},
    )  # fmt: skip
    return ResponseModel(whitened, gradients), truth
