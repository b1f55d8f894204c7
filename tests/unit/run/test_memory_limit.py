"""A peak of memory is that of the whole process tree, also of children that are gone."""

import gc
import subprocess
import sys
import time
from threading import enumerate as threads

import numpy as np
import pytest

from dwiser import memmap
from dwiser.machine import give_memory_back
from dwiser.memmap import allocate_mapped
from dwiser.run import memory_limit
from dwiser.run.denoising import denoise
from dwiser.run.memory_limit import EVERY, high_water_mib, peak_memory, tree_memory

HELD = 200  # MiB that a child holds: more than what an interpreter needs
HOLD = "held = b'x' * ({held} << 20); "
WAIT = "print(flush=True); input()"  # until whoever started it says so
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def started(code: str) -> subprocess.Popen[bytes]:
    """A child that has run ``code`` and waits."""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


@linux
def test_children_that_run_together_are_added_up():
    before = tree_memory().resident
    with peak_memory() as peak:
        both = [started(HOLD.format(held=HELD) + WAIT) for _ in range(2)]
        time.sleep(2 * EVERY)
        for one in both:
            one.communicate(b"\n")
    assert peak.mib > before + 2 * HELD
    assert tree_memory().resident < before + HELD  # they are gone; the peak is not


def wait_until_below(mib: float) -> None:
    for _ in range(200):
        if tree_memory().resident < mib:
            return
        time.sleep(0.05)
    pytest.fail("the pages were kept")


@linux
def test_pages_of_a_mapped_file_are_resident_but_not_anonymous_and_are_let_go(monkeypatch):
    monkeypatch.setattr(memmap, "MOST_PAGES", 2**40)
    before = tree_memory()
    room = allocate_mapped((300 << 18,))  # 300 MiB
    room[:] = 1
    now = tree_memory()
    assert now.resident > before.resident + 290
    assert now.anonymous < before.anonymous + 50
    monkeypatch.setattr(memmap, "MOST_PAGES", 0)
    monkeypatch.setattr(memmap, "MOST_RESIDENT", 0)
    wait_until_below(before.resident + 50)
    assert room[0] == room[-1] == 1
    assert room.sum() == room.size
    del room
    wait_until_below(before.resident + 50)  # or the next test would count what goes now


@linux
def test_a_grandchild_counts_and_a_stranger_does_not():
    code = HOLD.format(held=HELD) + WAIT
    gc.collect()
    give_memory_back()  # what an earlier test freed would go meanwhile
    before = tree_memory().resident
    parent = started(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])")
    assert tree_memory().resident > before + HELD
    parent.kill()
    parent.wait()
    assert (
        tree_memory().resident < before + HELD
    )  # it may live on for a moment, but is nobody of ours


def test_a_short_peak_of_the_process_itself_is_kept():
    with peak_memory() as peak:
        held = np.ones(300 << 17)  # 300 MiB
        del held
    assert peak.mib >= high_water_mib() - 1
    assert peak.mib > 300


@linux
def test_a_process_does_not_begin_with_the_peak_of_the_one_that_started_it():
    held = np.ones(300 << 17)  # 300 MiB
    code = "from dwiser.run.memory_limit import high_water_mib; print(high_water_mib())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert held.nbytes / 2**20 < high_water_mib()
    assert float(printed) < high_water_mib() - 100


def test_without_proc_the_largest_finished_child_is_added(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_limit, "PROC", tmp_path)
    subprocess.run([sys.executable, "-c", HOLD.format(held=HELD)], check=True)
    with peak_memory() as peak:
        pass
    assert peak.mib > high_water_mib() + HELD


def test_an_error_in_the_work_comes_through_and_the_watcher_ends():
    with pytest.raises(ValueError, match="mine"), peak_memory():
        raise ValueError("mine")
    assert "memory" not in [thread.name for thread in threads()]


@linux
def test_a_program_that_a_method_calls_is_in_its_record(small, monkeypatch, tmp_path):
    fake = tmp_path / "dwidenoise"
    hold = HOLD.format(held=400) + "import time; time.sleep(1)"
    copy_the_mask = "for a; do case $last in -noise) cp $mask $a;; -mask) mask=$a;; esac; last=$a"
    fake.write_text(f'#!/bin/sh\n{sys.executable} -c "{hold}"\ncp $1 $2\n{copy_the_mask}; done\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    before = tree_memory().resident
    record = denoise(small.scan, "dwidenoise", threads=1).record
    assert record["PeakMemoryMiB"] > before + 400
