# Needs GNU make, a POSIX shell and a Python with pip; everything else goes into .venv.
# Another Python can be named: make test PYTHON=/path/to/python3.13
# The tests of one room: make test ROOM=partitions, and make test-slow ROOM=partitions; in one
# process: WORKERS=0 PYTEST_ARGS="-k moves -x"

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.ready-docs
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
PYTEST_ARGS :=
ROOM :=
WORKERS := 2
EXAMPLES := 2000
ENTRY :=
CALIBRATE_ARGS :=
RECOVERY_ARGS :=
MOMENTS := 50
MUTANTS_ARGS :=

PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# True of a Python that bayesgmm runs on; PyMC sets the upper bound.
SUPPORTED := import sys, venv; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 15))

# Sets $python to the first Python that really runs and is supported, or stops.
FIND_PYTHON = \
	for python in $(PYTHON) python3.12 python3.13 python3.14 python3 python none; do \
		"$$python" -c '$(SUPPORTED)' >/dev/null 2>&1 && break; \
	done; \
	if [ "$$python" = none ]; then \
		echo "bayesgmm needs Python 3.12, 3.13 or 3.14 and found none: install one from your package manager or python.org, or name it with PYTHON=/path/to/python." >&2; \
		exit 1; \
	fi

# $(call MAKE_ENVIRONMENT,folder): where Python comes without ensurepip, its own pip puts pip there.
MAKE_ENVIRONMENT = \
	if "$$python" -c 'import ensurepip' >/dev/null 2>&1; then \
		"$$python" -m venv --clear $(1); \
	else \
		"$$python" -m venv --clear --without-pip $(1) \
		&& "$$python" -m pip --python $(1)/bin/python install --quiet pip; \
	fi

# $(call TEST_WITH,name,pip options): in an environment of its own, with compiled code of its own.
TEST_WITH = \
	$(FIND_PYTHON); set -e; \
	$(call MAKE_ENVIRONMENT,build/$(1)); \
	build/$(1)/bin/python $(PIP_INSTALL) $(2) -e ".[test]"; \
	build/$(1)/bin/python -m pip check; \
	NUMBA_CACHE_DIR="$$PWD/build/$(1)/compiled" build/$(1)/bin/python -m pytest \
		--numprocesses $(WORKERS) --dist worksteal $(PYTEST_ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow recompile test-rounding test-rounding-quick check lint types imports test-minimal test-newest coverage mutants fuzz faults bench calibrate recovery reference docs docs-linkcheck package lock clean $(VENV)

help:  ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile \
		| while IFS='|' read -r name what; do printf '%-28s%s\n' "$$name" "$$what"; done

demo: $(READY)  ## Set up, then choose a mixture for the Old Faithful data
	@echo "Choosing a mixture for Old Faithful (the first run compiles, which takes a minute or more)..."
	@$(BIN)/bayesgmm select faithful

test: check  ## Set up, then every check, the tests that are not slow and the doctests
	@echo "Tests and doctests (the first run compiles, which takes a minute or more)..."
	@$(PYTEST) $(if $(ROOM),tests/$(ROOM)) -m "not slow" $(PYTEST_ARGS)

test-slow: $(READY)  ## The slow tests: examples, pages of the documentation, samplers beside each other, jobs that are killed
	@echo "Slow tests (ten minutes)..."
	@$(PYTEST) $(if $(ROOM),tests/$(ROOM)) -m slow $(PYTEST_ARGS)

recompile: $(READY)  ## Forget compiled code, after a change of what other files call
	@find bayesgmm -name "*.nb[ic]" -delete

test-rounding: $(READY)  ## All tests as on other processors: three ways of rounding, two sets of seeds
	@echo "Six runs of the tests (an hour at most)..."
	@$(BIN)/python -m tests.rounding

test-rounding-quick: $(READY)  ## The one of these runs that is farthest from this machine, without PyMC's models
	@echo "The tests with another rounding and other seeds..."
	@$(BIN)/python -m tests.rounding --quick

test-minimal:  ## The tests with the oldest versions that pyproject.toml allows (Python 3.12 or 3.13)
	@echo "Installing the oldest versions into build/minimal, then testing with them..."
	@$(call TEST_WITH,minimal,-c constraints-minimal.txt)

test-newest:  ## The tests with the newest versions there are
	@echo "Installing the newest versions into build/newest, then testing with them..."
	@$(call TEST_WITH,newest,--upgrade)

coverage: $(READY)  ## The branches that the tests take of what computes; below a floor it fails
	@echo "The tests, then those of compiled functions as plain Python, watched (an hour)..."
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(BIN)/python -m coverage run -m pytest --numprocesses $(WORKERS) --dist worksteal \
		--deselect tests/interface/test_cli_refusals.py::test_help_waits_for_no_heavy_package  # it is timed
	@$(BIN)/python -m coverage run -m pytest -p tests.interpreted -q
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report
	@$(BIN)/python -m coverage report --rcfile tests/interpreted.coveragerc --data-file build/coverage/data

mutants: $(READY)  ## Wrong changes of the core mathematics, which the tests have to notice: MUTANTS_ARGS="m_step --size 10"
	@echo "Mutants, 40 of each file (hours; stop it and go on as you like)..."
	@$(BIN)/python tests/mutants.py $(MUTANTS_ARGS)

fuzz: $(READY)  ## Hostile input, thousands of examples of each public entry: ENTRY=select EXAMPLES=200
	@echo "Hostile input (hours for all entries; what failed is tried first the next time)..."
	@FUZZ_EXAMPLES=$(EXAMPLES) $(PYTEST) tests/fuzz $(if $(ENTRY),-k "$(ENTRY)") $(PYTEST_ARGS)

faults: $(READY)  ## Jobs that are killed or interrupted at random moments: MOMENTS=10
	@echo "Faults at $(MOMENTS) moments of each job, and damaged files (an hour)..."
	@FAULT_MOMENTS=$(MOMENTS) $(PYTEST) tests/faults tests/result/test_hostile_files.py tests/result/test_damaged_files.py $(PYTEST_ARGS)

check: lint types imports  ## The quick checks: lint, types, imports

lint: $(READY)  ## ruff, and its formatting
	@echo "Lint..."
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check --quiet . || { echo "Not formatted: run .venv/bin/ruff format ." >&2; exit 1; }

types: $(READY)  ## mypy
	@echo "Types..."
	@$(BIN)/python -m mypy

imports: $(READY)  ## import-linter: arrows between layers go down only
	@echo "Imports..."
	@$(BIN)/lint-imports --no-logo

bench: $(READY)  ## Run the benchmarks against their peers, write docs/benchmarks.md
	@echo "Installing the peers and measuring (half an hour)..."
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e ".[bench]"
	@$(BIN)/python benchmarks/run_all.py

calibrate: $(READY)  ## Simulation-based calibration, hours; goes on where it was stopped; writes docs/calibration.md
	@echo "Simulating and fitting, 300 times in each configuration (hours; stop it and go on as you like)..."
	@$(BIN)/python -m benchmarks.calibration --report $(CALIBRATE_ARGS)

recovery: $(READY)  ## Known mixtures found again, beside scikit-learn, hours; goes on where it was stopped; writes docs/recovery.md
	@echo "Simulating and fitting, 200 data sets of each design (hours; stop it and go on as you like)..."
	@$(BIN)/python -m benchmarks.recovery --report $(RECOVERY_ARGS)

reference: $(READY)  ## Posteriors by another sampler, which tests compare with; writes tests/reference/posteriors.json
	@echo "Sampling six posteriors in plain Python (ten minutes or more)..."
	@$(BIN)/python benchmarks/reference_posteriors.py
	@$(BIN)/python benchmarks/reference_posteriors.py --report

docs: $(DOCS_READY)  ## Build the documentation into build/docs; a warning is an error
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs build/docs
	@echo "Open build/docs/index.html"

docs-linkcheck: $(DOCS_READY)  ## Try every link of the documentation, which needs a network
	@$(BIN)/python -m sphinx --quiet --builder linkcheck docs build/docs-links

package: $(DOCS_READY)  ## Build the wheel and the source distribution into dist/
	@$(BIN)/python -m build

lock:  ## Write the newest versions that work together to constraints.txt
	@echo "Resolving the newest versions (a few minutes)..."
	@$(FIND_PYTHON); set -e; \
	$(call MAKE_ENVIRONMENT,build/lock); \
	build/lock/bin/python $(PIP_INSTALL) -e ".[dev,docs]"; \
	{ sed -n '/^#/p' constraints.txt; build/lock/bin/python -m pip freeze --exclude-editable; } \
		> build/constraints.txt; \
	mv build/constraints.txt constraints.txt; \
	rm -rf build/lock
	@echo "constraints.txt is renewed; now run: make test"

clean:  ## Remove the environment, caches and what was built
	@rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@rm -rf __pycache__ docs/gallery docs/__pycache__
	@find bayesgmm tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

$(VENV): $(READY)

$(READY): pyproject.toml constraints.txt
	@if ! $(BIN)/python -c '$(SUPPORTED)' >/dev/null 2>&1; then \
		$(FIND_PYTHON); \
		echo "Making $(VENV) with $$("$$python" --version)..."; \
		$(call MAKE_ENVIRONMENT,$(VENV)); \
	fi
	@echo "Installing (a few minutes the first time)..."
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e ".[dev]"
	@touch $@

$(DOCS_READY): $(READY)
	@echo "Installing what the documentation needs..."
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e ".[docs]"
	@touch $@
