"""Packages whose names are imported when they are asked for (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def importer(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__``: each name of ``homes`` comes from the module given there.

    Examples
    --------
    >>> importer("shapes", {"pi": "math"})("pi")
    3.141592653589793
    """

    def attribute(name: str) -> Any:
        if name in homes:
            return vars(import_module(homes[name]))[name]
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return attribute


class _Module:
    """Stands for a module until one of its names is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def module(name: str) -> Any:
    """A module that is imported when one of its names is used: DIPY's and torch's take a second.

    SciPy does this itself: ``import scipy`` and ``scipy.stats.norm`` are enough.

    Examples
    --------
    >>> colours = module("colorsys")
    >>> colours.rgb_to_hsv(1, 0, 0)
    (0.0, 1.0, 1)
    """
    return _Module(name)
