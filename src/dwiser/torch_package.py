"""PyTorch, which the networks need and the plain package leaves out."""

from importlib.util import find_spec

from dwiser.errors import Code, InputError

INSTALL = 'pip install "dwiser[learn]"'  # PyTorch beside the dwiser that is installed


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return find_spec("torch") is not None


def require_torch(user: str, otherwise: str) -> None:
    """Refuse what needs PyTorch where that is not installed.

    Parameters
    ----------
    user : what needs it: the name of a method, or an option.
    otherwise : what to do without it, in words that follow "or".

    Raises
    ------
    InputError
        Where PyTorch is not installed, with the command that installs it.
    """
    if not has_torch():
        raise InputError(
            f"{user} needs PyTorch, which is not installed here: {INSTALL}, or {otherwise}.",
            code=Code.PROGRAM_MISSING,
        )
