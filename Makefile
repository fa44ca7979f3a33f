# Everything a developer needs: `make help`. Stamps in .venv keep repeated runs fast.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
INSTALLED := $(VENV)/.installed
PACKAGES := redis-server pgbouncer chromium chromium-driver
# A week gives the community time to notice a poisoned release before it is taken up.
LOCK_AGE := 7 days ago

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help run test check format bench scenarios lock clean packages

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

run: $(INSTALLED) ## start everything on 127.0.0.1:8080; ARGS="--port 18080 --ephemeral"
	@exec $(BIN)/threadkeep dev $(ARGS)

test: packages check ## check, then every test; ARGS="tests/unit -k cursor"
	@exec $(BIN)/pytest $(ARGS)

check: $(INSTALLED) ## lint, formatting, types and layers, as CI runs them
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## format and fix what can be fixed by itself
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(INSTALLED) ## measure; ARGS="--help" shows the options
	@exec $(PYTHON) -m tests.bench $(ARGS)

scenarios: packages $(INSTALLED) ## the 41 scenarios, their sabotages and build/scenarios/report.html
	@exec $(BIN)/pytest tests/scenarios tests/sabotage --judge --profile laptop $(ARGS)

lock: $(INSTALLED) ## choose the versions of all dependencies anew, none younger than a week
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --exclude-newer "$$(date -u -d '$(LOCK_AGE)' +%Y-%m-%dT00:00:00Z)" \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove the virtual environment, the caches and what was built; .threadkeep stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

packages:
	@sh .ci/packages $(PACKAGES)

$(INSTALLED): pyproject.toml requirements.lock .ci/environment
	@sh .ci/environment $(VENV)
	@touch $@
