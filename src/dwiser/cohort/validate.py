"""Is the input a BIDS dataset? The BIDS validator says, where it is installed."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from shutil import which

from dwiser.cohort.pages import DESCRIPTION
from dwiser.errors import Code, InputError
from dwiser.io.json_file import read_object

PROGRAM = "bids-validator-deno"
SHOWN = 3  # errors quoted; the program itself lists all
HOW_ON = "correct it, or go on with --skip-bids-validation"


def program() -> str | None:
    """The validator on the PATH, or beside this Python."""
    return which(PROGRAM) or which(PROGRAM, path=str(Path(sys.executable).parent))


def check_dataset(root: Path) -> str | None:
    """Refuse a folder that is no BIDS dataset.

    Returns
    -------
    str or None
        A remark, where the validator is missing and only the description was checked.

    Raises
    ------
    InputError
        For a dataset without a readable description, or with the validator's errors.
    """
    description_path = root / DESCRIPTION
    fields = read_object(description_path)
    missing = [key for key in ("Name", "BIDSVersion") if not fields.get(key)]
    if missing:
        raise InputError(
            f"{description_path}: it lacks {' and '.join(missing)}: {HOW_ON}.",
            code=Code.BIDS_INVALID,
        )
    validator = program()
    if validator is None:
        return f"{PROGRAM} is not installed: only {DESCRIPTION} was checked."
    errors = _errors(validator, root)
    if errors:
        listed = "; ".join(errors[:SHOWN]) + (
            f"; {len(errors) - SHOWN} more" if errors[SHOWN:] else ""
        )
        raise InputError(
            f"{root}: it is no valid BIDS dataset ({listed}): {HOW_ON}.", code=Code.BIDS_INVALID
        )
    return None


def _errors(validator: str, root: Path) -> list[str]:
    """ "CODE at place" of every error, the first place of each code."""
    command = [validator, str(root), "--format", "json", "--ignoreWarnings"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        issues = json.loads(ran.stdout)["issues"]["issues"]
    except (ValueError, KeyError, TypeError):
        return [] if ran.returncode == 0 else [f"{PROGRAM} ended with {ran.returncode}"]
    return list(_first_of_each(i for i in issues if i.get("severity") == "error"))


def _first_of_each(issues: Iterable[dict]) -> dict[str, None]:
    first: dict[str, str] = {}
    for issue in issues:
        first.setdefault(issue["code"], f"{issue['code']} at {issue.get('location', '?')}")
    return dict.fromkeys(first.values())
