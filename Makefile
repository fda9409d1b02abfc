# `make serve` and `make test` on a fresh clone set up .venv and do what they say.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: serve test check lint format openapi bench clean

serve: $(READY)
	$(BIN)/rmbg-service serve

test: $(READY_DEV)
	$(BIN)/pytest

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

$(READY): pyproject.toml constraints.txt scripts/install.sh | $(VENV)/bin/python
	scripts/install.sh $(BIN)/python
	touch $@

$(READY_DEV): pyproject.toml constraints.txt scripts/install.sh tests/package-lock.json | $(VENV)/bin/python
	scripts/install.sh $(BIN)/python dev
	! command -v npm >/dev/null || npm ci --prefix tests --silent
	touch $(READY) $@
