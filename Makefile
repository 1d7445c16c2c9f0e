# Every command of the project, run in .venv, which is made from the locked requirements.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Touched when the packages to run forgedb, and those to work on it, have been installed.
RUN := $(VENV)/run.stamp
DEV := $(VENV)/dev.stamp

# Other libraries and migration runners, which nothing needs but a benchmark.
PEERS := $(VENV)/peers

# What both type checkers read: the package, the examples, and the tests of the types users get.
TYPED := src examples tests/typing

# No index address, host or folder of one machine may end up in a lock file.
LOCK := PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= CUSTOM_COMPILE_COMMAND='make requirements' \
	$(BIN)/pip-compile --quiet --generate-hashes --no-strip-extras --allow-unsafe --upgrade \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

# Compiled code is kept, whatever the environment says: tests start forgedb hundreds of times.
export PYTHONDONTWRITEBYTECODE =

.DELETE_ON_ERROR:
.PHONY: help demo test test-postgres soak failover check bench bench-check bench-clients bench-growth \
	bench-peers bench-startup plots docs format schema requirements wheel clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

demo: export FORGEDB_URL = sqlite:///forge.db
demo: $(RUN) ## Record this checkout in forge.db and show what the database knows
	$(BIN)/forgedb migrate
	$(BIN)/forgedb import .
	$(BIN)/forgedb status
	$(BIN)/forgedb audit verify

# One more than there are cores, since some tests wait; each has servers of its own, so four at most.
WORKERS = $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')

test: $(DEV) docs ## Run all tests and report their coverage
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal --cov

test-postgres: ONLY := postgres
test-postgres: $(DEV) ## Run what needs PostgreSQL, on the server that the environment names
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal \
		-k "$(ONLY)"

soak: MINUTES := 10
soak: $(DEV) ## Attack leases for MINUTES=10 in all, on both databases
	$(BIN)/python -m tests.concurrency.soak --minutes $(MINUTES)

failover: FAILOVERS := 10
failover: $(DEV) ## Let PostgreSQL clusters fail, FAILOVERS=10 times in each way
	$(BIN)/python -m forgedb.testing.failover --failovers $(FAILOVERS)

# Pyright comes whole from its package, node too: it has nothing to ask a network.
check: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
check: $(DEV) docs ## Lint, check the format, the types, the layers, the migrations and the site
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(TYPED)
	$(BIN)/pyright --pythonpath $(BIN)/python $(TYPED)
	$(BIN)/lint-imports --no-logo
	$(BIN)/squawk src/forgedb/migrations/postgres/*.sql

# Whatever was built before: a warning is given only where a page is read.
docs: $(DEV) ## Build the site in build/docs; a broken link, or a name without docs, fails
	$(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env --jobs auto \
		docs build/docs

bench: $(DEV) ## Measure against the raw driver, print each ratio and keep it
	$(BIN)/python -m benchmarks --save

bench-check: $(DEV) ## Compare with the committed ratios; with SHORT=1 by counted instructions alone
	$(BIN)/python -m benchmarks check $(if $(SHORT),--short)

bench-clients: $(DEV) ## Measure 1 to 64 clients at once, and keep the figures
	$(BIN)/python -m benchmarks clients --save

bench-growth: $(DEV) ## Measure a database that grows to 10,000,000 objects, and keep the figures
	$(BIN)/python -m benchmarks growth --save

bench-startup: $(DEV) ## Measure what starting costs, and keep the figures
	$(BIN)/python -m benchmarks startup --save

plots: $(DEV) ## Draw the figures, and write the tables, of what was kept
	$(BIN)/python -m benchmarks plots

format: $(DEV) ## Format the code and fix what the linter can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench-peers: $(DEV) $(PEERS)/peers.stamp ## Measure beside other libraries and migration runners
	$(BIN)/python -m benchmarks --save --peers $(PEERS)/bin/python

schema: $(DEV) ## Write schema/ and the data model's page from the migrations
	$(BIN)/python -m tests.schema.writing

requirements: $(DEV) ## Lock the newest versions of all dependencies
	$(LOCK) --output-file=requirements/run.txt pyproject.toml
	$(LOCK) --output-file=requirements/build.txt requirements/build.in
	$(LOCK) --extra=postgres --extra=checkpoints --output-file=requirements/dev.txt \
		pyproject.toml requirements/dev.in
	$(LOCK) --extra=postgres --output-file=requirements/peers.txt \
		pyproject.toml requirements/peers.in

wheel: $(DEV) ## Build the wheel and the source archive in dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what this Makefile made, but no database
	rm -rf $(VENV) build dist src/forgedb.egg-info .coverage .coverage.* .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): pyproject.toml requirements/run.txt requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "forgedb needs Python 3.11 or newer; '$(PYTHON)' is older or not there:" \
			"name a newer one, as in 'make PYTHON=python3.12 demo'" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# dbmate is a program of Go's, which its npm package brings; without npm it is left out.
$(PEERS)/peers.stamp: $(DEV) requirements/peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes \
		-r requirements/peers.txt
	-npm install --silent --prefix $(PEERS) dbmate@2.36.0
	@touch $@
