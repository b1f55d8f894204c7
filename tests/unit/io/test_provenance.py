"""A step's own record is its own, whatever the input's sidecar holds; earlier steps are a list."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dwiser.io.provenance import OWN_FIELDS, generators, with_earlier_steps

NAMES = st.sampled_from([*sorted(OWN_FIELDS), "EchoTime", "dw_scheme", "patch"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def step(seed: int, **more: Any) -> dict[str, Any]:
    """What dwiser says of one run."""
    name = [{"Name": "dwiser", "Version": "9.9"}]
    return {"GeneratedBy": name, "Method": "mppca", "Seed": seed, "Warnings": []} | more


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_no_field_of_the_input_touches_the_record(fields: dict[str, Any]) -> None:
    record = step(3, patch=5)
    merged = with_earlier_steps(record, fields)
    assert all(merged[name] == value for name, value in record.items() if name != "GeneratedBy")
    assert merged["GeneratedBy"][-1] == record["GeneratedBy"][0]
    foreign = set(merged) - set(record) - {"EarlierRecords"}
    assert not foreign & OWN_FIELDS


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=8), st.integers(1, 5))
def test_any_number_of_steps_is_a_flat_list(fields: dict[str, Any], steps: int) -> None:
    before = (
        len(generators(fields)),
        len(with_earlier_steps(step(0), fields).get("EarlierRecords", [])),
    )
    merged = fields
    for seed in range(steps):
        merged = with_earlier_steps(step(seed), merged)
    records = merged.get("EarlierRecords", [])
    assert len(merged["GeneratedBy"]) == before[0] + steps
    assert len(records) == before[1] + steps - 1
    assert [record["Seed"] for record in records[before[1] :]] == list(range(steps - 1))
    assert not any("EarlierRecords" in record for record in records[before[1] :])
    assert merged.get("EchoTime") == fields.get("EchoTime")


def test_a_raw_sidecar_leaves_nothing_behind() -> None:
    merged = with_earlier_steps(step(1), {"EchoTime": 0.09, "dw_scheme": [[0, 0, 1, 0]]})
    assert merged == step(1) | {"EchoTime": 0.09, "dw_scheme": [[0, 0, 1, 0]]}


def test_what_an_earlier_method_measured_goes_with_its_record() -> None:
    """A field in lower case is a measurement of dwiser's, where dwiser made the input."""
    once = with_earlier_steps(step(1, training={"epochs": 3}), {"EchoTime": 0.09})
    twice = with_earlier_steps(step(2), once)
    assert "training" not in twice
    (earlier,) = twice["EarlierRecords"]
    assert earlier == step(1, training={"epochs": 3})
    assert twice["EchoTime"] == 0.09


def test_a_program_may_stand_by_its_name_or_without_a_list() -> None:
    assert generators({"GeneratedBy": "dcm2niix"}) == [{"Name": "dcm2niix"}]
    assert generators({"GeneratedBy": {"Name": "QSIPrep"}}) == [{"Name": "QSIPrep"}]
    odd = json.loads('[{"Name": "a"}, "b", 3, null]')
    assert generators({"GeneratedBy": odd}) == [{"Name": "a"}, {"Name": "b"}]
    assert (
        generators({}) == generators({"GeneratedBy": None}) == generators({"GeneratedBy": 3}) == []
    )
