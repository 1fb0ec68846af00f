# Everything a contributor types. Needs python3 (3.11 or newer, with venv), git and make; nothing else.

MAKEFLAGS += --no-builtin-rules
# Whatever the environment says: a process that finds no bytecode compiles the whole service before it starts.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
STAMP := .venv/.installed
HAS_VENV := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
# Asked only when something must be installed.
find_python = for python in python3 python3.13 python3.12 python3.11; do \
	if "$$python" -c '$(HAS_VENV)' >/dev/null 2>&1; then echo "$$python"; break; fi; done

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: $(STAMP) ## Run the main job end to end: a task on a real git repository, done by an agent
	@$(PYTHON) -m app.cli demo

.PHONY: run
run: export TASKBEACON_PORT := $(or $(PORT),$(TASKBEACON_PORT),8000)
run: $(STAMP) ## Start servers, API and worker in the foreground (PORT=8000, 0 = any free one; Ctrl-C stops)
	@$(PYTHON) -m app.cli dev

# Tests wait for processes and servers: two more than there are processors keep those busy. Each loads the suite for
# seconds of processor time.
TEST_PROCESSES = $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 2)')

.PHONY: test
test: $(STAMP) ## Run the test suite in parallel, then test-console (ARGS="-k name" for a part of the suite alone)
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)
	@$(if $(ARGS),,$(MAKE) --no-print-directory test-console)

# The wire and the rules behind it, without processes that take seconds to start: agents, workers, sandboxes, browsers.
QUICK := tests/contract tests/services tests/schemas tests/verdicts tests/web tests/dialogue tests/clients

.PHONY: test-quick
test-quick: $(STAMP) ## Test the API and its rules, without processes that are slow to start, after each edit (ARGS="-k name" for a part)
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal -m "not walls and not slow" $(QUICK) $(ARGS)

# Held to more than the rest (`fail_under` in pyproject.toml): who sees what, the status of runs, keys, ciphers and verdicts.
STRICTLY_COVERED := app/services/access/*,app/services/runs/run_lifecycle.py,app/services/runs/status_changes.py,app/security/secrets.py,app/verdicts/*

# `coverage run` and no plugin of pytest, which would begin behind the imports of the service. A part of the suite is
# measured without a bar.
.PHONY: coverage
coverage: $(STAMP) ## Measure the branches that the test suite takes, processes that it starts included (ARGS as for test)
	@$(PYTHON) -m coverage erase
	@$(PYTHON) -m coverage run -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)
	@$(PYTHON) -m coverage combine --quiet
	@$(PYTHON) -m coverage report --skip-covered --show-missing $(if $(ARGS),--fail-under=0)
	@$(PYTHON) -m coverage report --include='$(STRICTLY_COVERED)' --show-missing \
		--fail-under=$(if $(ARGS),0,100)

.PHONY: test-console
test-console: $(STAMP) ## Test the console: its units, then what a wheel of it does in Chromium (ARGS="scene" for a part)
	@$(if $(ARGS),,$(PYTHON) -m app.devstack.console test)
	@$(PYTHON) -m tests.console.acceptance $(ARGS)

.PHONY: screenshots
screenshots: $(STAMP) ## Draw the images of the README from the demo's run
	@mkdir -p docs/images
	@$(PYTHON) -m tests.console.screenshots docs/images

# Part of `make test` too: this is to see what holds here, and after a change of a mechanism of docs/security.md.
.PHONY: test-walls
test-walls: $(STAMP) ## Attack the service as an agent, a member and a stranger, under bubblewrap and Landlock, also without root
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal -m walls $(ARGS)

.PHONY: test-chaos
test-chaos: $(STAMP) ## Test that no fault of a server, disk or clock loses or doubles a run (minutes)
	@$(PYTHON) -m pytest -m chaos -rP $(ARGS)

# The first of them is in `make test`.
.PHONY: test-failover
test-failover: $(STAMP) ## Test that nothing is lost when PostgreSQL, Redis or an API fails over under load (minutes)
	@$(PYTHON) -m pytest -m "" -rP tests/chaos/test_failover.py $(ARGS)

# It installs the release before from its commit, which a shallow clone does not have.
.PHONY: test-upgrade
test-upgrade: $(STAMP) ## Upgrade from the release before, and go back, under load: nothing is lost, doubled or missed (minutes)
	@$(PYTHON) -m pytest -m upgrade -rP $(ARGS)

# A part of it is in `make test`.
.PHONY: gate
gate: $(STAMP) ## Check honest, sabotaged and ill-fated work on many small repositories: only honest work is verified (minutes)
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal -m gate tests/gate $(ARGS)

.PHONY: agents
agents: AGENTS = claude codex
agents: $(STAMP) ## Install agents below .taskbeacon (AGENTS="gemini opencode", default: claude codex, 1 GB)
	@$(PYTHON) -m app.devstack.agent_installer $(AGENTS)

.PHONY: test-agents
test-agents: $(STAMP) ## Test with the real agents that `make agents` installed, against a scripted model
	@$(PYTHON) -m pytest -m real_agents -n auto $(ARGS)

.PHONY: console
console: $(STAMP) ## Build the console, which `make run` does too (with Node from PyPI if there is none)
	@$(PYTHON) -m app.devstack.console

.PHONY: client-tools
client-tools: $(STAMP) ## Install what tests generate clients with, below .taskbeacon (350 MB)
	@$(PYTHON) -m tests.generated.tools

.PHONY: deploy-tools
deploy-tools: $(STAMP) ## Install Helm and the schemas that the tests of the chart need, below .taskbeacon (200 MB)
	@$(PYTHON) -m tests.deploy.tools

# What no lock has tried yet: the lock and `.venv` stay as they are.
NEWEST := .taskbeacon/newest
NEWEST_TESTS := tests/test_outages.py tests/db/test_statements.py tests/test_openapi.py tests/cli tests/clients \
	tests/contract tests/web tests/worker/test_resilient_worker.py

.PHONY: test-newest
test-newest: $(STAMP) ## Test what touches libraries with the newest release of each dependency (ARGS for a part)
	@.venv/bin/uv venv --quiet --clear --python $(PYTHON) $(NEWEST)
	@.venv/bin/uv pip install --quiet --python $(NEWEST) --editable client --editable '.[dev]'
	@.venv/bin/uv pip list --python $(NEWEST) | grep -E '^(arq|asyncpg|fastapi|sqlalchemy|starlette|uvicorn) '
	@$(NEWEST)/bin/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(NEWEST_TESTS) $(ARGS)

.PHONY: mutants
mutants: $(STAMP) ## Change conditions of services and see which changes no test notices (FILES="app/services/…" TESTS="tests/…")
	@$(PYTHON) -m checks.mutants $(FILES) $(if $(TESTS),--tests $(TESTS))

.PHONY: check
check: check-service check-console ## Check format, lint, types, import rules, structure and the budget of lines

# The halves of it, which CI runs beside each other.
.PHONY: check-service
check-service: $(STAMP) ## Check all but the console
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(PYTHON) -m checks.structure
	@$(PYTHON) -m checks.budget
	@$(PYTHON) -m checks.client_types
	@$(PYTHON) -m checks.markdown *.md docs migrations console/README.md client/README.md

.PHONY: check-console
check-console: $(STAMP) ## Check the console, and build it
	@$(PYTHON) -m app.devstack.console check build

.PHONY: client-types
client-types: $(STAMP) ## Write the types of the client from the description of the API
	@$(PYTHON) -m checks.client_types --write

.PHONY: bench
bench: $(STAMP) ## Measure requests beside raw asyncpg (ARGS="--only retrieve,list --tasks 100000" for a part)
	@$(PYTHON) -m bench $(ARGS)

.PHONY: bench-push
bench-push: $(STAMP) ## Measure 10,000 pushes against what a push service of 20 ms can take
	@$(PYTHON) -m bench.push

.PHONY: bench-runs
bench-runs: $(STAMP) ## Measure how soon runs start, how many a worker ends, and what waiting costs
	@$(PYTHON) -m bench.runs

.PHONY: bench-checks
bench-checks: $(STAMP) ## Measure what checks add to a run: looking for them, reports, clones
	@$(PYTHON) -m bench.checks

.PHONY: fmt
fmt: $(STAMP) ## Format the code and apply safe fixes
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.PHONY: migration
migration: $(STAMP) ## Draft a migration from the difference of models and schema (m="add presence")
	@$(PYTHON) -m app.devstack.migration "$(m)"

.PHONY: openapi
openapi: $(STAMP) ## Write the API description to openapi.json
	@$(PYTHON) -m app.cli openapi > openapi.json

.PHONY: clean
clean: ## Remove the environment and the caches of the tools; the data in .taskbeacon stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find app migrations tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml client/pyproject.toml
	@python=$$($(find_python)); \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)." >&2; exit 1; \
	fi; \
	exec "$$python" app/devstack/bootstrap.py
