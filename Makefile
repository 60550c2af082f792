# Two commands do everything: `make demo` and `make test`. Both set up .venv first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MIRROR ?= ../shared/mirror

.PHONY: demo test test-slow test-browser check format setup clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       set up and run studies/demo.yaml to a result table"
	@echo "make test       set up and run the tests"
	@echo "make test-slow  the long tests too; some need a mirror folder (TUNESCOPE_MIRROR)"
	@echo "make test-browser  the report in Chromium (Debian's package chromium, or TUNESCOPE_CHROMIUM)"
	@echo "make check      format, lint, types, layers, tests: what CI runs"

setup: $(STAMP)

# constraints.txt pins what we test with. On Linux without a GPU, pip takes the CPU build of torch from
# wherever PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL point, else PyPI's.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/tunescope run studies/demo.yaml --store demo-store

test: setup
	$(BIN)/python -m pytest -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest

test-browser: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,browser]'
	$(BIN)/python -m pytest tests/browser

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow"

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo-store .pytest_cache .mypy_cache .ruff_cache .hypothesis
