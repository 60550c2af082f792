# Two commands do everything: `make demo` and `make test`. Both set up .venv first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A file's tests in one process, one thread each: several processes of torch would else fight for the processors.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

.PHONY: demo test test-slow test-browser check chaos format setup clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       set up and run studies/demo.yaml to a result table"
	@echo "make test       set up and run the tests"
	@echo "make test-slow  the long tests too; some need a mirror folder (TUNESCOPE_MIRROR)"
	@echo "make test-browser  the report in Chromium (Debian's package chromium, or TUNESCOPE_CHROMIUM)"
	@echo "make chaos      kill a small real study at random moments: about ten minutes"
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
	$(TESTS) -m "not slow"

test-slow: setup
	$(TESTS)

test-browser: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,browser]'
	$(BIN)/python -m pytest tests/browser

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS) -m "not slow"

chaos: setup
	OMP_NUM_THREADS=1 $(BIN)/python tools/chaos

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo-store chaos-stores .pytest_cache .mypy_cache .ruff_cache .hypothesis
