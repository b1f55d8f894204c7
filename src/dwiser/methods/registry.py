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
    "noise2noise": Entry(
        "dwiser.methods.noise2noise:Noise2Noise",
        "Noise2Noise: one pass of a network that learned each volume from its partner",
        "Lehtinen et al.: Noise2Noise: Learning Image Restoration without Clean Data, ICML 2018, "
        "arXiv 1803.04189",
        "b-values, b-vectors, 6 directions; the paper preset: a GPU and hours",
    ),
    "noisier2noise": Entry(
        "dwiser.methods.noisier2noise:Noisier2Noise",
        "Noisier2Noise: a network that learned to undo noise added on top of the scan's own",
        "Moran, Schmidt, Zhong, Coady: Noisier2Noise: Learning to Denoise from Unpaired Noisy "
        "Data, CVPR 2020, arXiv 1910.11908",
        "b-values, 1 direction; the paper preset: a GPU and hours",
    ),
    "ddm2": Entry(
        "dwiser.methods.ddm2:DDM2",
        "DDM²: guesses each volume from its neighbours, finds its place on the chain, samples",
        "Xiang, Yurt, Syed, Setsompop, Chaudhari: DDM²: Self-Supervised Diffusion MRI Denoising "
        "with Generative Diffusion Models, ICLR 2023, arXiv 2302.03018",
        "b-values, 3 directions; the paper preset: a GPU and a day",
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
