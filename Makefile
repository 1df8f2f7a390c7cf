# `make demo` and `make test` need nothing but Python 3.11 or later; all they install goes into .venv and .cache.
.DEFAULT_GOAL := help
.PHONY: help setup kafka test lint types check format lock demo bench bench-alerts fuzz faults soak overload clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
TESTS ?=

help:
	@echo "make demo    a broker, ClickHouse, the worker and live traffic, all on this machine; Ctrl-C ends it"
	@echo "make test    the test suite (TESTS=tests/unit for a part)"
	@echo "make check   lint, types, test"
	@echo "make faults  half an hour of faults;  make soak   an hour of load;  make overload   ten times too much"
	@echo "make setup   only installs;  make bench   throughput;  make bench-alerts   the alert rules in simulation;  make clean   removes all that was installed"

# _usual.c, with its headers, is compiled by the install, where there is a compiler (hatch_build.py).
$(STAMP): requirements.lock pyproject.toml hatch_build.py $(wildcard streams/engine/_*.[ch])
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and not found: install it, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) can't make a virtual environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

setup: $(STAMP) kafka

# Not fatal: without the jars the tests that need a broker are skipped, and the demo says what is missing.
kafka: $(STAMP)
	@$(BIN)/python -m sinks.embedded.kafka fetch >/dev/null || echo "warning: no embedded Kafka (see above)" >&2

test: setup
	@.ci/tools
	@$(BIN)/python -m pytest $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# After a change of dependencies. One lock for every supported Python; one without the extras, for the image, and one of what builds
# its wheel; one for `make bench`; one for .ci/audit.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
BUILD_NEEDS := $(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'
lock:
	$(COMPILE) --extra embedded --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml -o requirements-worker.lock
	$(BUILD_NEEDS) | $(COMPILE) - -o requirements-build.lock
	$(COMPILE) --extra bench pyproject.toml -o requirements-bench.lock
	echo 'pip-audit>=2.9' | $(COMPILE) - -o requirements-audit.lock

demo: setup
	@$(BIN)/funnelwatch demo

# The other frameworks have an environment of their own: their pins and the worker's exclude each other. Not fatal, either: those
# that can't be installed are left out, and the table says so. BENCH: options, such as BENCH=--quick.
BENCH ?=
FRAMEWORKS := .cache/bench
$(FRAMEWORKS)/.installed: requirements-bench.lock | $(STAMP)
	@rm -rf $(FRAMEWORKS) && $(BIN)/python -m venv $(FRAMEWORKS)
	@$(FRAMEWORKS)/bin/python -m pip install --quiet --require-hashes -r requirements-bench.lock && touch $@ \
		|| echo "warning: the frameworks to compare with can't be installed (see above)" >&2

bench: setup $(FRAMEWORKS)/.installed
	@$(BIN)/python -m benchmarks $(BENCH)

# The alert rules on simulated months; nothing but this Python. BENCH=--quick for a small world.
bench-alerts: setup
	@$(BIN)/python -m benchmarks.alerts $(BENCH)

# Mutated records through decoding and the engine, mutated settings, odd requests. FUZZ: options, such as FUZZ="--seed 7".
FUZZ ?=
fuzz: $(STAMP)
	@$(BIN)/python -m tests.fuzz $(FUZZ)

# Long runs; docs/reliability.md has their figures (--write puts them there). Options: make faults FAULTS="--theme zombies", make soak SOAK="--minutes 10".
faults: setup
	@$(BIN)/python -m tests.faults $(FAULTS)

soak: setup
	@$(BIN)/python -m benchmarks.soak $(SOAK)

overload: setup
	@$(BIN)/python -m benchmarks.soak.overload $(OVERLOAD)

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	rm -f streams/engine/_usual.abi3.so
