# Needs Python 3.11 or newer and make; `make setup` brings the rest into .venv.
#
# The pins are in requirements.lock rather than uv.lock: the latter records the download addresses of whichever
# package index made it, which belong to a machine and not to this repository. `make lock` writes it anew.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
MANIFESTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)

# The first Python on PATH that is new enough; `make PYTHON=python3.13 setup` chooses another.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
CANDIDATES := python3 python3.13 python3.12 python3.11 python
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p $(NEW_ENOUGH) >/dev/null 2>&1 && { echo $$p; exit; }; done)

# Tests start hundreds of processes: what one has compiled the next need not.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup livekit demo test light check fuzz bench soak docs wheels lock clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with everything in it
	@:

$(STAMP): requirements.lock $(MANIFESTS) utd_core/version.py scripts/bootstrap.py
	@if [ -z "$(PYTHON)" ]; then \
	  echo "utd-core needs Python 3.11 or newer, and none of these is one: $(CANDIDATES)." >&2; \
	  echo "Install one (for example: apt-get install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi
	@$(PYTHON) scripts/bootstrap.py
	@touch $@

livekit: setup ## the LiveKit server that the tests use, built once into the user's cache
	@$(BIN)/python -m utd_livekit.server.binary

demo: setup ## a room hears a real voice; ARGS="--record out --json" are passed on
	@$(BIN)/utd demo $(ARGS)

# Half of the processors: each of those tests keeps about two busy.
FEW = $(shell $(BIN)/python -c 'import os; print(max(1, os.cpu_count() // 2))')

# All side by side, while the LiveKit server is built where it is not there yet; then few at a time, then those that need
# the machine for themselves. With ARGS: in one process, to look at.
ifeq ($(strip $(ARGS)),)
test: setup ## every test; ARGS="-k seats" chooses
	@$(MAKE) --no-print-directory -j 2 livekit light
	$(BIN)/python -m pytest -n $(FEW) --dist loadfile -m heavy
	$(BIN)/python -m pytest -m alone
else
test: livekit
	$(BIN)/python -m pytest $(ARGS)
endif

light: setup
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not heavy and not alone"

check: setup ## lint, format, strict types, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy utd_core plugins tests benchmarks soaks scripts examples
	$(BIN)/lint-imports --no-cache

fuzz: setup ## the model's state machines, a million steps
	UTD_FUZZ_STEPS=1000000 $(BIN)/python -m pytest tests/model/test_*_machine.py -o faulthandler_timeout=0 \
	  -o log_cli=true -o log_cli_level=INFO -o log_cli_format="%(message)s" $(ARGS)

bench: setup ## the figures of benchmarks/, with their baselines; ARGS="import_time" chooses
	@$(BIN)/python -m benchmarks $(ARGS)

soak: livekit ## an hour each of what must not grow; ARGS="webrtc_p2p --minutes 5" chooses
	@$(BIN)/python -m soaks $(ARGS)

docs: export NO_MKDOCS_2_WARNING = 1
docs: setup ## the book, into build/site
	$(BIN)/mkdocs build --strict

wheels: setup ## wheels and sdists of the four distributions, into dist/
	$(BIN)/uv build --quiet --all-packages --no-build-isolation --python $(BIN)/python --out-dir dist

lock: ## resolve the pins again, keeping those that still fit; ARGS=--upgrade renews them
	@$(PYTHON) scripts/bootstrap.py uv pip compile --quiet --universal --all-extras --group dev --python-version 3.11 \
	  --no-annotate --no-header --no-emit-package utd-core $(ARGS) --output-file requirements.lock $(MANIFESTS)

clean: ## remove what the targets above made, .venv too
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
