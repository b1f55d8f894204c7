"""Every method behind one door: a name, a line about it, its citation and what it needs."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dwiser.errors import InputError, unknown
from dwiser.methods.base import Denoiser
from dwiser.methods.options import Presets, parse

DEFAULT_METHOD, DEFAULT_PRESET = "difusion", "laptop"


@dataclass(frozen=True)
class Entry:
    """One method: where its class is, and what a user should know before choosing it."""

    place: str
    line: str
    citation: str
    needs: str

    def load(self) -> Any:
        """The method's class; imported only now, since some need torch."""
        module, name = self.place.split(":")
        return getattr(import_module(module), name)


METHODS: dict[str, Entry] = {
    "difusion": Entry(
        "dwiser.methods.difusion:Difusion",
        "Di-Fusion: learns each volume from its partner along a Markov chain, slice by slice",
        "Wu, Kong, Jiang, Zhou: Self-Supervised Diffusion MRI Denoising via Iterative and "
        "Stable Refinement, ICLR 2025, arXiv 2501.13514",
        "b-values, b-vectors, 6 directions; the paper preset: a GPU and hours",
    ),
}


def find(name: str) -> Entry:
    """The entry of a method; an unknown name is answered with the nearest known one."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def build(
    name: str = DEFAULT_METHOD,
    preset: str = DEFAULT_PRESET,
    settings: dict[str, Any] | None = None,
) -> Denoiser:
    """A method with a preset's values, then the user's own on top.

    Parameters
    ----------
    settings : field → value; text is parsed, as from the command line.

    Raises
    ------
    InputError
        For an unknown method, preset, field or value; the nearest name is suggested.
    """
    cls = find(name).load()
    presets: Presets = getattr(cls, "presets", {})
    if preset not in presets and not (preset == DEFAULT_PRESET and not presets):
        raise unknown(f"preset of {name}", preset, presets or [DEFAULT_PRESET])
    values = {field: s.value for field, s in presets.get(preset, {}).items()}
    given = {field: parse(cls, field, str(v)) for field, v in (settings or {}).items()}
    method: Denoiser = cls(**(values | given))
    return method


def settings_of(pairs: list[str]) -> dict[str, str]:
    """``field=value`` texts as a dict."""
    settings = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field.strip():
            raise InputError(f"'{pair}' is no setting: write --set field=value.")
        settings[field.strip()] = value.strip()
    return settings
