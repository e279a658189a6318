# Two commands: `make dev` runs everything on this machine, `make test` proves it.
# They need Python 3.11+, make and the package registries; the rest they fetch into this folder.

SHELL := /bin/sh
.DEFAULT_GOAL := help

UV := sh scripts/uv.sh
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
STUDIO := web/apps/studio/dist/index.html
WEB_SOURCES := $(shell find web -name node_modules -prune -o -name dist -prune -o -type f \
  \( -name '*.ts' -o -name '*.tsx' -o -name '*.css' -o -name '*.html' -o -name '*.json' -o -name '*.svg' \) -print)

.PHONY: help dev test check lint types contracts docs test-python test-web journey journey-long example test-long bench format wheel sbom licences clean

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: .venv/ready $(STUDIO) ## Run service, worker and studio page in one process
	@media-pipeline dev

test: check test-web journey example test-python ## Prove everything: what CI runs

check: lint types contracts docs ## Lint, format, types, import contracts and links, without running anything

lint: .venv/ready
	@ruff check .
	@ruff format --check .

types: .venv/ready
	@mypy

contracts: .venv/ready
	@lint-imports --no-logo

docs: .venv/ready web/node_modules/ready ## Build the site of the pages, with live examples, into build/site
	@sh scripts/site.sh

test-web: .venv/ready web/node_modules/ready $(STUDIO) ## The web packages' lint, types, tests and sizes
	@cd web && npm run --silent check && npm test --silent && npm run --silent size

journey: .venv/ready $(STUDIO) docs ## Walk through the studio and the pages' live examples in a real browser
	@sh scripts/chromium.sh
	@cd web && npm run --silent e2e

example: .venv/ready $(STUDIO) ## A fresh app with the packed packages, in a real browser
	@sh scripts/chromium.sh
	@cd web && npm run --silent example

test-python: .venv/ready $(STUDIO) ## The Python tests
	@pytest

test-long: .venv/ready $(STUDIO) ## Only the full figures; LONG=tests/... or LONG="-k kills" picks some
	@pytest -m long --timeout 1800 -rP $(LONG)

journey-long: .venv/ready $(STUDIO) ## 200 MB through a browser into a bucket, with three cuts
	@sh scripts/chromium.sh
	@cd web && BIG_UPLOAD_MIB=200 npm run --silent e2e -- bucket

bench: .venv/ready ## The benchmarks, each beside its floor in the same run
	@$(UV) sync --locked --quiet --group bench
	@python -m bench.queue
	@python -m bench.latency
	@python -m bench.realtime
	@python -m bench.storage

format: .venv/ready web/node_modules/ready ## Write the code as the linters want it
	@ruff check --fix . && ruff format .
	@cd web && npm run --silent format

wheel: .venv/ready $(STUDIO) ## Build wheel and sdist with the studio inside, and requirements with hashes
	@sh scripts/package.sh dist

sbom: .venv/ready web/node_modules/ready ## List what the program and the pages are made of (CycloneDX)
	@mkdir -p dist
	@$(UV) export --quiet --locked --no-dev --format cyclonedx1.5 --output-file dist/media-pipeline.cdx.json
	@cd web && npm sbom --silent -w @project/studio --sbom-type application --sbom-format cyclonedx > ../dist/media-pipeline-web.cdx.json

licences: .venv/ready ## Write the licences of what the program needs into docs/third-party.md
	@python scripts/licences.py

clean: ## Remove everything that was fetched or built
	rm -rf .venv .uv dist build web/node_modules web/*/*/dist

.venv/ready: pyproject.toml uv.lock scripts/uv.sh
	@$(UV) sync --locked --quiet
	@touch $@

web/node_modules/ready: web/package-lock.json | .venv/ready
	@cd web && npm ci --loglevel=error --no-fund --no-audit
	@touch $@

$(STUDIO): web/node_modules/ready $(WEB_SOURCES)
	@cd web && npm run --silent build
	@touch $@
