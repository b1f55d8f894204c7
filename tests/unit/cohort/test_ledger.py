"""What is done is read from the outputs: nothing that changed is missed, nothing is done twice."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dwiser.cohort import ledger, worker
from dwiser.cohort.job import HIDDEN, CohortOptions, Job
from dwiser.cohort.preflight import SIDECARS_SHOWN, unreadable_sidecars
from dwiser.cohort.worker import denoise_scan
from dwiser.errors import Code, DwiserWarning
from dwiser.io import carried_over, companion
from dwiser.io.bids import find_scans, inherited_sidecars
from dwiser.io.provenance import OWN_FIELDS
from dwiser.run.denoising import denoise_file
from dwiser.run.request import Request

QUICK = CohortOptions("gaussian", threads=1, device="cpu")


def job_in(home: Path) -> Job:
    root = home / "raw"
    return Job(find_scans(root)[0], root, home / "out", QUICK)


@pytest.fixture(scope="module")
def ready(bids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of one series, and what was made of it."""
    home = tmp_path_factory.mktemp("ready")
    bids(home, "sub-01/ses-a run-1")
    (home / "out").mkdir()
    outcome = denoise_scan(job_in(home))
    assert outcome.status == "done", outcome
    return home


@pytest.fixture
def done(ready: Path, tmp_path: Path) -> Job:
    return job_in(Path(shutil.copytree(ready, tmp_path / "home")))


@pytest.fixture
def job(ready: Path, tmp_path: Path) -> Job:
    home = tmp_path / "home"
    shutil.copytree(ready / "raw", home / "raw")
    (home / "out").mkdir()
    return job_in(home)


def test_a_scan_that_is_done_is_skipped_and_not_a_byte_is_written(done: Job) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.out.rglob("*") if "locks" not in p.parts}
    assert ledger.state(done) == ledger.State(True)
    assert denoise_scan(done).status == "up to date"
    after = {p: p.stat().st_mtime_ns for p in done.out.rglob("*") if "locks" not in p.parts}
    assert before == after


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": 1}, "Seed was 0, is 1"),
        ({"settings": {"fwhm": "3"}}, "fwhm was 2.5, is 3.0"),
        ({"method": "identity"}, "Method was gaussian, is identity"),
        ({"b0_threshold": 60.0}, "B0Threshold was 50.0, is 60.0"),
        ({"save_residual": True}, "incomplete"),
        ({"save_standardised": True}, "incomplete"),
        ({"save_variance": True}, "incomplete"),
        ({"report": True}, "incomplete"),
    ],
)
def test_other_settings_make_it_to_do(done: Job, change: dict, why: str) -> None:
    assert ledger.state(replace(done, options=replace(QUICK, **change))) == ledger.State(False, why)


def test_where_and_how_fast_it_is_computed_does_not(done: Job) -> None:
    assert ledger.state(replace(done, options=replace(QUICK, threads=2, device="auto"))).done


def test_another_version_makes_it_to_do(done: Job) -> None:
    record = json.loads(done.sidecar.read_text())
    record["GeneratedBy"][0]["Version"] = "0.0.1"
    done.sidecar.write_text(json.dumps(record))
    assert ledger.state(done).why.startswith("Version was 0.0.1")


def test_another_input_makes_it_to_do_and_a_mere_touch_does_not(done: Job) -> None:
    bval = done.scan.bval
    assert bval is not None
    os.utime(bval, ns=(1, 1))
    assert ledger.state(done) == ledger.State(False, "bval may have changed")
    assert ledger.state(done, exact=True).done
    assert denoise_scan(done).status == "up to date"
    bval.write_text(bval.read_text().replace("1000", "1001"))
    assert ledger.state(done, exact=True) == ledger.State(False, "bval changed")
    assert denoise_scan(done).status == "done"
    assert ledger.state(done).done


@pytest.mark.parametrize("kind", ["denoised", "sigma", "mask", "figure", "sidecar"])
def test_a_file_that_is_missing_makes_it_to_do(done: Job, kind: str) -> None:
    others = {"figure": done.figure, "sidecar": done.sidecar}
    (done.images | others)[kind].unlink()
    assert not ledger.state(done).done


def test_a_damaged_sidecar_makes_it_to_do(done: Job) -> None:
    done.sidecar.write_text('{"Method": "gau')
    assert not ledger.state(done).done


def test_a_scan_that_another_process_has_locked_is_freed_by_its_death(job: Job) -> None:
    words = (
        "import sys, time; from pathlib import Path; from dwiser.cohort import ledger\n"
        "with ledger.locked(Path(sys.argv[1]), sys.argv[2]):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", words, str(job.out), job.name]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    outcome = denoise_scan(job)
    assert outcome.status == "locked"
    assert outcome.code is Code.SCAN_LOCKED
    assert f"process {other.pid}" in outcome.reason
    assert not job.image.exists()
    other.kill()
    other.wait()
    assert denoise_scan(job).status == "done"


def test_files_of_a_killed_worker_are_removed_and_the_old_output_stays_until_the_new_is_complete(
    done: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = ledger.staging_folder(done)
    staging.mkdir(parents=True)
    (staging / "half.nii.gz").write_bytes(b"half")
    before = done.image.read_bytes()
    again = replace(done, options=replace(QUICK, seed=1))
    leftovers = []

    def full(*_: object, **__: object) -> None:
        leftovers.append(list(staging.glob("half*")))
        raise OSError(28, "No space left on device", "somewhere")

    with monkeypatch.context() as patched:
        patched.setattr(worker, "denoise_file", full)
        outcome = denoise_scan(again)
    assert leftovers == [[]]
    assert outcome.status == "failed"
    assert "somewhere: it could not be read or written (No space left on device)" in outcome.reason
    assert done.image.read_bytes() == before
    assert not staging.exists()
    assert ledger.state(done).done


def test_a_death_while_files_are_published_leaves_no_image_beside_other_sidecars(
    done: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the first rename of the new set: the old image is gone, so it is to do."""
    again, count = replace(done, options=replace(QUICK, seed=1)), []
    rename = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if HIDDEN not in target.parts:
            count.append(target)
        if len(count) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            denoise_scan(again)
    assert not done.image.exists()
    assert not ledger.state(again).done
    assert denoise_scan(again).status == "done"


def test_a_link_to_nothing_is_said_in_a_sentence(job: Job) -> None:
    job.scan.dwi.unlink()
    job.scan.dwi.symlink_to("../.git/annex/objects/away")
    outcome = denoise_scan(job)
    assert outcome.status == "failed"
    assert outcome.code is Code.FILE_NOT_FETCHED
    assert outcome.reason.startswith(f"{job.scan.dwi}: ")
    assert f"datalad -C {job.scan.dwi.parent} get {job.scan.dwi.name}" in outcome.reason


def test_every_field_of_a_record_is_one_of_dwisers_own(done: Job, tmp_path: Path) -> None:
    """The list of names that no other program's field may have is complete."""
    written = set(json.loads(done.sidecar.read_text()))
    dwi, out = done.scan.dwi, tmp_path / "out.nii.gz"
    request = Request(
        dwi, out, bval=done.scan.bval, bvec=done.scan.bvec, method="gaussian", threads=1,
        noise_map=done.images["sigma"], memory="4G",
    )  # fmt: skip
    with pytest.warns(DwiserWarning, match="the map that was given measures"):
        denoise_file(request)
    written |= set(json.loads(out.with_name("out.json").read_text()))
    measured = {name for name in written if name[0].islower()}  # by a method
    # SkullStripped is what BIDS asks for of the image: the input's own stands
    carried = set(carried_over(dwi, inherited_sidecars(done.root, done.scan)))
    assert written - measured - carried - OWN_FIELDS == {"SkullStripped"}
    assert {"NoiseMap", "MemoryLimitMiB", "InputFiles", "Verdict", "SNR"} <= written


def test_a_scan_whose_raw_sidecars_have_such_fields_is_done_all_the_same(job: Job) -> None:
    fields = dict.fromkeys(OWN_FIELDS, "raw") | {"SkullStripped": True, "EchoTime": 0.09}
    companion(job.scan.dwi, ".json").write_text(json.dumps(fields))
    (job.root / "dwi.json").write_text(json.dumps({"Method": "inherited", "EchoTime": 1}))
    assert denoise_scan(job).status == "done"
    assert ledger.state(job) == ledger.State(True)
    record = json.loads(job.sidecar.read_text())
    assert (record["EchoTime"], record["SkullStripped"]) == (0.09, True)
    assert record["EarlierRecords"][0]["Method"] == "raw"


def test_sidecars_that_cannot_be_read_are_named_once_and_many_are_counted(job: Job) -> None:
    (job.root / "dwi.json").write_bytes(b'{"A": "\xf4"}')
    companion(job.scan.dwi, ".json").write_text("[")
    first, second = unreadable_sidecars([job, job])
    assert first.startswith(f"{job.root / 'dwi.json'}: line 1 is not UTF-8")
    assert second.startswith(f"{companion(job.scan.dwi, '.json')}: ")
    (job.root / "dwi.json").unlink()
    jobs = []
    for number in range(SIDECARS_SHOWN + 3):
        dwi = job.scan.dwi.with_name(f"sub-01_ses-a_run-{number}_dwi.nii.gz")
        companion(dwi, ".json").write_text("[")
        jobs.append(replace(job, scan=replace(job.scan, dwi=dwi, name=f"sub-01_run-{number}")))
    *named, counted = unreadable_sidecars(jobs)
    assert len(named) == SIDECARS_SHOWN
    assert counted.startswith("3 more JSON files")


def test_what_would_outgrow_its_worker_is_refused_from_the_header(job: Job) -> None:
    outcome = denoise_scan(job, limit=2**28)
    assert outcome.status == "failed"
    assert outcome.code is Code.MEMORY_LIMIT
    assert "gaussian needs about 0.4 GiB for it, a worker may use 0.2" in outcome.reason
    again = denoise_scan(job, limit=2**30)
    assert (again.status, again.code) == ("done", None)


def test_an_input_that_changes_while_it_is_read_is_no_result(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(9))
    monkeypatch.setattr(ledger, "fingerprints", lambda _: {"dwi": next(times)})
    outcome = denoise_scan(job)
    assert (outcome.status, outcome.code) == ("failed", Code.FILE_CHANGED)
    assert outcome.reason == f"{job.scan.dwi}: it changed while it was read: run it again."
    assert not job.image.exists()


def test_no_room_is_said_before_the_work(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr(worker.shutil, "disk_usage", lambda path: Usage)
    begun = time.perf_counter()
    outcome = denoise_scan(job)
    assert outcome.code is Code.DISK_SPACE
    assert "make room" in outcome.reason
    assert time.perf_counter() - begun < 1


def test_a_work_folder_elsewhere_is_used_and_emptied(job: Job, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert denoise_scan(replace(job, work=work)).status == "done"
    assert list(work.iterdir()) == []
