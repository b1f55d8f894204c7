#!/usr/bin/env bash
# DIPY 1.12.1, dipy.core.gradients, 2026-11-29.
#
# To import the gradient table is to import pytest, where it is installed, and h5py and trx-python:
# a framework for tests and two libraries for files of streamlines. A command line that reads
# b-values with DIPY waits for them at each start.
#
# `from dipy.core.gradients import gradient_table` alone, in a fresh process. Seen:
#   pytest imported: True   h5py imported: True   trx imported: True
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
  "dipy==1.12.1" "numpy==2.4.6" "scipy==1.17.1" "pytest==9.0.2"
"$place/venv/bin/python" -W ignore - <<'PY'
import sys

from dipy.core.gradients import gradient_table  # noqa: F401

seen = {name: name in sys.modules for name in ("pytest", "h5py", "trx")}
print("   ".join(f"{name} imported: {there}" for name, there in seen.items()))
sys.exit(0 if all(seen.values()) else 1)
PY
