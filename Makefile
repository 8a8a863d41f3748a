# `make demo` and `make test` set up all they need: Python 3.11-3.13 and make are enough. Safe to repeat.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
IB_ASYNC_VENV := .venv-ib-async
READY := $(VENV)/.ready
TOOLS_READY := $(VENV)/.tools
IB_ASYNC_READY := $(IB_ASYNC_VENV)/.ready
NAUTILUS_VENV := .venv-nautilus
NAUTILUS_READY := $(NAUTILUS_VENV)/.ready
NAUTILUS_REQUIREMENTS := trading_assets_tests/repositories/nautilus_requirements.txt
KERNELS := trading_assets/pricing/kernels/__pycache__/.compiled

# The first interpreter that really runs and is a supported version; `make PYTHON=...` overrides.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$p; break; }; done)
UV := $(shell command -v uv 2>/dev/null)

.PHONY: help demo test slow week up package audit lint bench setup compiled tools clean

help: ## What the targets do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: compiled ## Virtual environment with the pinned packages of demo and up (the tests add theirs)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Trading Assets needs Python 3.11, 3.12 or 3.13 on the PATH (or: make PYTHON=/path/to/python ...)."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (once; about a minute) ..."
ifeq ($(UV),)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[pictures]'
else
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[pictures]'
endif
	@touch $@

# What tests, style and types need beside: who tries the demo does not wait for it.
$(TOOLS_READY): $(READY)
	@echo "Setting up what the tests need ..."
ifeq ($(UV),)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
else
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

# The package's own bytecode: where PYTHONDONTWRITEBYTECODE is set, every process would compile it anew. Half a second when nothing changed.
compiled: $(READY)
	@$(BIN)/python -m compileall -q trading_assets

tools: compiled $(TOOLS_READY)
	@$(BIN)/python -m compileall -q trading_assets_tests

# The pricing kernels, once: five workers that need them at the same time would each compile them.
$(KERNELS): trading_assets/pricing/conventions.py $(wildcard trading_assets/pricing/kernels/*.py) | $(READY)
	@$(BIN)/python -m trading_assets.pricing.kernels
	@mkdir -p $(@D) && touch $@

# ib_async and ib_insync install the same package name (eventkit): the successor is tested in an environment of its own.
$(IB_ASYNC_READY): pyproject.toml constraints.txt | $(READY)
	@echo "Setting up $(IB_ASYNC_VENV) (the ib_async client, for the tests) ..."
	@rm -rf $(IB_ASYNC_VENV)  # made anew: removing eventkit also removes what ib_async put in its place
ifeq ($(UV),)
	@test -x $(IB_ASYNC_VENV)/bin/python || $(PYTHON) -m venv $(IB_ASYNC_VENV)
	@$(IB_ASYNC_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(IB_ASYNC_VENV)/bin/python -m pip uninstall --quiet --yes ib_insync eventkit
	@$(IB_ASYNC_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt ib_async
else
	@test -x $(IB_ASYNC_VENV)/bin/python || $(UV) venv --quiet --python $(BIN)/python $(IB_ASYNC_VENV)
	@$(UV) pip install --quiet --compile-bytecode --python $(IB_ASYNC_VENV)/bin/python --constraint constraints.txt --editable '.[dev]'
	@$(UV) pip uninstall --quiet --python $(IB_ASYNC_VENV)/bin/python ib_insync eventkit
	@$(UV) pip install --quiet --compile-bytecode --python $(IB_ASYNC_VENV)/bin/python --constraint constraints.txt ib_async
endif
	@touch $@

# nautilus_trader wants another pandas than we do: it reads its exported catalogs in an environment of its own. Where it
# has no wheel, its test is left out. Only what is imported is compiled: that halves the time.
$(NAUTILUS_READY): $(NAUTILUS_REQUIREMENTS) | $(READY)
	@echo "Setting up $(NAUTILUS_VENV) (nautilus_trader, for the tests of exported catalogs) ..."
ifeq ($(UV),)
	@test -x $(NAUTILUS_VENV)/bin/python || $(PYTHON) -m venv --without-pip $(NAUTILUS_VENV)
	@{ $(BIN)/python -m pip --python $(NAUTILUS_VENV)/bin/python install --quiet --disable-pip-version-check --no-compile \
		--requirement $(NAUTILUS_REQUIREMENTS) && touch $@; } || echo "nautilus_trader cannot be installed here: its test is left out."
else
	@test -x $(NAUTILUS_VENV)/bin/python || $(UV) venv --quiet --python $(BIN)/python $(NAUTILUS_VENV)
	@{ $(UV) pip install --quiet --python $(NAUTILUS_VENV)/bin/python --requirement $(NAUTILUS_REQUIREMENTS) && touch $@; } \
		|| echo "nautilus_trader cannot be installed here: its test is left out."
endif

demo: compiled ## Cold start on the simulator: collect, check, query, report
	@$(BIN)/trading-assets demo

up: compiled ## Dagster UI and daemon (and a simulator where no TWS is configured)
	@$(BIN)/trading-assets up

# Five workers on two cores: tests that wait for a simulator or a process leave the processor to others.
# Where PYTHONDONTWRITEBYTECODE is set, each worker would rewrite the assertions of all test modules anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 5 --dist loadgroup

test: tools $(KERNELS) ## The test suite
	@$(PYTEST) -m "not slow and not world" $(ARGS)

slow: tools $(KERNELS) $(IB_ASYNC_READY) $(NAUTILUS_READY) ## Its slow tests: services (PostgreSQL, browser, ib_async), kills, long replays
	@TRADING_ASSETS_IB_ASYNC_PYTHON="$(CURDIR)/$(IB_ASYNC_VENV)/bin/python" \
		TRADING_ASSETS_NAUTILUS_PYTHON="$$(test ! -e $(NAUTILUS_READY) || echo "$(CURDIR)/$(NAUTILUS_VENV)/bin/python")" \
		$(PYTEST) -m "slow and not world" $(ARGS)

week: tools ## Ten sessions with a running daemon and a clock of its own (seven to nine minutes)
	@$(BIN)/python -m pytest -m world -s trading_assets_tests/world $(ARGS)

package: $(READY) ## The wheel in fresh environments outside of the checkout: oldest and newest Dagster, ib_async (some minutes)
	@.ci/package

audit: $(READY) ## Known vulnerabilities of the pinned packages, where PyPI's database can be reached
	@.ci/audit

lint: $(TOOLS_READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: tools ## The benchmarks: each measures both sides in one run and prints a ratio
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## Remove the environments (never the data)
	@rm -rf $(VENV) $(IB_ASYNC_VENV) $(NAUTILUS_VENV)
