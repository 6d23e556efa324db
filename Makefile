# `make` lists the targets. Requirements: python3 >= 3.11, make and PyPI. Everything is installed into .tools/ and .venv/.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV_HOME := .tools/uv-$(UV_VERSION)
UV := $(UV_HOME)/bin/uv
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
KERNELS := $(VENV)/kernels
PYTHONS := 3.12 3.13
LOWEST := .cache/lowest
EXTRAS := casa dask pandas parquet

# Python keeps each module that it compiles: under this variable every process compiles all again, half of its start.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: help demo test test-pythons test-lowest docs dist release check format-check lint types imports structure shape docstrings \
    prose lock clean

help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## simulate a survey, run the pipeline on it, compare injected and recovered sources
	$(BIN)/transients demo demo

test: $(KERNELS) ## run the tests, three files at a time; ARGS='-k wcs' is passed to pytest
	env -u PREFECT_API_URL OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --no-loadscope-reorder $(ARGS)

test-pythons: ## run the tests under the other versions of Python too: python3.12 and python3.13 must be on the path
	for version in $(PYTHONS); do $(MAKE) test PYTHON=python$$version VENV=.venv-$$version ARGS='$(ARGS)' || exit 1; done

# Only the dependencies of the program are old; pytest and its kin are those of today. Old versions without a wheel do not
# count, since users would have to compile them. hats, and lsdb that reads its files, need newer versions of all others.
# Old libraries use parts of today's that are about to go, and warn of it.
test-lowest: $(UV) ## run the tests with the oldest dependencies that pyproject.toml allows
	@mkdir -p .cache
	$(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(LOWEST)
	$(UV) pip compile --quiet --resolution lowest-direct --only-binary :all: --python $(LOWEST)/bin/python $(EXTRAS:%=--extra %) \
	    --no-header --annotation-style line --output-file $(LOWEST)/all.txt pyproject.toml
	grep -F 'trap-transients (pyproject.toml)' $(LOWEST)/all.txt >$(LOWEST)/direct.txt
	$(UV) pip install --quiet --only-binary :all: --python $(LOWEST)/bin/python --requirement $(LOWEST)/direct.txt --group tests
	$(UV) pip install --quiet --python $(LOWEST)/bin/python --no-deps --no-build-isolation --editable .
	env -u PREFECT_API_URL OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=$(CURDIR)/$(LOWEST)/kernels \
	    $(LOWEST)/bin/pytest --numprocesses 2 --no-loadscope-reorder \
	    -W ignore::DeprecationWarning -k 'not hats and not lsdb and not packaging' $(ARGS)

check: format-check lint types imports structure shape docstrings prose ## run all checks except the tests; with -k, continue after a failed check

format-check: $(INSTALLED)
	$(BIN)/ruff format --check

lint: $(INSTALLED)
	$(BIN)/ruff check

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

structure: $(INSTALLED)
	$(BIN)/python checks/structure.py trap flows

shape: $(INSTALLED)
	$(BIN)/python checks/shape.py trap flows

docstrings: $(INSTALLED)
	$(BIN)/python checks/docstrings.py trap flows checks

prose: $(INSTALLED)
	$(BIN)/python checks/prose.py trap flows checks

docs: $(INSTALLED) ## build the documentation into docs/_build/html; needs no network, and fails on a broken link
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html

dist: $(INSTALLED) ## build and check the source distribution, and the wheel from it, in dist/
	@rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist

# The source distribution holds every file of the folder that git does not ignore.
release: ## build and check both packages, and run every command of the wheel in environments of its own
	@test -z "$$(git status --porcelain)" || { echo "commit or remove these files first:" >&2; git status --short >&2; exit 1; }
	$(MAKE) dist
	env -u PREFECT_API_URL TRAP_TEST_DIST=$(CURDIR)/dist $(BIN)/pytest tests/packaging

lock: $(UV) ## write both requirements.lock from pyproject.toml (UPGRADE=--upgrade for the newest versions)
	$(UV) pip compile --quiet --universal --python-version 3.11 --group dev --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE) \
	    --output-file requirements.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --group containers --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --constraint requirements.lock \
	    --output-file deployments/requirements.lock pyproject.toml

clean: ## remove all files that make created: the environment, the demo, the caches
	rm -rf .venv .venv-* .tools .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache demo dist docs/_build
	find trap flows tests checks -name __pycache__ -type d -prune -exec rm -rf {} +

# Exactly the packages of the lock are installed; others are removed. The project itself is installed as a link to this
# tree: a new module can be imported at once, and a new dependency or entry point runs this rule again. Packages are not
# compiled here: three quarters of their modules are never imported.
$(INSTALLED): $(UV) requirements.lock pyproject.toml
	@test -x $(BIN)/pip || $(UV) venv --quiet --seed --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# A small run compiles the kernels, so that no later one waits. The demo compiles them itself while its server starts.
$(KERNELS): $(INSTALLED)
	$(BIN)/transients demo --no-prefect --timesteps 3 --bands 1 --size 128 .cache/kernels >/dev/null
	@touch $@

# Debian's python3 may lack ensurepip, and so venv; then pip alone installs uv.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "python3 >= 3.11 is required, but $(PYTHON) is older or missing: try make PYTHON=/path/to/python3" >&2; exit 1; }
	@rm -rf .tools && mkdir .tools
	@{ $(PYTHON) -m venv $(UV_HOME) >/dev/null 2>&1 && $(UV_HOME)/bin/python -m pip install --quiet uv==$(UV_VERSION); } || \
	    { rm -rf $(UV_HOME); $(PYTHON) -m pip install --quiet --target $(UV_HOME) uv==$(UV_VERSION); } || \
	    { echo "uv could not be installed from PyPI: check the network, and that $(PYTHON) has the module venv or pip" >&2; exit 1; }
