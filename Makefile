# `make serve` and `make test` on a fresh clone set up .venv and do what they say. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
TOOLS := $(abspath $(VENV)/tools)
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
TESTS ?= tests
WORKERS ?= logical

# The tests start the service a hundred times: let Python compile it once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve test fuzz hostile check lint format openapi picture bench lock hooks dev dist sbom image-test clean

help: ## List these targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

serve: $(READY) ## Serve on http://127.0.0.1:7860
	$(BIN)/rmbg-service serve

test: $(READY_DEV) ## Run the tests; TESTS=tests/imaging runs a part of them, WORKERS=0 in one process
	$(BIN)/pytest --numprocesses=$(WORKERS) --maxprocesses=4 --dist=worksteal $(TESTS)

fuzz: $(READY_DEV) ## Damage image files for hours, in search of one that is not refused well
	$(BIN)/pytest tests/fuzz --hypothesis-profile=fuzz

check: lint test ## Lint, then test

lint: $(READY_DEV) ## Format, lint, types, import contracts, workflows
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: $(READY_DEV) ## Format and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

openapi: $(READY) ## Write openapi.yaml
	$(BIN)/rmbg-service openapi > openapi.yaml

picture: $(READY_DEV) ## Draw docs/architecture.svg from the imports
	$(BIN)/python docs/architecture_picture.py

hostile: $(READY_DEV) ## Attack a server in every known way; see what is left for others
	$(BIN)/python -m bench.hostile

bench: $(READY_DEV) ## Time the codecs; docs/benchmarks/ has the other benchmarks
	$(BIN)/python bench/codecs.py

# Keeps the pins that still fit. UPGRADE=--upgrade moves all of them, UPGRADE='-P ruff' one.
# Without hashes: the CPU build of torch has the same version as the one on PyPI, but another file.
lock: $(READY_DEV) ## Resolve pyproject.toml into constraints.txt, for every platform and Python
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 \
	  --no-annotate --custom-compile-command 'make lock' --output-file constraints.txt $(UPGRADE)

hooks: $(READY_DEV) ## Install the git hooks of .pre-commit-config.yaml
	$(BIN)/uvx pre-commit@4.7.0 install

dev: $(READY_DEV) ## Only set up .venv with everything that development needs

dist: $(READY_DEV) ## Build source and wheel into dist/; with TAG=v1.2.3 the version must be 1.2.3
	@version=$$($(BIN)/python -c 'import rmbg_service; print(rmbg_service.__version__)'); \
	  test -z "$$TAG" || test "$$TAG" = "v$$version" || { echo "tag $$TAG, but version $$version"; exit 1; }
	rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist
	$(BIN)/uvx --quiet twine@7.0.0 check --strict dist/*.whl dist/*.tar.gz

sbom: $(READY_DEV) ## List what an installation brings, the model included, as CycloneDX in sbom.cdx.json
	$(BIN)/uv pip compile pyproject.toml --quiet --extra openvino --extra video --extra mcp --constraints constraints.txt --no-annotate \
	  | $(BIN)/uvx --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements - --pyproject pyproject.toml \
	      --output-reproducible --output-file sbom.cdx.json
	$(BIN)/python scripts/sbom.py sbom.cdx.json

image-test: $(READY_DEV) ## Build the CPU image and try it; as root, with podman, in 5 minutes
	$(BIN)/pytest -s tests/container_image.py

clean: ## Remove .venv and what the tools leave behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist sbom.cdx.json \
	  tests/node_modules

# What a failure leaves behind would be taken for an environment the next time.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "expected Python 3.11 or newer, got %s.%s: name another one, such as PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(READY): pyproject.toml constraints.txt scripts/install.sh | $(BIN)/python
	scripts/install.sh $(BIN)/python openvino
	touch $@

# The generator of Python clients limits the versions of typer and httpx: it has its own environment.
$(READY_DEV): pyproject.toml constraints.txt scripts/install.sh tests/package-lock.json | $(BIN)/python
	scripts/install.sh $(BIN)/python dev
	! command -v npm >/dev/null || npm ci --prefix tests --silent
	UV_TOOL_DIR=$(TOOLS) UV_TOOL_BIN_DIR=$(TOOLS)/bin $(BIN)/uv tool install --quiet \
	  --python $(BIN)/python openapi-python-client==0.29.1
	touch $(READY) $@
