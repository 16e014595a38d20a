# Two commands: `make run` starts an instance on http://127.0.0.1:8080, `make test` runs every check.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; a shim that cannot start does not count.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
WEB_SOURCES := $(shell find web -type d \( -name node_modules -o -name .svelte-kit -o -name build -o -name generated \) -prune -o -type f -print 2>/dev/null)
DATA ?= data
ARGS ?=

.PHONY: help setup sandbox run test check test-python test-web simulate soak debian mutants bench lock openapi clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: .venv/.installed ## prepare .venv with everything locked in requirements-dev.lock

.venv/.synced: requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or name one: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv (once, about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -nE 's/^(uv==[0-9.]+).*/\1/p' requirements-dev.lock)"
	@VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/python -m uv pip sync --quiet --compile-bytecode --require-hashes requirements-dev.lock
	@touch $@

.venv/.installed: .venv/.synced pyproject.toml hatch_build.py $(WEB_SOURCES)
	@echo "Installing Mr. Market and building its pages ..."
	@VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/python -m uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

sandbox: tools/sandbox/node_modules/.installed ## fetch what partners are tried on: an EVM node and Mixin's own client

tools/sandbox/node_modules/.installed: .venv/.installed tools/sandbox/package-lock.json
	@echo "Fetching an EVM node and Mixin's own client ..."
	@cd tools/sandbox && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts
	@touch $@

run: setup ## start an instance: embedded exchange, engine, ledger and page on http://127.0.0.1:8080
	@exec $(BIN)/mrmarket run --data "$(DATA)" $(ARGS)

test: setup debian sandbox check test-web test-python simulate ## run every check there is, as CI does

check: setup ## style, types, walls, and what a security linter finds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r src

test-web: setup ## the page's own checks
	cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm run check && PATH="$(CURDIR)/$(BIN):$$PATH" npm test

# Coverage is counted with compiling off, so that every line of the kernel is seen. Tests that start processes or
# browsers, or live on the wall clock, have the machine to themselves: beside others they show how busy it is.
test-python: setup ## the test suite with coverage, then the compiled kernel
	rm -f .coverage .coverage.*
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile -m "not compiled and not processes"
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m coverage run -m pytest -m "processes and not compiled" --durations=15
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --fail-under=85
	$(BIN)/python -m coverage report --include='src/mrmarket/trading/*,src/mrmarket/money/*' --fail-under=90 --format=total
	$(BIN)/python -m pytest -m compiled

simulate: setup ## 300 seeds of the whole platform on a virtual clock, with faults
	$(BIN)/mrmarket simulate --seeds 300

soak: setup ## 10,000 seeds, eight virtual weeks, bad days for real processes: two hours on two quiet cores
	$(BIN)/mrmarket simulate --seeds 10000 $(ARGS)
	$(BIN)/mrmarket simulate --days 56
	MRMARKET_CHAOS=full $(BIN)/pytest -s tests/e2e/test_trading_chaos.py

# A browser for the page tests and promtool for the alert rules: by package name, only as root on Debian;
# elsewhere those tests skip and say so. Of prometheus only the tool is taken: installing it would start it.
debian:
	@if [ "$$(id -u)" = 0 ] && [ -f /etc/debian_version ] && ! command -v chromium >/dev/null; then \
		echo "Installing Debian's chromium for the page tests ..."; \
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-core fonts-noto-cjk) >/dev/null || echo "chromium could not be installed: the page tests will skip"; \
	fi
	@if [ "$$(id -u)" = 0 ] && [ -f /etc/debian_version ] && [ -d $(BIN) ] && [ ! -x $(BIN)/promtool ] && ! command -v promtool >/dev/null; then \
		echo "Taking promtool out of Debian's prometheus for the tests of the alert rules ..."; \
		folder="$$(mktemp -d)"; chmod 755 "$$folder"; \
		(apt-get update -qq && cd "$$folder" && apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > promtool) >/dev/null 2>&1 \
			&& install -m 755 "$$folder/promtool" $(BIN)/promtool || echo "promtool could not be had: the tests of the alert rules will skip"; \
		rm -r "$$folder"; \
	fi

mutants: setup ## plant faults in a copy and demand that the tests find every one
	$(BIN)/python tools/mutants.py $(ARGS)

bench: setup ## measure, print a table, write benchmarks/latest.json
	$(BIN)/python benchmarks/run.py $(ARGS)

lock: .venv/.synced ## renew the lock files from pyproject.toml (names, versions and hashes only)
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra lab --extra postgres --extra cluster --extra chains pyproject.toml -o requirements.lock
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra lab --extra postgres --extra cluster --extra chains --group dev pyproject.toml -o requirements-dev.lock

openapi: setup ## write web/openapi.json from the API's types
	$(BIN)/mrmarket openapi > web/openapi.json

clean: ## remove what the set-up made (never the data)
	rm -rf .venv tools/sandbox/node_modules web/node_modules web/.svelte-kit web/build src/mrmarket/web .mypy_cache .ruff_cache .pytest_cache .hypothesis .artifacts .coverage .coverage.*
