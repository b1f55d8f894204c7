"""Memory of threads that ended goes back to the system."""

import subprocess
import sys

import pytest

ENDED_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from dwiser.machine import give_memory_back, one_heap
from dwiser.run.memory_limit import tree_memory
one_heap()
bytearray(30 * 2**20)  # glibc then takes what is smaller from heaps
def work(_):
    kept = [bytearray(b"x" * 2**20) for _ in range(60)]
before = tree_memory().resident
for _ in range(2):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(4)))
give_memory_back()
print(tree_memory().resident - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_what_threads_freed_goes_back() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ENDED_THREADS], capture_output=True, text=True, check=True
    )
    assert float(ran.stdout) < 30  # MiB; about 125 with a heap for each thread
