# The commands people and CI use. `make up` and `make test` install what they need.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help up down test acceptance system check setup format lint types contracts definitions models bench proof-line proof-kills proof-universe proof-recordings proof-faults proof-connections docs clean proof-engine proof-edges campaign campaign-bugs fuzz structure chaos soak proof-money mutation

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing; install Python 3.11 to 3.13." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "Python 3.11 to 3.13 is needed; set PYTHON to one." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "Python's venv module is missing; install it (Debian: python3-venv)." >&2; exit 2; }
	@echo "installing into $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

up: $(VENV)/.installed ## start everything (SECONDS=n: stop by itself)
	@$(BIN)/crossbook up $(if $(filter command line environment,$(origin SECONDS)),--seconds $(SECONDS))

down: $(VENV)/.installed ## stop what runs
	@$(BIN)/crossbook down

test: $(VENV)/.installed ## run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/system --ignore=tests/acceptance

acceptance: $(VENV)/.installed ## the vendors' official SDKs against the sandbox (about a minute)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/acceptance

system: $(VENV)/.installed ## tests of `crossbook up` as a whole, on an empty home, a restored and a stored one (about 8 minutes)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/system

check: $(VENV)/.installed format lint types contracts definitions models test acceptance system ## everything CI runs

format:
	@$(BIN)/ruff format --check .

lint:
	@$(BIN)/ruff check .

types:
	@$(BIN)/mypy

contracts:
	@$(BIN)/lint-imports --no-cache

definitions:
	@home=$$(mktemp -d) && trap "rm -rf $$home" EXIT && DAGSTER_HOME=$$home $(BIN)/dagster definitions validate --module-name orchestration.definitions --log-level error

models:
	@$(BIN)/python -m orchestration.dbt.project

setup: $(VENV)/.installed ## install what the tests need besides Python
	@.ci/setup

bench: $(VENV)/.installed ## benchmarks; writes .bench/results.json
	@$(BIN)/python -m tests.bench

proof-line: $(VENV)/.installed ## prove the whole line from an empty home (about 7 minutes)
	@$(BIN)/python -m tests.proofs.whole_line

proof-kills: $(VENV)/.installed ## prove what kill -9 leaves whole (about 8 minutes)
	@$(BIN)/python -m tests.proofs.kills

proof-universe: $(VENV)/.installed ## the real lists of 2026-03-24 through discovery and matching (about 5 minutes)
	@$(BIN)/python -m tests.proofs.universe --up 120

proof-recordings: $(VENV)/.installed ## real recorded books through sandbox, recorder and an independent fold (a minute)
	@$(BIN)/python -m tests.proofs.recordings

proof-faults: $(VENV)/.installed ## every fault of the sandbox against our own clients (about 3 minutes); writes docs/venues/faults.md
	@$(BIN)/python -m tests.proofs.faults

proof-connections: $(VENV)/.installed ## connections of a running system, and the line on a server of 20 that is killed meanwhile (about 12 minutes)
	@$(BIN)/python -m tests.proofs.connections
	@$(BIN)/python -m tests.proofs.connections --limit 20 --seconds 240 --kill-after 150

campaign: $(VENV)/.installed ## trading in virtual time against the sandbox exchanges, with accidents of every kind (SEEDS=100, JOBS=2)
	@$(BIN)/python -m tests.campaign --seeds $(or $(SEEDS),100) --jobs $(or $(JOBS),2)

campaign-bugs: $(VENV)/.installed ## the same with known mistakes in the code, each of which must be found (SEEDS=2000 at most for each)
	@$(BIN)/python -m tests.campaign --bugs --seeds $(or $(SEEDS),2000) --jobs $(or $(JOBS),2)

proof-engine: $(VENV)/.installed ## 100,000 random sequences of events through the matching engine (about 15 minutes)
	@$(BIN)/python -m tests.proofs.engine

proof-edges: $(VENV)/.installed ## 100,000 random books through the walk and the linear program, which must agree (about 10 minutes)
	@$(BIN)/python -m tests.proofs.edges

proof-money: $(VENV)/.installed ## what trading earns (SCENARIO=mild SEED=101 MINUTES=20; CONTROL=no-gaps or mismatched: 0 trades)
	@$(BIN)/python -m tests.proofs.money --scenario $(or $(SCENARIO),mild) --seed $(or $(SEED),101) --minutes $(or $(MINUTES),20) $(if $(CONTROL),--$(CONTROL))

fuzz: $(VENV)/.installed ## a million mutated frames through both venues' socket decoders (about 4 minutes)
	@$(BIN)/python -m tests.proofs.fuzz

chaos: $(VENV)/.installed ## an hour of blows: processes killed, database stopped, disk full, clock stepped (as root)
	@$(BIN)/python -m tests.proofs.chaos --minutes $(or $(MINUTES),60)

soak: $(VENV)/.installed ## what grows while it runs (HOURS=n, 1 by default)
	@$(BIN)/python -m tests.proofs.soak --hours $(or $(HOURS),1)

mutation: $(VENV)/.installed ## small changes of what decides about money, each of which a test must see (SAMPLE=n: every n-th)
	@$(BIN)/python -m tests.mutation --sample $(or $(SAMPLE),1)

structure: $(VENV)/.installed ## measure rooms, circles, SQL outside the store, untyped reads and crossings
	@$(BIN)/python -m tests.structure

docs: $(VENV)/.installed ## write the generated reference pages
	@$(BIN)/python -m app.reference

clean: ## remove the environment and caches, keep the data
	@rm -rf $(VENV) .acceptance .mypy_cache .ruff_cache .pytest_cache dbt_project/target
