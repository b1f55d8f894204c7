"""Every reason that a verdict can give comes with what to do about it."""

import inspect
import re

from dwiser.evaluation import verdict
from dwiser.evaluation.remedies import REMEDIES


def test_each_reason_has_its_remedy_and_no_remedy_is_left_over() -> None:
    codes = set(re.findall(r'Reason\(\s*"(\w+)"', inspect.getsource(verdict)))
    assert len(codes) >= 8
    assert codes == set(REMEDIES)
    assert all(text.endswith(".") for text in REMEDIES.values())
