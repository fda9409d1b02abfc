# `make serve` and `make test` on a fresh clone set up .venv and do what they say.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: serve test fuzz check lint format openapi bench clean

serve: $(READY)
	$(BIN)/rmbg-service serve

test: $(READY_DEV)
	$(BIN)/pytest

fuzz: $(READY_DEV)
	$(BIN)/pytest tests/fuzz --hypothesis-profile=fuzz

check: lint test

lint: $(READY_DEV)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY_DEV)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

openapi: $(READY)
	$(BIN)/rmbg-service openapi > openapi.yaml

bench: $(READY_DEV)
	$(BIN)/python bench/codecs.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist tests/node_modules

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV): a few minutes, 1.6 GB; PyTorch is most of it."
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(READY_DEV): pyproject.toml constraints.txt tests/package-lock.json | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	! command -v npm >/dev/null || npm ci --prefix tests --silent
	touch $(READY) $@
