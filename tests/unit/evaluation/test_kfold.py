"""R² by region: the raw volumes as the target first, the poster's target beside it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dwiser.evaluation.kfold import WHITE, kfold_rows, regions
from dwiser.evaluation.records import Absent, Metric
from dwiser.evaluation.tensor import pick
from dwiser.scan import Scan


@pytest.fixture(scope="module")
def white(head, head_scan) -> dict[str, np.ndarray]:
    masks, _ = regions(head_scan, head.mask, head.tissues["wm"] > 0.9)
    return {WHITE: masks[WHITE]}


def numbers(denoised: np.ndarray, scan: Scan, where: dict[str, np.ndarray]) -> dict[str, float]:
    return {row.metric: row.value for row in kfold_rows(denoised, scan, where)}


def test_the_poster_s_target_rewards_a_blur_more_than_the_raw_one_does(head_scan, white):
    blurred = gaussian_filter(head_scan.data, (1.2, 1.2, 1.2, 0))
    noisy, smooth = (numbers(d, head_scan, white) for d in (head_scan.data, blurred))
    assert noisy["kfold.dti.raw"] == noisy["kfold.dti.denoised"]
    for model in ("dti", "csd"):
        own_gain = smooth[f"kfold.{model}.denoised"] - noisy[f"kfold.{model}.denoised"]
        raw = smooth[f"kfold.{model}.raw"] - noisy[f"kfold.{model}.raw"]
        assert own_gain > 0.02 + 2 * max(raw, 0)


def test_the_truth_predicts_the_raw_volumes_better_than_the_raw_ones_do(head, head_scan, white):
    noisy, true = (numbers(d, head_scan, white) for d in (head_scan.data, head.truth))
    for model in ("dti", "csd"):
        assert true[f"kfold.{model}.raw"] > noisy[f"kfold.{model}.raw"] + 0.005
        assert true[f"kfold.{model}.denoised"] > true[f"kfold.{model}.raw"]


def test_what_cannot_be_fitted_is_absent_with_its_reason(head, head_scan, white):
    b0s = np.flatnonzero(head_scan.gradients.is_b0)[:1]
    dwis = np.flatnonzero(~head_scan.gradients.is_b0)

    def few(count: int) -> Scan:
        volumes = np.concatenate([b0s, dwis[:count]])
        table = pick(head_scan.gradients, volumes)
        return Scan(head_scan.data[..., volumes], head_scan.affine, table, mask=head_scan.mask)

    rows = list(kfold_rows(few(12).data, few(12), white))
    assert [type(r) for r in rows] == [Metric, Metric, Absent]
    assert "15 directions" in rows[-1].reason
    none, reasons = regions(few(5), head.mask)
    assert none == {}
    assert len(reasons) == 2
    assert all("6 DWIs" in a.reason for a in reasons)


def test_a_phantom_without_a_callosum_says_so_and_white_matter_is_found_by_fa(head, head_scan):
    crop = Scan(
        head_scan.data[:12, :12], head_scan.affine, head_scan.gradients, mask=head.mask[:12, :12]
    )
    masks, absent = regions(crop, crop.mask)
    assert set(masks) == {WHITE}
    assert "corpus callosum" in absent[0].reason
    assert (masks[WHITE] & ~crop.mask).sum() == 0
