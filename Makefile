# The commands of this project. Each one sets up what it needs: a clean clone needs only
# Python 3.11, git and make. `make help` lists them.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON_BIN := .venv/bin
READY := .venv/.ready
CODE := $(wildcard src bench tests)

SEEDS ?= 2000
SEED ?=
ARGS ?=
UV ?= uv

# The set-up is done once. It is done again when what it is made from has changed, or when the
# folder was moved or copied: the programs in .venv name their own place.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif
$(READY): pyproject.toml requirements/dev.txt scripts/setup.sh
	@scripts/setup.sh

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## install everything into .venv, so that .venv/bin/beltline runs

.PHONY: demo
demo: $(READY) ## start the hub, a local Bitrix24 portal and a landing page, until Ctrl-C
	@$(PYTHON_BIN)/python examples/lead-intake/demo.py $(ARGS)

.PHONY: test
test: $(READY) ## run the tests (ARGS="-k name" goes to pytest)
	@scripts/test.sh $(ARGS)

# Each check stands alone (`make check-types`); together they run on two cores, all to their end,
# so that one run shows all there is to mend.
CHECKS := check-types check-style check-format check-layers check-dependencies check-rules

.PHONY: check $(CHECKS)
check: $(READY) ## check style, types, layers, dependencies and the rules of the house
	@$(MAKE) --keep-going --jobs=2 --output-sync=target $(CHECKS)

$(CHECKS): $(READY)
check-types:
	@$(PYTHON_BIN)/mypy $(CODE)
check-style:
	@$(PYTHON_BIN)/ruff check
check-format:
	@$(PYTHON_BIN)/ruff format --check
check-layers:
	@$(PYTHON_BIN)/lint-imports
check-dependencies:
	@$(PYTHON_BIN)/deptry src
check-rules:
	@$(PYTHON_BIN)/pytest --quiet tests/architecture

.PHONY: sim
sim: $(READY) ## run the simulation (SEEDS=2000 of them, or only SEED=n)
	@$(PYTHON_BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(ARGS)

.PHONY: kill
kill: $(READY) ## run the tests that kill -9 real processes
	@$(PYTHON_BIN)/pytest -m kill --timeout 1800 -rP $(ARGS)

.PHONY: prove
prove: $(READY) ## four nodes, faults, thousands of requests: ROUNDS=200 of them, or one with SEED=17
	@$(PYTHON_BIN)/python -m tests.fleet $(if $(SEED),--seed $(SEED),--rounds $(or $(ROUNDS),200)) $(ARGS)

.PHONY: bench
bench: $(READY) ## measure speed and size, and compare with the peers
	@$(PYTHON_BIN)/python -m bench $(ARGS)

.PHONY: pin
pin: ## write requirements/*.txt anew from pyproject.toml (needs uv; ARGS=--upgrade for newer ones)
	@command -v $(UV) >/dev/null || { echo "make pin needs uv on the PATH, or UV=/path/to/uv" >&2; exit 1; }
	@$(UV) pip compile $(PIN) $(ARGS) pyproject.toml --all-extras --output-file requirements/runtime.txt
	@$(UV) pip compile $(PIN) $(ARGS) pyproject.toml --all-extras --group dev \
		--constraint requirements/runtime.txt --output-file requirements/dev.txt
	@$(UV) pip compile $(PIN) $(ARGS) --group build \
		--constraint requirements/dev.txt --output-file requirements/build.txt

# For every platform at once, with hashes, and without any download address in the files.
PIN = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-config --custom-compile-command "make pin"
