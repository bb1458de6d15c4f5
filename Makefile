# Everything that people and CI run. Needs Python 3.13, make and git; the rest is set up in .venv.

# A Python 3.13: PYTHON=... on the command line, python3.13 on the PATH, pyenv's, or uv's.
PYTHON ?= $(shell for p in \
	"$$(command -v python3.13)" \
	"$$(pyenv prefix 3.13 2>/dev/null)/bin/python" \
	"$$HOME/.pyenv/versions/$$(ls "$$HOME/.pyenv/versions" 2>/dev/null | grep '^3\.13\.' | tail -n 1)/bin/python" \
	"$$(uv python find 3.13 2>/dev/null)" \
	"$$(command -v python3)"; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && echo "$$p" && break; done)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# LocalStack and two npm packages: what the second opinion asks.
SECOND := .venv-second-opinion
SECOND_READY := $(SECOND)/.ready
SECOND_PINS := $(addprefix requirements/,second-opinion.txt package.json package-lock.json)
# checkov, pip-audit and cyclonedx-py, which do not fit beside the SAM CLI.
SCANNERS := .venv-scanners
SCANNERS_READY := $(SCANNERS)/.ready
# SAM looks for python3.13 on the PATH; nothing here reports to anybody.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0
# No test and no demo may ever meet a real account.
OFFLINE := env -u AWS_PROFILE -u AWS_DEFAULT_PROFILE

# Tests run in so many processes, a file at a time, in their order: tests/integration/conftest.py says why.
JOBS ?= 2
SIDE_BY_SIDE := -n $(JOBS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo local test load nightly second-opinion check scan sbom audit format lock setup redrive reconcile backfill clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: setup ## Approve models in two spokes and see their mirrors, on a local AWS
	@$(OFFLINE) $(BIN)/python -m local.demo $(ARGS)

local: setup ## Keep a local AWS running, deployed and seeded, and say how to look around
	@$(OFFLINE) $(BIN)/python -m local $(ARGS)

test: setup ## Run all tests: make test ARGS="tests/unit -k plan" runs some, JOBS=0 in one process
	@$(OFFLINE) $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

load: setup ## Approve 1,000 versions of 20 spokes at once on a local AWS: how fast, how fair, what bounds it
	@$(OFFLINE) PYTHONPATH=layers/core $(BIN)/python -m tests.bench.load $(ARGS)

nightly: setup ## Every fault at every request, pairs of crashes, and the second opinion: make nightly ARGS="--minutes 60 --seed 7"
	@status=0; $(OFFLINE) PYTHONPATH=.:layers/core $(BIN)/python -m tests.faults.nightly $(ARGS) || status=1; \
		$(MAKE) --no-print-directory second-opinion ARGS= || status=1; exit $$status

second-opinion: setup $(SECOND_READY) ## Compare product and local AWS with LocalStack and other implementations
	@$(OFFLINE) PYTHONPATH=.:layers/core $(BIN)/python -m tests.second_opinion $(ARGS)

check: setup ## Lint, types, import contracts and templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:layers/core $(BIN)/lint-imports --no-logo
	$(BIN)/cfn-lint template.yaml spoke.yaml

scan: sbom ## Scan both templates with checkov, and make the SBOM of the layer
	$(SCANNERS)/bin/checkov --config-file .checkov.yaml

sbom: setup $(SCANNERS_READY) ## Write the layer's bill of materials (CycloneDX) to .build/layer.cdx.json
	@mkdir -p .build
	$(SCANNERS)/bin/cyclonedx-py requirements --output-reproducible --sv 1.6 layers/core/requirements.txt \
		-o .build/layer.cdx.json
	$(BIN)/python -m tools.sbom .build/layer.cdx.json

audit: $(SCANNERS_READY) ## Look the pinned packages up among the known vulnerabilities (asks pypi.org)
	$(SCANNERS)/bin/pip-audit --require-hashes --disable-pip --strict --progress-spinner off \
		-r layers/core/requirements.txt -r requirements/dev.txt

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

redrive: setup ## List dead letters of a deployed hub (ARGS=--dry-run), send them back: make redrive CODE=SOURCE_OBJECT_MISSING
	@PYTHONPATH=layers/core $(BIN)/python -m tools.redrive $(if $(CODE),--code $(CODE)) $(if $(ACCOUNT),--account $(ACCOUNT)) $(ARGS)

reconcile: setup ## Compare the spokes with a deployed hub, and mend: make reconcile GROUP=churn ARGS=--dry-run
	@PYTHONPATH=layers/core $(BIN)/python -m tools.reconcile reconcile $(if $(ACCOUNT),--account $(ACCOUNT)) $(if $(GROUP),--group $(GROUP)) $(ARGS)

backfill: setup ## Mirror what was approved before there was a hub: make backfill ACCOUNT=111111111111
	@PYTHONPATH=layers/core $(BIN)/python -m tools.reconcile backfill $(if $(ACCOUNT),--account $(ACCOUNT)) $(if $(GROUP),--group $(GROUP)) $(ARGS)

lock: ## Pin the requirements again (needs uv)
	cd requirements && uv pip compile -U --python-version 3.13 --universal --generate-hashes \
		--no-emit-index-url --no-header -q dev.in -o dev.txt
	uv pip compile --python-version 3.13 --universal --generate-hashes --no-emit-index-url --no-header -q \
		-c requirements/dev.txt layers/core/requirements.in -o layers/core/requirements.txt
	cd requirements && uv pip compile --python-version 3.13 --universal --generate-hashes --no-emit-index-url \
		--no-header -q lambda-image.in -o lambda-image.txt
	# Not --universal: LocalStack cannot be had for Python 3.14.
	cd requirements && uv pip compile --python-version 3.13 --generate-hashes --no-emit-index-url --no-header -q \
		second-opinion.in -o second-opinion.txt
	cd requirements && uv pip compile -U --python-version 3.13 --universal --generate-hashes --no-emit-index-url \
		--no-header -q scanners.in -o scanners.txt
	cd requirements && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

setup: $(READY)

$(READY): requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.13 was not found: install it, or say where it is: make PYTHON=/path/to/python3.13"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) (a minute or two, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $(READY)

$(SCANNERS_READY): requirements/scanners.txt
	@test -n "$(PYTHON)" || { echo "Python 3.13 was not found: install it, or say where it is: make PYTHON=/path/to/python3.13"; exit 1; }
	@echo "Setting up $(SCANNERS) with $(PYTHON) (a minute or two, once)"
	@$(PYTHON) -m venv --clear $(SCANNERS)
	@$(SCANNERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r requirements/scanners.txt
	@touch $(SCANNERS_READY)

$(SECOND_READY): $(SECOND_PINS)
	@test -n "$(PYTHON)" || { echo "Python 3.13 was not found: install it, or say where it is: make PYTHON=/path/to/python3.13"; exit 1; }
	@for program in node npm; do command -v $$program >/dev/null || \
		{ echo "$$program was not found: install Node.js 20 or later; Debian 13: apt-get install nodejs npm"; exit 1; }; done
	@echo "Setting up $(SECOND) with $(PYTHON) (a minute or two, once)"
	@$(PYTHON) -m venv --clear $(SECOND)
	@$(SECOND)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r requirements/second-opinion.txt
	@cp requirements/package.json requirements/package-lock.json $(SECOND)/
	@npm ci --prefix $(SECOND) --no-audit --no-fund --ignore-scripts --loglevel error
	@touch $(SECOND_READY)

clean: ## Remove what was built and set up
	rm -rf $(VENV) $(SECOND) $(SCANNERS) .aws-sam .build .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
