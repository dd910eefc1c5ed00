# The two commands to know: `make demo` and `make test`. Both make the environment first (.venv) when it is not there.
PYTHON ?= python3
VENV ?= .venv
WORKSPACE ?= demo
BENCHMARK ?= benchmark
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo benchmark test check docs pictures clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo "PYTHON=python3.11 make demo    uses another interpreter (3.10, 3.11 or 3.12)"

demo: $(STAMP)  ## two synthetic people through the whole chain: about 10 minutes on two processors
	$(BIN)/anr --workspace $(WORKSPACE) demo

benchmark: $(STAMP)  ## the paper's Table 1, small: two people, two seeds, 400 images: about half an hour on two processors
	$(BIN)/anr --workspace $(BENCHMARK) benchmark table1 --people eva,finn --seeds 0,1 --images 400 --seconds 10

test: $(STAMP)  ## all tests; they need no network and no GPU
	$(BIN)/python -m pytest

check: $(STAMP)  ## lint, types, docs, tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/build.py --check
	$(BIN)/python -m pytest

docs: $(STAMP)  ## write docs/commands.md from the program, check every link in the docs
	$(BIN)/python docs/build.py

pictures: demo  ## make the pictures of README.md again from the demo's videos
	$(BIN)/python docs/pictures.py $(WORKSPACE) docs/pictures

clean:  ## remove the environment, caches and the workspaces of demo and benchmark
	rm -rf $(VENV) $(WORKSPACE) $(BENCHMARK) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again only when pyproject.toml changes: the stamp is newer than it.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || { \
	  echo "anr needs Python 3.10, 3.11 or 3.12; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Try: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make environments: its venv module has no pip (ensurepip is missing)."; \
	  echo "On Debian and Ubuntu: apt install python3-venv. Then run make again."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[test]"
# mediapipe asks for opencv-contrib-python, which needs the system library libGL.so.1; a bare Debian has none. The
# headless build of the same version has everything but windows, and takes its place.
	opencv=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("opencv-contrib-python"))') && \
	  $(BIN)/python -m pip install --quiet --no-deps --force-reinstall opencv-contrib-python-headless==$$opencv
	touch $@
