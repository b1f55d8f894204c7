# Two commands on a fresh machine: `make demo` and `make test`. Each sets itself up in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check

.PHONY: demo docs hooks wheel test fast-tests test-slow lint bench bench-setup bench-against gpu-check reproduce reproduce-here gpu-curve pages clean

.venv/installed: pyproject.toml setup.py constraints.txt $(wildcard src/dwiser/compiled/*.[ch])
	$(PYTHON) -m venv .venv
	$(PIP) install -q -c constraints.txt -e ".[test]"
	touch $@

# What a contributor needs beyond the tests: the documentation site, pre-commit, wheels.
.venv/dev: .venv/installed
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv/installed
	$(BIN)/dwiser demo demo

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# git then runs the linters before each commit.
hooks: .venv/dev
	$(BIN)/pre-commit install

# Two workers of one thread each: thread pools of several workers would fight for the cores.
test: .venv/installed
	$(MAKE) --no-print-directory -j 2 lint fast-tests

fast-tests: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

test-slow: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow

# The peers that dwiser does not bring. MRtrix3 is one of Debian's packages; patch-denoise needs a
# Python of 3.12 or later and is left out without one. dwidenoise2 is built from its sources; nlsam
# wants an older SciPy than the tests run on (pip install nlsam 'scipy<1.17'), and many minutes.
PYTHON312 ?= python3.12
PEERS := .venv/peers
bench-setup: .venv/installed
	command -v dwidenoise || apt-get install -y mrtrix3
	if $(PYTHON312) -c '' 2>/dev/null; then \
	  $(PYTHON312) -m venv $(PEERS) && $(PEERS)/bin/pip install -q 'patch-denoise==2.3.0'; \
	else echo "No Python 3.12: patch-denoise is left out (make bench-setup PYTHON312=...)"; fi

bench: export PATH := $(PATH):$(CURDIR)/$(PEERS)/bin
bench: .venv/installed
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.peers --case nc-chi --snr 20
	$(BIN)/python -m benchmarks.peers --case small --snr 20

# This build against that of another commit and dwidenoise, on one scan: `WORDS="--real NAME"`, ….
REV ?= cfb6393
WORDS ?=
bench-against: .venv/installed
	$(BIN)/python -m benchmarks.against $(REV) $(WORDS)

# The speed of training and sampling on one GPU, within eight minutes of it.
gpu-check: .venv/installed
	$(BIN)/python -m benchmarks.gpu_check

# The page of the poster's results, from the records in docs/results; the records anew: one by one
# by `python -m reproduce.NAME here`, or all of them.
reproduce: .venv/installed
	$(BIN)/python -m reproduce.page
	$(BIN)/python -m reproduce.curve_page

# Every generated page and picture of docs/ anew, from the code and the recorded results.
pages: .venv/installed
	for name in reference pipelines real_inputs measured choose_page series_page contrasts_pages \
	  budgets_figure; do \
	  $(BIN)/python -m scripts.$$name || exit 1; done
	$(MAKE) reproduce

RESULTS := table1 table2 figure2 figure4 figure5 figure6 figure7 snr_cnr limitations
reproduce-here: .venv/installed
	for name in $(RESULTS); do $(BIN)/python -m reproduce.$$name here || exit 1; done
	$(MAKE) reproduce

# One arm of the learning curve with the paper's network on a GPU, 8 minutes at most; called again,
# it goes on. In this order: adjacent phantom, adjacent oil_phantom, directions phantom, adjacent
# sherbrooke_1p8mm (DWISER_DATA names the folder of the real scans); `references DATA` on any machine.
ARM ?= adjacent
DATA ?= phantom
PASSES ?= 281
gpu-curve: .venv/installed
	$(BIN)/python -m reproduce.learning_curve $(ARM) $(DATA) --size paper --passes $(PASSES) \
	  --device cuda --minutes 8

# The documentation as a site, in site/: any warning is an error.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# dist/*.whl and dist/*.tar.gz, checked.
wheel: .venv/dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

clean:
	rm -rf .venv demo build dist site
