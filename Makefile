# Works on a fresh machine that has Python 3.11, 3.12 or 3.13, and make. `make help` lists the targets.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first interpreter that runs and is in range; say PYTHON=... to choose another.
IN_RANGE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c '$(IN_RANGE)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
JOBS ?= 2
TESTS ?= tests

VENV := .venv
RUN := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/run.stamp ## a clinic with data, its API and its documentation page, on this machine
	$(RUN) -m scheduler demo

.PHONY: test
test: $(VENV)/dev.stamp ## the whole suite, on SQLite and on PostgreSQL
	$(RUN) -m pytest -n $(JOBS) --dist worksteal $(TESTS)

.PHONY: races
races: $(VENV)/dev.stamp ## one slot, a hundred times fifty processes; fifty kills; many hands: the races at full length
	$(RUN) -m pytest -n 0 --hypothesis-profile=long tests/race/test_one_slot.py tests/race/test_kills.py tests/race/test_whole_courses.py \
		tests/race/test_many_hands.py

.PHONY: trial
trial: $(VENV)/dev.stamp ## a clinician's trial of all seven templates in a clinic that is full: some four minutes
	$(RUN) -m pytest -n 0 --hypothesis-profile=long tests/api/test_clinicians_trial.py

.PHONY: cover
cover: $(VENV)/dev.stamp ## the suite again, with the lines and branches that it missed
	$(RUN) -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term $(TESTS)

.PHONY: lint
lint: $(VENV)/dev.stamp ## ruff: rules and format
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

.PHONY: format
format: $(VENV)/dev.stamp ## ruff: mend what can be mended
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

.PHONY: types
types: $(VENV)/dev.stamp ## mypy, strict
	$(RUN) -m mypy

.PHONY: openapi
openapi: $(VENV)/run.stamp ## write openapi.yaml from the code
	$(RUN) -m scheduler openapi > $(VENV)/openapi.yaml
	mv $(VENV)/openapi.yaml openapi.yaml

.PHONY: bench
bench: $(VENV)/dev.stamp ## the measurements under bench/
	$(RUN) -m bench all

.PHONY: faults
faults: $(VENV)/dev.stamp ## messages among kills, crashes, cuts, bad providers and clock steps, on both databases: half an hour
	$(RUN) -m bench faults
	$(RUN) -m bench faults --database sqlite

.PHONY: venv
venv: $(VENV)/dev.stamp ## the development environment

.PHONY: lock
lock: ## rewrite requirements*.txt from requirements*.in; needs uv
	for set in requirements requirements-dev; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			$$set.in --output-file $$set.txt || exit 1; done

.PHONY: clean
clean: ## remove the environment and the caches; data under var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov

# An environment of its own kind comes first: a half-made one is begun again.
$(VENV)/made.stamp:
	@test -n '$(PYTHON)' || { \
		echo 'Regimen needs Python 3.11, 3.12 or 3.13, and found none on the PATH. Install one, or say: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c '$(IN_RANGE)' || { echo '$(PYTHON) is not Python 3.11, 3.12 or 3.13.' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) comes without ensurepip, so it cannot make a virtual environment.' >&2; \
		echo 'On Debian and Ubuntu: apt install python3-venv (or python3.x-venv for another version).' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/run.stamp: requirements.txt | $(VENV)/made.stamp
	$(RUN) -m pip install --quiet --no-deps --require-hashes -r requirements.txt
	@touch $@

# The development set contains the other.
$(VENV)/dev.stamp: requirements-dev.txt | $(VENV)/made.stamp
	$(RUN) -m pip install --quiet --no-deps --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/run.stamp
