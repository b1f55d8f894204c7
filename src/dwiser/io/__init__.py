"""Files: images, gradient tables, sidecars; whatever is wrong with one is said in one sentence."""

from dwiser.io.about import about
from dwiser.io.gradients import (
    read_bvals,
    read_bvecs,
    read_grad,
    read_gradients,
    write_bvals,
    write_bvecs,
)
from dwiser.io.inputs import Inputs, find_inputs
from dwiser.io.json_file import read_object
from dwiser.io.maps import read_on_grid, save_volume
from dwiser.io.names import companion, stem
from dwiser.io.outputs import check_outputs, planned, planned_images, write_set
from dwiser.io.result import save
from dwiser.io.series import begin_load, load
from dwiser.io.sidecar import carried_over, sha256, sidecar
from dwiser.io.tensors import read_tensors, tensor_bytes, write_tensors

__all__ = [
    "Inputs",
    "about",
    "begin_load",
    "carried_over",
    "check_outputs",
    "companion",
    "find_inputs",
    "load",
    "planned",
    "planned_images",
    "read_bvals",
    "read_bvecs",
    "read_grad",
    "read_gradients",
    "read_object",
    "read_on_grid",
    "read_tensors",
    "save",
    "save_volume",
    "sha256",
    "sidecar",
    "stem",
    "tensor_bytes",
    "write_bvals",
    "write_bvecs",
    "write_set",
    "write_tensors",
]
