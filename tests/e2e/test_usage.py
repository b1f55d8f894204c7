"""Words that the parser refuses: one sentence that says what is wrong and what to do."""

import pytest

from tests.refusals import assert_says, command_refused

REFUSED = {
    "evaluate": ("evaluate needs DENOISED (the denoised series): give it",),
    "evaluate x.nii": ("evaluate needs --raw (the series that was denoised): give it", "--help"),
    "apply": ("apply needs WEIGHTS (what 'dwiser denoise --save-weights' wrote",),
    "info": ("info needs DWI (the series, a 4-D image): give it",),
    "compare a.nii out": ("compare needs --methods (comma-separated",),
    "simulate": ("simulate needs OUTDIR (the folder for the scan and its truth): give it",),
    "noise-map": ("noise-map needs SIGMA (a σ map, as",),
    "bids raw out": ("bids needs ANALYSIS_LEVEL (what to analyse: participant): give it",),
    "bids raw out group": ("takes participant, not 'group': correct it",),
    "cohort raw": ("cohort needs OUT (the folder for the denoised dataset): give it",),
    "denoise a b --seed": ("--seed has no value: give one after it", "dwiser denoise --help"),
    "denoise a b --seed x": ("--seed takes a whole number, not 'x': correct it",),
    "denoise a b --seed 1 --seed 2": ("--seed is given twice: give it once",),
    "denoise a b --bvalue-scaling maybe": ("takes auto, yes or no, not 'maybe': correct it",),
    "denoise a b --maks m": ("--maks", "Did you mean --mask?"),
    "methods x y": ("'y' is more than methods takes: leave it out", "quotes"),
    "methods x --jsn": ("Unknown option --jsn: see `dwiser methods --help`",),
    "denois a b": ("Unknown command 'denois': did you mean 'denoise'?",),
    "nonsense": ("Unknown command 'nonsense': choose from denoise, apply, ", "cohort, demo."),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_wrong_and_what_to_do_are_said(words: str, capsys) -> None:
    assert_says(command_refused(capsys, None, *words.split()), *REFUSED[words])
