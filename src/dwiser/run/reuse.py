"""Files of weights: written with their settings, read back, checked against another scan."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from dwiser import __version__, lazy
from dwiser.defaults import DEFAULT_METHOD
from dwiser.errors import Code, InputError
from dwiser.io import about, read_tensors, sha256, tensor_bytes
from dwiser.io.outputs import WEIGHTS_ENDING
from dwiser.methods.base import Denoiser, Weights
from dwiser.methods.registry import METHODS, build, method_class
from dwiser.prepare.protocol import Protocol
from dwiser.run.capabilities import with_reusable_weights
from dwiser.scan import Scan

torch = lazy.module("torch")

KIND = "weights"


def check_reusable(method: Denoiser, option: str) -> None:
    """Refuse a method whose weights are of no use for another scan, with the reason."""
    if method.capabilities.reusable_weights:
        return
    why, names = method.capabilities.why_not_reusable, with_reusable_weights()
    raise InputError(
        f"{method.name}, {why}, has no weights for another scan: leave out {option}, or take a "
        f"method that has ({names}).",
        code=Code.METHOD_NO_WEIGHTS,
    )


def weights_bytes(weights: Weights, method: Denoiser, preset: str, scan: Scan) -> bytes:
    """The file of --save-weights: tensors, the method's settings, the protocol, the training."""
    metadata = {
        "kind": KIND,
        "version": __version__,
        "method": method.name,
        "preset": preset,
        "parameters": asdict(method),
        "protocol": Protocol.of(scan).plain(),
        "training": weights.record,
    }
    return tensor_bytes(arrays_of(weights.state), metadata)


def arrays_of(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Tensors as arrays, for a file."""
    return {name: tensor.contiguous().numpy() for name, tensor in state.items()}


def tensors_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of ``arrays_of``: torch's tensors."""
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


class WeightsFile:
    """A file of weights, read and checked: the method they are for, and the scan's protocol."""

    def __init__(self, path: Path) -> None:
        arrays, metadata = _read(path)
        with about(path):
            if metadata.get("kind") != KIND:
                raise InputError(
                    "It holds no finished weights: give a file of --save-weights.",
                    code=Code.WEIGHTS_INVALID,
                )
            try:
                self.path, self.preset = path, str(metadata["preset"])
                self.method = _built(metadata)
                self.weights = Weights(dict(tensors_of(arrays)), dict(metadata["training"]))
                self.protocol = Protocol.from_plain(metadata["protocol"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    "It does not tell what it is for: train anew.", code=Code.WEIGHTS_INVALID
                ) from error
            check_reusable(self.method, "its file")

    def check(self, scan: Scan, dwi: Path) -> None:
        """Refuse a scan of another protocol."""
        other = self.protocol.differs(Protocol.of(scan))
        if other is not None:
            raise InputError(
                f"{dwi}: this is another protocol than the weights were learned on, {other}: "
                "train on this scan (dwiser denoise).",
                code=Code.WEIGHTS_PROTOCOL,
            )

    @property
    def record(self) -> dict[str, str]:
        """For the sidecar."""
        return {"Weights": str(self.path), "WeightsSHA256": sha256(self.path)}


def begin_with(path: Path, method: Denoiser) -> dict[str, Any]:
    """The parameters that --warm-start begins with; a file of another method is refused.

    Raises
    ------
    InputError
        For a file that holds the weights of another method.
    """
    weights_file = WeightsFile(path)
    theirs, ours = weights_file.method.name, method.name
    if theirs != ours:
        raise InputError(
            f"{path}: its weights are those of {theirs}: give {ours}'s, or none.",
            code=Code.WEIGHTS_MISMATCH,
        )
    return dict(weights_file.weights.state)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The file's tensors and metadata; a result or a method's name is not taken for weights."""
    try:
        return read_tensors(path)
    except InputError as error:
        if path.suffix.lower() == WEIGHTS_ENDING:
            raise
        raise InputError(
            f"{path}: it is no file of weights: give what --save-weights wrote with "
            f"{with_reusable_weights()}, or denoise without it (dwiser denoise): "
            f"{DEFAULT_METHOD} has no weights for another scan.",
            code=Code.WEIGHTS_INVALID,
        ) from error


def _built(metadata: Mapping[str, Any]) -> Denoiser:
    """The method with the settings that the file holds."""
    name, values = str(metadata["method"]), dict(metadata["parameters"])
    if name not in METHODS:
        raise InputError(
            f"Its method {name!r} is not one of this version of dwiser: train anew.",
            code=Code.WEIGHTS_MISMATCH,
        )
    known = {spec.name for spec in fields(method_class(name))}
    if set(values) - known:
        raise InputError(
            f"Its settings are of another version of {name}: train anew.",
            code=Code.WEIGHTS_MISMATCH,
        )
    return build(name, settings=values)
