"""Every error has a code: documented, raised somewhere, kept from one process to another."""

import ast
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import dwiser
from dwiser.cli import main
from dwiser.cohort.ledger import ScanLocked
from dwiser.errors import Code, DwiserError, InputError, unknown
from dwiser.evaluation.records import CannotMeasure
from dwiser.io import about, load

HOME = Path(__file__).parents[2]
SOURCE = Path(dwiser.__file__).parent
TAKES_CODE = {"DwiserError", "InputError", "unknown"}
OWN_CODE = {"CannotMeasure": Code.MEASURE_IMPOSSIBLE, "ScanLocked": Code.SCAN_LOCKED}
EXAMPLES = [
    DwiserError("a: it could not be written: make room.", code=Code.OUTPUT_NOT_WRITTEN),
    InputError("a: there is no such file: check the name.", code=Code.FILE_MISSING),
    unknown("method", "spiltq", ["splitq"], code=Code.METHOD_UNKNOWN),
    CannotMeasure("the truth is zero"),
    ScanLocked("sub-01: another process is at work on it."),
]


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a plain name in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node


def error_classes() -> set[str]:
    classes = {"DwiserError"}
    nodes = [
        node for path in SOURCE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
    ]
    while True:
        below = {
            node.name for node in nodes if isinstance(node, ast.ClassDef)
            and {base.id for base in node.bases if isinstance(base, ast.Name)} & classes
        }  # fmt: skip
        if below <= classes:
            return classes
        classes |= below


def test_every_error_that_is_raised_names_its_code() -> None:
    assert error_classes() <= TAKES_CODE | set(OWN_CODE)
    for path in [*SOURCE.rglob("*.py"), *(HOME / "reproduce").rglob("*.py")]:
        for name, call in calls(path):
            if name in TAKES_CODE:
                codes = [word.value for word in call.keywords if word.arg == "code"]
                assert len(codes) == 1, f"{path}:{call.lineno}"


def test_every_code_is_raised_somewhere() -> None:
    # in the commands and what they call, not only where codes are defined
    texts = [path.read_text() for path in SOURCE.rglob("*.py") if path != SOURCE / "errors.py"]
    named = {name for text in texts for name in re.findall(r"\bCode\.([A-Z]\w*)", text)}
    assert named == {code.name for code in Code}


def test_every_code_is_asked_for_by_a_test() -> None:
    others = [path for path in (HOME / "tests").rglob("test_*.py") if path != Path(__file__)]
    asked = {n for p in others for n in re.findall(r"\bCode\.([A-Z]\w*)", p.read_text())}
    # one is asked for through its class, the other through a process of its own
    assert {code.name for code in Code} - asked == {"MEASURE_IMPOSSIBLE", "VERDICT_FAIL"}


@pytest.mark.parametrize("code", Code)
def test_a_code_says_what_is_wrong_and_what_to_do(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code)
    assert code.name == code.replace(".", "_").upper()
    what, todo = code.sentence.split(": ")
    assert re.match("[A-Z]", what)
    assert re.match("[a-z]", todo)
    assert not code.sentence.endswith(".")
    row = f"| `{code}` | {what}. | {todo[0].upper()}{todo[1:]}. |"
    assert row in (HOME / "docs" / "reference" / "errors.md").read_text()


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_an_error_is_the_same_in_another_process(error: DwiserError) -> None:
    error.add_note("seen by a worker")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is type(error)
        assert (str(again), again.code) == (str(error), error.code)
        assert again.code is error.code
        assert again.__notes__ == error.__notes__
    assert str(error) == error.args[0]


def raise_example(number: int) -> None:
    raise EXAMPLES[number]


def test_what_a_worker_of_a_pool_raises_keeps_its_code() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        for number, error in enumerate(EXAMPLES):
            with pytest.raises(type(error), match=re.escape(str(error))) as caught:
                pool.submit(raise_example, number).result()
            assert caught.value.code is error.code


def test_errors_of_one_kind_have_one_code() -> None:
    for name, error in (("CannotMeasure", EXAMPLES[3]), ("ScanLocked", EXAMPLES[4])):
        assert type(error).__name__ == name
        assert error.code is OWN_CODE[name]


def test_the_file_s_name_in_front_leaves_the_code() -> None:
    with pytest.raises(InputError) as caught, about("dwi.bval"):
        raise InputError("It is empty: give numbers.", code=Code.GRADIENTS_FORMAT)
    assert str(caught.value) == "dwi.bval: it is empty: give numbers."
    assert caught.value.code is Code.GRADIENTS_FORMAT


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FileNotFoundError(2, "No such file"), Code.FILE_MISSING),
        (IsADirectoryError(21, "Is a directory"), Code.FILE_KIND),
        (PermissionError(13, "Permission denied"), Code.FILE_PERMISSION),
        (OSError(5, "Input/output error"), Code.FILE_UNREADABLE),
    ],
)
def test_the_system_s_errors_have_codes(fault: OSError, code: Code) -> None:
    with (
        pytest.raises(InputError, match=r"^dwi\.nii: .*: (check|give)") as caught,
        about("dwi.nii"),
    ):
        raise fault
    assert caught.value.code is code


def test_a_code_is_its_string() -> None:
    with pytest.raises(InputError) as caught:
        load("nothing.nii.gz")
    assert caught.value.code == "file.missing"
    assert Code("file.missing") is caught.value.code


def test_debug_prints_the_code_and_the_sentence_stays_the_last_line(capsys) -> None:
    words = ["denoise", "nothing.nii.gz", "out.nii.gz"]
    assert main(words) == 2
    plain = capsys.readouterr().err
    assert "file.missing" not in plain
    *_, sentence = plain.splitlines()  # after "starting", on a busy machine
    assert main([*words, "--debug"]) == 2
    full = capsys.readouterr().err
    assert full.endswith(f"dwiser: error code file.missing\n{sentence}\n")
