# `make distill` and `make test` do everything on a fresh machine; a second call does no set-up work.
VENV := .venv
ifeq ($(OS),Windows_NT)  # with the shell that Git brings along
PYTHON ?= python
SCRIPTS := Scripts
EXE := .exe
else
PYTHON ?= python3
SCRIPTS := bin
endif
BIN := $(VENV)/$(SCRIPTS)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help distill test faults machines docs lint format sbom hashes clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s%s\n", $$1, $$2}'

distill: $(VENV)/.installed  ## the whole chain on the built-in images, into runs/scenes
	$(BIN)/python scripts/distill.py --baseline

test: $(VENV)/.installed-dev  ## the test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

FAULT_SEEDS ?= 200
faults: $(VENV)/.installed-dev  ## the tests of faults with many seeds: damaged files and records, kills at random moments
	rm -f .faults.jsonl
	FAULT_SEEDS=$(FAULT_SEEDS) FAULT_NUMBERS=$(CURDIR)/.faults.jsonl $(BIN)/python -m pytest -n 2 --dist worksteal tests/faults
	$(BIN)/python benchmarks/fault_numbers.py .faults.jsonl

machines: $(VENV)/.installed-dev  ## the main job in miniature on emulated machines, into results/machines.md
	PYTHONPATH=benchmarks $(BIN)/python -m machines

docs: $(VENV)/.installed-docs  ## these pages as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.installed-dev  ## formatter, linter, strict type checker, arrows between packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sbom: $(VENV)/.installed-dev  ## what is installed, with versions and licences, as CycloneDX in sbom.json
	$(BIN)/python benchmarks/sbom.py --out sbom.json

hashes: $(VENV)-uv/.installed  ## constraints-hashes.txt again, after a change of constraints.txt
	$(VENV)-uv/$(SCRIPTS)/uv pip compile pyproject.toml --extra all --constraint constraints.txt --generate-hashes \
		--universal --python-version 3.11 --no-header --no-annotate --quiet --output-file constraints-hashes.txt

clean:  ## remove the environment; runs stay
	rm -rf $(VENV)

$(BIN)/python$(EXE):
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python$(EXE)
	@echo "installing into $(VENV), some minutes the first time"
	$(INSTALL) --editable '.[tf,compress]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[all]'
	touch $@

# Without the package itself and what it needs: the site is made from Markdown alone.
$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python$(EXE)
	$(INSTALL) mkdocs-material
	touch $@

$(VENV)-uv/.installed: constraints.txt
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	touch $@
