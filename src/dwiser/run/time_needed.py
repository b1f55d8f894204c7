"""How long a method that does not train takes: from its size, and how fast this machine is now."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from jaxtyping import Bool
from threadpoolctl import threadpool_limits

from dwiser.machine import Machine
from dwiser.methods.base import Denoiser
from dwiser.methods.splitq.method import Splitq
from dwiser.scan import Scan

# (s of one core, MiB beyond the base) per million values, a value being a voxel in a volume:
# benchmarks/results/all_methods_phantom.json, 65 × 78 × 66 × 70 values, one thread of AMD EPYC.
# Methods that train are missing: their time depends on iterations, not on the scan's size.
MEASURED = {
    "identity": (0.17, 5.8),
    "gaussian": (0.22, 9.6),
    "nlmeans": (0.87, 10.6),
    "ascm": (8.4, 13.7),
    "mppca": (4.6, 21.1),
    "patch2self": (0.54, 28.7),
    "subspace": (0.20, 10.5),
    "dwidenoise": (2.0, 13.1),
    "splitq": (0.68, 26.9),
}
MILLION, THOUSAND = 1e6, 1e3

# splitq, s of that core per thousand voxels of the mask and, second, for each volume too: fitted
# to five phantoms of 21 000 to 159 000 voxels, 20 to 136 volumes, before more of it was compiled;
# times .56 since, as one of them and a real scan of 1.2 mm showed. What is learned on has a limit.
LEARNING, REST = (0.073, 0.0011), (0.020, 0.00031)
AFTER = 0.15  # s per million values: the verdict, and writing
STARTING = 1.1  # s: Python and the libraries, PyTorch not among them
SHARED_OUT = 0.5  # of the work that more threads take part in: an assumption, not measured

PROBE_SECONDS = 0.0088  # of `_probe` on that core
PROBES = 3


@dataclass(frozen=True)
class TimeNeeded:
    """Seconds of the method, and of the whole of ``dwiser denoise`` without a report."""

    method: float
    whole: float


def time_needed(
    method: Denoiser, scan: Scan, mask: Bool[np.ndarray, "x y z"], machine: Machine
) -> TimeNeeded | None:
    """About how long it takes; None for a GPU, and for a method that nobody has measured.

    Notes
    -----
    The measured cost of one core by the scan's size, times how long a piece of the same kind of
    work takes here and now against there. Within a factor of two, where nothing else begins.
    """
    if method.name not in MEASURED or machine.device != "cpu":
        return None
    values = scan.data.size / MILLION
    if isinstance(method, Splitq):
        inside, volumes = float(mask.sum()) / THOUSAND, scan.shape[3]
        learned_on = min(inside, method.learned_on / THOUSAND)
        seconds = sum(
            voxels * (each + by_volume * volumes)
            for voxels, (each, by_volume) in ((learned_on, LEARNING), (inside, REST))
        )
    else:
        seconds = MEASURED[method.name][0] * values
    slower = slowness()
    seconds *= slower * (1 - SHARED_OUT + SHARED_OUT / machine.threads)
    return TimeNeeded(seconds, seconds + slower * (STARTING + AFTER * values))


def slowness() -> float:
    """How long work takes now, over what it took where the costs were measured."""
    rng = np.random.default_rng(0)
    voxels = rng.standard_normal((8_000, 64), np.float32)
    turn = rng.standard_normal((64, 24)).astype(np.float32)
    patches = rng.standard_normal((160, 24, 24))
    patches = patches @ patches.transpose(0, 2, 1)
    with threadpool_limits(1):
        times = [_probe(voxels, turn, patches) for _ in range(1 + PROBES)]
    return float(np.median(times[1:])) / PROBE_SECONDS  # the first loads libraries


def _probe(voxels: np.ndarray, turn: np.ndarray, patches: np.ndarray) -> float:
    """Seconds of products, element-wise work, small eigenvalue problems and sorting."""
    begun = perf_counter()
    np.matmul(voxels, turn)
    np.matmul(voxels.T, voxels)
    (np.sqrt(np.abs(voxels)) + voxels * voxels).sum()
    np.linalg.eigh(patches)
    np.sort(voxels[:, :8], axis=0)
    return perf_counter() - begun
