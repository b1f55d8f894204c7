"""``--noise-only`` writes the σ map alone: what would be left unwritten is refused."""

from pathlib import Path

import pytest

from dwiser.errors import Code
from dwiser.run import Request, noise_file
from tests.refusals import refused


@pytest.mark.parametrize("option", ["report", "save_residual", "save_noise"])
def test_what_would_not_be_written_is_refused(option) -> None:
    request = Request(Path("dwi.nii.gz"), Path("sigma.nii.gz"), **{option: Path("more")})
    named = "--" + option.replace("_", "-")
    with refused(Code.ARGUMENT_CONFLICT, "--noise-only", f"drop {named}"):
        noise_file(request)
