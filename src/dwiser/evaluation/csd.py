"""What constrained spherical deconvolution (Tournier et al. 2007) needs: volumes and response."""

import numpy as np
from jaxtyping import Float

from dwiser import lazy
from dwiser.b_delta import is_linear
from dwiser.evaluation.groups import directed_shells
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import dipy_table, fit_tensor
from dwiser.scan import Gradients

csdeconv = lazy.module("dipy.reconst.csdeconv")

SH_ORDERS = {45: 8, 28: 6, 15: 4}  # order by directions: one coefficient each at most
SINGLE = 300  # voxels of highest FA for the response function, DIPY's rule of thumb
RESPONSE_FA = 0.7


def csd_volumes(gradients: Gradients) -> tuple[np.ndarray, int]:
    """The b0s and the highest shell of linear b-tensors, and the SH order its directions allow.

    Of several echoes, those of the first.

    Raises
    ------
    CannotMeasure
        Without a b0, or with fewer than 15 directions in that shell.
    """
    first = gradients.echo_numbers == gradients.echo_numbers.min()
    linear = is_linear(gradients.shapes)
    shells = [
        g for g in directed_shells(gradients) if linear[g.volumes].all() and first[g.volumes].all()
    ]
    b0s = np.flatnonzero(gradients.is_b0 & first)
    if not shells or not len(b0s):
        of = "" if linear.all() else " of linear b-tensors"
        raise CannotMeasure(f"CSD needs a b0 and DWIs{of}")
    shell = shells[-1].volumes
    order = next((o for n, o in SH_ORDERS.items() if len(shell) >= n), None)
    if order is None:
        raise CannotMeasure(f"CSD needs 15 directions in a shell, not {len(shell)}")
    return np.sort(np.concatenate([b0s, shell])), order


def single_fibre_response(
    data: Float[np.ndarray, "x y z v"], gradients: Gradients
) -> tuple[np.ndarray, float]:
    """DIPY's response from the voxels with FA above 0.7, or the 300 of highest FA if fewer."""
    everywhere = np.ones(data.shape[:3], bool)
    fa = fit_tensor(data, gradients, everywhere, method="OLS", b_max=np.inf).fa
    limit = np.sort(fa.ravel())[-min(SINGLE, fa.size)]
    single = fa > RESPONSE_FA if (fa > RESPONSE_FA).sum() >= SINGLE else fa >= limit
    response, _ = csdeconv.response_from_mask_ssst(dipy_table(gradients), data, single)
    return response
