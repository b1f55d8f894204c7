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
    """A whitened of fibres in noise, turning along an axis; and its truth, in units of y."""
    gradients = table(dwis)
    brightness = 500 + 20 * np.indices(SHAPE)[1].reshape(-1, 1)
    exponent = gradients.bvals * 1e-3 * (0.4 + 1.2 * (along_x() @ gradients.bvecs.T) ** 2)
    attenuated = brightness * np.exp(-exponent)
    mean = attenuated.mean(0)
    truth = ((attenuated - mean) / sigma).astype(np.float32)
    noise = stream(4, "noise").standard_normal(truth.shape).astype(np.float32)
    whitened = WhitenedScan(
        np.ones(SHAPE, bool), np.full(SHAPE, sigma, np.float32), 1.0, truth + noise, mean,
        np.ones(dwis + 1), None, (), dict.fromkeys(range(dwis + 1), "few"), {},
    )  # fmt: skip
    return ResponseModel(whitened, gradients), truth
