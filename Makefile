# Kira: what can be done with a checkout. `make` alone lists it.
# A version manager's shim may be on the PATH and still not run, so each candidate is tried.
PY ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do $$p -c 'import sys,venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
DASHBOARD := layers/kira/python/kira/local/dashboard/index.html
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
PYTEST := $(BIN)/python -m pytest tests
# Each home with its number of processes: most tests wait for something, so there are more than processors. A file stays
# in one process, which keeps what its tests share, and conftest.py puts the long ones first. A rehearsal of AWS is many
# processes itself.
# Node 20 is what Debian has; the CDK warns about it in a frame of exclamation marks.
CDK := JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 CDK_DISABLE_CLI_TELEMETRY=true \
  cdk/node_modules/.bin/cdk --no-notices --no-version-reporting
TOGETHER := --dist loadfile --no-loadscope-reorder
HOMES := sqlite:3 postgres:3 aws:2
# Companies and sandboxes with a certificate authority of their own need the system's store.
export UV_SYSTEM_CERTS := 1
# Without kept bytecode each process compiles its libraries again: the CDK's take five seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check bench api lock clean programs synth rehearse cost diff

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run $(DASHBOARD) ## start Kira on this computer and print its address
	@$(BIN)/kira up

test: .venv/.dev $(DASHBOARD) cdk/node_modules/.package-lock.json programs ## check style, types and floors, then run every test (HOMES=sqlite:3: those of the laptop)
	@$(MAKE) --no-print-directory check
	cd frontend && npm run -s check && npm run -s test
	@for home in $(HOMES); do \
	  many=$${home#*:}; home=$${home%:*}; \
	  $(PYTEST) --home $$home -o cache_dir=build/pytest-$$home -n $$many $(TOGETHER) && continue; \
	  echo "What failed is run once more, alone: a busy machine can stall a process for seconds."; \
	  $(PYTEST) --home $$home -o cache_dir=build/pytest-$$home --last-failed --last-failed-no-failures none || exit 1; \
	done

check: .venv/.dev ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports --no-cache

bench: .venv/.dev $(DASHBOARD) ## print the measured marks as ratios
	$(BIN)/python -m tests.bench

programs: ## install what tests need from Debian when it is missing and this is root
	@for program in caddy chromium nginx openssl pgbouncer redis-server; do \
	  PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null && continue; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$program >/dev/null && continue; fi; \
	  echo "$$program is missing: install it (Debian: apt-get install $$program) and run make test again."; exit 1; \
	done

# One stamp per lock: a changed lock is installed again in about a second.
.venv/.build: locks/build.txt
	@test -n "$(PY)" || { echo "Kira needs Python 3.11 or newer."; exit 1; }
	@test -x $(BIN)/python || $(PY) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r locks/build.txt
	@touch $@
.venv/.run: .venv/.build locks/run.txt pyproject.toml
	@echo "Installing Kira's libraries ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r locks/run.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
.venv/.dev: .venv/.run locks/dev.txt
	@echo "Installing the tools for tests ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r locks/dev.txt
	@touch $@

frontend/node_modules/.package-lock.json: frontend/package-lock.json
	@command -v npm >/dev/null || { echo "Kira's dashboard needs Node 20 or newer."; exit 1; }
	@echo "Installing the dashboard's libraries ..."
	@cd frontend && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@
$(DASHBOARD): frontend/node_modules/.package-lock.json $(shell find frontend/src frontend/build frontend/index.html frontend/vite.config.ts -type f 2>/dev/null)
	@echo "Building the dashboard ..."
	@cd frontend && npm run -s build
	@touch $@

api: .venv/.dev frontend/node_modules/.package-lock.json ## make the dashboard's types from the API, and the proofs of the SQL
	$(BIN)/python -m kira.testing.openapi
	cd frontend && npm run -s api
	$(BIN)/python -m kira.testing.prover

cdk/node_modules/.package-lock.json: cdk/package-lock.json
	@command -v npm >/dev/null || { echo "The CDK needs Node 20 or newer."; exit 1; }
	@echo "Installing the CDK ..."
	@cd cdk && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

synth: .venv/.dev cdk/node_modules/.package-lock.json $(DASHBOARD) ## write the CloudFormation templates of AWS
	@$(CDK) synth -q

rehearse: .venv/.dev cdk/node_modules/.package-lock.json $(DASHBOARD) ## deploy to a stand-in for AWS here and ask the first question
	@$(BIN)/python -m tests.rehearsal

cost: synth ## print what AWS costs, idle and for 1,000 runs
	@$(BIN)/python -m kira_cdk cost

diff: synth ## show what a deploy would change, and refuse to lose data (OLD=folder: compare without AWS)
	@$(BIN)/python -m kira_cdk diff $(if $(OLD),--against $(OLD))

lock: ## write the lock files again, with the newest versions that fit
	$(LOCK) --group build -o locks/build.txt
	$(LOCK) pyproject.toml -o locks/run.txt
	$(LOCK) pyproject.toml -c locks/run.txt -c locks/build.txt --group test --group cloud -o locks/dev.txt
	$(LOCK) -c locks/dev.txt --group layer -o locks/layer.txt
	$(LOCK) pyproject.toml --extra aws -c locks/dev.txt -o locks/fleet.txt
	! grep -nE '://|--(extra-)?index-url|--find-links' locks/*.txt
	cd frontend && npm install --package-lock-only && ! grep -n '"resolved"' package-lock.json
	cd cdk && npm install --package-lock-only && ! grep -n '"resolved"' package-lock.json

clean: ## remove everything that was built or installed
	rm -rf .venv frontend/node_modules cdk/node_modules layers/kira/python/kira/local/dashboard build
