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
# Images without Docker and without a registry, and containers of them.
IMAGE_PACKAGES := buildah mmdebstrap runc
# A local Kubernetes; where kind and a container engine work they are used instead.
CLUSTER_PACKAGES := containerd runc containernetworking-plugins nftables iproute2
# A week gives the community time to notice a poisoned release before it is taken up.
LOCK_AGE := 7 days ago

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help run test check format bench scenarios jobs images lock clean packages \
	cluster-build cluster-up cluster-down test-cluster

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

run: $(INSTALLED) ## start everything on 127.0.0.1:8080; ARGS="--port 18080 --ephemeral"
	@exec $(BIN)/threadkeep dev $(ARGS)

test: packages cluster-build check ## check, then every test; ARGS="tests/unit -k cursor"
	@exec $(BIN)/pytest $(if $(ARGS),$(ARGS),--numprocesses 2)

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

images: packages $(INSTALLED) ## the container images, with or without Docker; ARGS="--only threadkeep --fresh"
	@exec $(PYTHON) -m tests.cluster.images build $(ARGS)

cluster-up: packages $(INSTALLED) ## a Kubernetes on this machine, with the images loaded (first: 15 minutes)
	@exec $(PYTHON) -m tests.cluster up

cluster-down: $(INSTALLED) ## end it and remove everything of it
	@exec $(PYTHON) -m tests.cluster down

test-cluster: packages $(INSTALLED) ## the tests in a cluster; THREADKEEP_TEST_CONTEXT=… names another one
	@THREADKEEP_TEST_REQUIRE=$${THREADKEEP_TEST_REQUIRE:-cluster} exec $(BIN)/pytest tests/cluster $(ARGS)

jobs: ## write k8s-jobs/ anew from the chart
	@for suite in integration scaling continuity; do \
		helm=$$(command -v helm || echo "$$HOME/.cache/threadkeep/bin/helm"); \
		$$helm template tk charts/threadkeep --namespace default \
			--show-only templates/suites/$$suite.yaml > k8s-jobs/$$suite.yaml || exit 1; \
	done

lock: $(INSTALLED) ## choose the versions of all dependencies anew, none younger than a week
	@sh .ci/lock "$$(date -u -d '$(LOCK_AGE)' +%Y-%m-%dT00:00:00Z)"

clean: ## remove the virtual environment, the caches and what was built; .threadkeep stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

packages:
	@sh .ci/packages $(PACKAGES) $(IMAGE_PACKAGES) $(CLUSTER_PACKAGES)

# In the background and out of everybody's way: what is left to build when the tests in the cluster
# are reached, they wait for. Not for a chosen few tests.
cluster-build: packages $(INSTALLED)
	@$(if $(ARGS),:,sh .ci/background $(PYTHON) -m tests.cluster build)

$(INSTALLED): pyproject.toml requirements.lock .ci/environment
	@sh .ci/environment $(VENV)
	@touch $@
