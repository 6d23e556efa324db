# `make` says what there is. Needed: python3 >= 3.11, make, PyPI. All that is installed stays in .tools/ and .venv/.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV_HOME := .tools/uv-$(UV_VERSION)
UV := $(UV_HOME)/bin/uv
BIN := .venv/bin
INSTALLED := .venv/installed

.DELETE_ON_ERROR:
.PHONY: help demo test check format-check lint types imports structure shape docstrings prose lock clean

help: ## say what there is (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## simulate a survey, run the pipeline on it, compare injected with recovered
	$(BIN)/trap demo demo

test: $(INSTALLED) ## run the tests, two files at a time; ARGS='-k wcs' is passed on to pytest
	env -u PREFECT_API_URL OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --no-loadscope-reorder $(ARGS)

check: format-check lint types imports structure shape docstrings prose ## run every check but the tests; with -k, past the first that fails

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

lock: $(UV) ## resolve requirements.lock anew, from pyproject.toml (UPGRADE=--upgrade for the newest of all)
	$(UV) pip compile --quiet --universal --python-version 3.11 --group dev --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE) \
	    --output-file requirements.lock pyproject.toml

clean: ## remove all that make made: the environment, the demo, the caches
	rm -rf .venv .tools .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache demo dist
	find trap flows tests checks -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock is installed exactly (what it does not name is removed), then the project itself as a link to this tree:
# a new module is there at once, a new dependency or entry point runs this rule again. Packages are compiled on the way:
# where PYTHONDONTWRITEBYTECODE is set, every process would do it again, which takes twice as long as all it imports.
$(INSTALLED): $(UV) requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# A Debian python3 may come without ensurepip, and so without venv; pip alone does as well.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "python3 >= 3.11 is needed, and $(PYTHON) is not: try make PYTHON=/path/to/python3" >&2; exit 1; }
	@rm -rf .tools && mkdir .tools
	@{ $(PYTHON) -m venv $(UV_HOME) >/dev/null 2>&1 && $(UV_HOME)/bin/python -m pip install --quiet uv==$(UV_VERSION); } || \
	    { rm -rf $(UV_HOME); $(PYTHON) -m pip install --quiet --target $(UV_HOME) uv==$(UV_VERSION); } || \
	    { echo "uv could not be installed from PyPI: is the network up, and has $(PYTHON) the venv or the pip module?" >&2; exit 1; }
