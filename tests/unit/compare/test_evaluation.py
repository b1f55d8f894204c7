"""What is given is found and read; what was measured is written without loss."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from dwiser.compare.evaluation import EvaluationRequest, as_json, as_tsv
from dwiser.compare.lesions import read_lesions
from dwiser.compare.references import tissue_files
from dwiser.errors import Code
from dwiser.evaluation.records import Absent, Metric
from dwiser.evaluation.suite import Evaluation
from dwiser.evaluation.verdict import Reason, Verdict
from dwiser.io import save_volume
from dwiser.simulation import Simulation
from tests.refusals import refused

FOUND = Evaluation(
    (Metric("md.rmse", "all", 1e-4 / 3, "mm²/s"), Metric("fidelity.ssim", "b0", 1.0)),
    (Absent("lesion", "all", "no lesions were given"),),
    Verdict("WARN", (Reason("space", "WARN", "neighbours"),), ("little",)),
    {"mask": "given", "sigma": "estimated"},
)


def test_the_tsv_holds_every_number_to_the_last_bit_and_every_reason() -> None:
    rows = list(csv.DictReader(io.StringIO(as_tsv(FOUND)), delimiter="\t"))
    assert [r["metric"] for r in rows] == ["md.rmse", "fidelity.ssim", "lesion"]
    assert float(rows[0]["value"]) == 1e-4 / 3
    assert rows[0]["unit"] == "mm²/s"
    assert rows[2]["value"] == "n/a"
    assert rows[2]["reason"] == "no lesions were given"


def test_the_json_says_what_was_read_and_found() -> None:
    request = EvaluationRequest(Path("d.nii.gz"), Path("r.nii.gz"), tissues=(Path("t"),))
    record = json.loads(as_json(FOUND, request))
    assert record["Sources"] == {"denoised": ["d.nii.gz"], "raw": ["r.nii.gz"], "tissues": ["t"]}
    assert record["verdict"]["level"] == "WARN"
    assert record["metrics"][0]["value"] == 1e-4 / 3
    assert record["absent"][0]["reason"] == "no lesions were given"


def test_tissues_come_from_folders_and_from_files(tmp_path: Path) -> None:
    for name in ("f_wm.nii.gz", "f_gm.nii", "dwi.nii.gz"):
        (tmp_path / name).touch()
    assert tissue_files([tmp_path]) == {
        "gm": tmp_path / "f_gm.nii",
        "wm": tmp_path / "f_wm.nii.gz",
    }
    assert tissue_files([Path("a/csf.nii.gz")]) == {"csf": Path("a/csf.nii.gz")}
    with refused(Code.ARGUMENT_CONFLICT, "wm.nii.gz: ", "'wm'", "give each once"):
        tissue_files([tmp_path, Path("wm.nii.gz")])
    with refused(Code.FILE_MISSING, tmp_path.parent, "f_<tissue>", "name the files"):
        tissue_files([tmp_path.parent])


def test_lesions_are_labels_and_their_sidecar_tells_their_volumes(
    small: Simulation, tmp_path: Path
) -> None:
    path = tmp_path / "lesions.nii.gz"
    labels = np.zeros(small.mask.shape, np.int16)
    labels[3:5, 4, 2] = 2
    save_volume(labels, path, small.scan)
    lesions = read_lesions(path, small.scan)
    np.testing.assert_array_equal(lesions.labels, labels)
    assert lesions.volumes is lesions.changes is None
    beside = tmp_path / "lesions.json"
    beside.write_text('{"Lesions": [{"label": 2, "volumes": [1, 13]}]}')
    assert read_lesions(path, small.scan).volumes == {2: [1, 13]}
    assert read_lesions(path, small.scan).changes == {}
    beside.write_text('{"Lesions": [{"label": 2, "volumes": [1, 13], "change": [4, -2.5]}]}')
    assert read_lesions(path, small.scan).changes == {2: [4.0, -2.5]}
    short = '{"Lesions": [{"label": 2, "volumes": [1, 13], "change": [4]}]}'
    many = '{"Lesions": [{"label": 2, "volumes": [14]}]}'
    endless = '{"Lesions": [{"label": 2, "volumes": [Infinity]}]}'
    for bad in (short, many, endless, "{}", '{"Lesions": 3}'):
        beside.write_text(bad)
        with refused(Code.SIDECAR_FORMAT, "lesions.json: ", "correct it"):
            read_lesions(path, small.scan)
    beside.write_text("[")
    with refused(Code.SIDECAR_FORMAT, "lesions.json: ", "ends in the middle"):
        read_lesions(path, small.scan)
    save_volume(labels / 4, path, small.scan)
    with refused(Code.TRUTH_VALUES, "lesions.nii.gz: ", "no map of labels"):
        read_lesions(path, small.scan)
    assert read_lesions(None, small.scan).labels is None
