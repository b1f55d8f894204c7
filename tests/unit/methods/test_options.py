"""Options: by name, by type, within bounds; a wrong one is answered with the right one."""

from dataclasses import fields

import pytest

from dwiser.errors import Code
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.options import describe
from dwiser.methods.registry import build, settings_of
from tests.refusals import refused


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("iterations", "12", 12),
        ("learning_rate", "1e-3", 0.001),
        ("patch", "none", None),
        ("patch", "32", 32),
        ("crop", "false", False),
        ("pairing", "angular", "angular"),
        ("minutes", "2.5", 2.5),
    ],
)
def test_text_becomes_the_fields_type(field: str, text: str, value: object) -> None:
    got = getattr(build("difusion", "laptop", {field: text}), field)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"paring": "adjacent"}, Code.SETTING_UNKNOWN, "did you mean 'pairing'"),
        ({"pairing": "adjacnt"}, Code.SETTING_VALUE, "did you mean 'adjacent'"),
        ({"iterations": "many"}, Code.SETTING_VALUE, "give a whole number"),
        ({"iterations": "0"}, Code.SETTING_VALUE, "at least 1"),
        ({"crop": "maybe"}, Code.SETTING_VALUE, "true or false"),
        ({"latter": "1000"}, Code.SETTING_VALUE, "at most 999"),
        ({"threshold": "nan"}, Code.SETTING_VALUE, "at least 0"),
    ],
)
def test_a_wrong_setting_is_answered_with_the_right_one(settings, code: Code, said: str) -> None:
    with refused(code, said):
        build("difusion", "laptop", settings)


def test_unknown_methods_and_presets_are_answered_with_the_nearest() -> None:
    with refused(Code.METHOD_UNKNOWN, "'diffusion'", "did you mean 'difusion'"):
        build("diffusion")
    with refused(Code.PRESET_UNKNOWN, "'labtop'", "did you mean 'laptop'"):
        build("difusion", "labtop")


def test_settings_are_pairs() -> None:
    assert settings_of(["a=1", " b = x=y"]) == {"a": "1", "b": "x=y"}
    with refused(Code.SETTING_VALUE, "'a'", "field=value"):
        settings_of(["a"])


def test_every_field_of_a_method_is_described_with_its_sources() -> None:
    rows = {row["field"]: row for row in describe(Difusion, Difusion().capabilities.presets)}
    assert set(rows) == {spec.name for spec in fields(Difusion)}
    assert all(row["help"] for row in rows.values())
    assert rows["threshold"]["presets"]["paper"] == 0.040
    assert rows["threshold"]["sources"]["paper"]
