#!/usr/bin/env bash
# nlsam 1.0 (PyPI, Python 3.11, Linux), 2026-11-28.
#
# Its newest release installs beside the newest SciPy that pip picks for it (its own requirement
# is scipy>=1.5), and then neither its command nor its bias correction can be imported:
# nlsam/stabilizer was compiled against a C function, chndtr, that
# scipy.special.cython_special of SciPy 1.17 no longer exports. With SciPy 1.16.3 it works.
#
# Seen:
#   scipy 1.16.3: imported
#   scipy 1.17.1: ImportError: scipy.special.cython_special does not export expected C function chndtr
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
pip="$place/venv/bin/pip --disable-pip-version-check -q"

tried() { # the SciPy of a version, and what comes of the import
    $pip install "nlsam==1.0" "numpy==2.4.6" "scipy==$1"
    echo -n "scipy $1: "
    "$place/venv/bin/python" -c 'import nlsam.stabilizer; print("imported")' 2>&1 | tail -n 1 || true
}

tried 1.16.3 | tee "$place/old"
tried 1.17.1 | tee "$place/new"
grep -q 'imported$' "$place/old"
grep -q 'ImportError: .*chndtr' "$place/new"
echo "as on 2026-11-28"
