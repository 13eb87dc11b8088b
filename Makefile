# One command for each thing one does here. Needs make and Python 3.11 or newer; everything else goes into .venv.
#
# What is installed is told by a stamp named after the contents of pyproject.toml and requirements.lock: a second
# start installs nothing, and a changed, deleted or half-made environment is made good before anything runs.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.8
CONTENTS := $(shell cat pyproject.toml requirements.lock | cksum | tr ' ' -)
TOOL := $(VENV)/.uv-$(UV)
RUNTIME := $(VENV)/.runtime-$(CONTENTS)
DEV := $(VENV)/.dev-$(CONTENTS)
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml -c requirements.lock
# The command line, as a link to these sources. It needs nothing more: this uv is the build backend, too.
WEAVE := $(BIN)/uv pip install --quiet --python $(BIN)/python --offline --no-deps --editable .

# An interpreter that went away (an upgraded system, a moved folder) takes the stamps with it.
ifneq ($(shell $(BIN)/python -c 'print("runs")' 2>/dev/null),runs)
$(shell rm -f $(VENV)/.uv-* $(VENV)/.runtime-* $(VENV)/.dev-*)
endif

export UV_NO_PROGRESS ?= 1
# Modules are compiled once, not by every process that starts: it is most of what a start costs.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up test lint bench env lock clean

help: ## Show this list
	@echo "Powerloom: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s %s\n", $$1, $$2 }' Makefile

up: $(RUNTIME) ## Set up and run on this machine: PORT=8000, ONCE=1 to stop after the story, POWERLOOM_HOME=folder
	@exec $(BIN)/python manage.py up

test: $(DEV) ## Run the suite on SQLite, then on PostgreSQL with Redis: ARGS='tests/unit -k chain', ARGS=--whole
	@exec $(BIN)/python -m tests.run $(ARGS)

lint: $(DEV) ## Run every check of the sources; all of them, even when one fails
	@exec $(BIN)/python -m tests.lint

bench: $(DEV) ## Measure the speed that is promised, as ratios: ARGS='converge'
	@exec $(BIN)/python -m tests.bench $(ARGS)

env: $(DEV) ## Make the environment of all of the above, and run nothing

lock: $(TOOL) ## Write requirements.lock anew from pyproject.toml: ARGS=--upgrade
	@exec $(BIN)/uv pip compile --quiet --universal --generate-hashes --extra aws --group dev pyproject.toml \
		--custom-compile-command 'make lock' -o requirements.lock $(ARGS)

clean: ## Delete the environment and the caches; keep the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): | $(TOOL)
	@echo "Installing what Powerloom needs into $(VENV) ..."
	@rm -f $(VENV)/.runtime-* $(VENV)/.dev-*
	@$(INSTALL)
	@$(WEAVE)
	@touch $@

$(DEV): | $(TOOL)
	@echo "Installing what Powerloom and its tests need into $(VENV) ..."
	@rm -f $(VENV)/.runtime-* $(VENV)/.dev-*
	@$(INSTALL) --group dev
	@$(WEAVE)
	@touch $(RUNTIME) $@

# Any Python from 3.11 on will do; PYTHON=/path/to/python chooses one. An environment that works is kept.
$(TOOL):
	@fit='import pip, sys; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(BIN)/python -c "$$fit" 2>/dev/null; then \
		for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
			if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				found=$$python; break; \
			fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Powerloom needs Python 3.11 or newer; found $$($(or $(PYTHON),python3) --version 2>&1)." >&2; \
			echo "Install one, or name one: make up PYTHON=/path/to/python3.11" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$($$found --version) ..."; \
		if ! $$found -m venv --clear $(VENV); then \
			rm -rf $(VENV); \
			echo "$$found cannot make environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
			exit 1; \
		fi; \
	fi
	@rm -f $(VENV)/.uv-*
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV)'
	@touch $@
