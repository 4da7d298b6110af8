# Each target does all its own set-up; run any of them first on a fresh machine.
# Nothing is written outside this folder but, as root, Debian packages that are missing.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export WAAS_CACHE ?= $(CURDIR)/.cache
# xdist workers: the machines that this runs on are small
WORKERS ?= 2

.PHONY: demo test check format benchmarks docs clean setup

demo: $(VENV)/installed setup  ## the whole story, on throw-away clusters
	$(BIN)/waas demo

test: $(VENV)/installed setup  ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests $(ARGS)

check: $(VENV)/installed  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_layers.py

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/installed
	$(BIN)/python -m pytest -q -s tests/benchmarks/bench_*.py

docs: $(VENV)/installed  ## the pages of the rules
	$(BIN)/python tests/ci/rules/rule_pages.py

setup: $(VENV)/installed
	$(BIN)/python -m hooks.testbed.setup

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed (PYTHON=/path/to/python3 make …)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { if [ "$$(id -u)" = 0 ]; then apt-get -qq update && apt-get -qq install -y python3-venv; \
	    elif sudo -n true 2>/dev/null; then sudo apt-get -qq update && sudo apt-get -qq install -y python3-venv; \
	    else echo "python3-venv is missing: sudo apt-get install python3-venv"; exit 1; fi; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:  ## forget everything that was set up here
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache
