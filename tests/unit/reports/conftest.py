"""One real crop, blurred and measured, for every test of the page."""

import pytest

import dwiser
from dwiser.reports.material import Material
from dwiser.reports.page import page
from dwiser.run.judging import judgement
from dwiser.run.reporting import measured
from dwiser.scan import Scan

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{7*7}}.nii.gz"


@pytest.fixture(scope="session")
def material(crop: Scan) -> Material:
    """A Gaussian blur of the crop; whatever text can come from outside is hostile."""
    result = dwiser.denoise(crop, "gaussian", threads=1)
    result.record["Manufacturer"] = HOSTILE
    result.record["Warnings"] = [HOSTILE]
    result.record["training"] = {"curve": {"10": 0.5, "20": 0.25}, "iterations": 20}
    result.record["sampling"] = {"stopping_step": {"250": 3, "50": 9}}
    command = f"dwiser denoise '{HOSTILE}'"
    return measured(crop, result, judgement(crop, result), name=f"in/{HOSTILE}", command=command)


@pytest.fixture(scope="session")
def html(material: Material) -> str:
    return page(material)
