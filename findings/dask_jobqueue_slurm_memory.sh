#!/usr/bin/env bash
# dask-jobqueue 0.9.0 (PyPI, with dask 2026.8.0, Python 3.11, Linux), 2026-11-29.
#
# One setting, 'memory' of a SLURMCluster, becomes two limits that differ by up to a factor of two.
# Dask reads GB as 10^9 bytes, and its worker keeps to that. Slurm is asked for whole GiB, rounded up,
# from 1 GiB on, and for whole MiB below. So a tenth more than 1GB doubles what a job reserves, and,
# where memory is what limits a node, halves the jobs on it. Way out: give 'memory' in GiB, and 'job_mem'
# in Slurm's M where it is no whole number of them.
#
# Seen:
#   memory 8GB: Slurm is asked for 8G, the worker may hold 7.45GiB
#   memory 8GiB: Slurm is asked for 8G, the worker may hold 8.00GiB
#   memory 1GB: Slurm is asked for 954M, the worker may hold 0.93GiB
#   memory 1.1GB: Slurm is asked for 2G, the worker may hold 1.02GiB
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    "dask-jobqueue==0.9.0" "dask==2026.8.0" "distributed==2026.8.0"

"$place/venv/bin/python" - <<'PYTHON' | tee "$place/seen"
import re

from dask_jobqueue.slurm import SLURMJob


class Scheduler:
    address = "tcp://127.0.0.1:1"


for memory in ("8GB", "8GiB", "1GB", "1.1GB"):
    script = SLURMJob(Scheduler(), "w", cores=1, processes=1, memory=memory).job_script()
    asked = re.search(r"--mem=(\S+)", script)[1]
    held = re.search(r"--memory-limit (\S+)", script)[1]
    print(f"memory {memory}: Slurm is asked for {asked}, the worker may hold {held}")
PYTHON
diff <(sed -n 's/^#   //p' "$0") "$place/seen"
echo "as on 2026-11-29"
