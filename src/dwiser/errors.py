"""Errors for people: one sentence each, what is wrong with which file, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class DwiserError(Exception):
    """Something failed while running (exit code 1)."""

    exit_code = 1


class InputError(DwiserError):
    """The input or the way dwiser was called is wrong (exit code 2); nothing was written."""

    exit_code = 2


class DwiserWarning(UserWarning):
    """Something the user should know; printed, and written to the sidecar's ``Warnings``."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An error for an unknown name, with the nearest known one suggested."""
    options = sorted(known)
    near = get_close_matches(name, options, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(options)}."
    return InputError(f"Unknown {kind} '{name}': {hint}")
