# Every target does its own set-up: idempotent, without prompts, with nothing needed but rustup,
# Node 20 or newer with npm, make and a C compiler. See README.md.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help openapi dev test e2e check build bench admin import setup

PORT ?= 8787
STATE ?= $(CURDIR)/.wrangler/state
export PORT STATE

help: ## What there is
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## The wasm target, pinned tools, npm packages, local secrets
	@node scripts/setup.mjs

dev: ## Serve on http://127.0.0.1:$PORT with a demo origin behind it
	@exec node scripts/dev.mjs

test: setup ## All tests that need nothing else
	cargo test --locked

e2e: setup ## Tests with other languages' clients
	@node scripts/e2e.mjs

check: setup ## Format, lints on host and wasm32, docs, licences, unused dependencies
	@node scripts/check.mjs

build: setup ## The release bundle, with its size
	@node scripts/build.mjs

openapi: setup ## Write the API's description anew, from the code
	@mkdir -p target
	cargo run --quiet --locked --bin edgewarden openapi > target/openapi.json
	mv target/openapi.json src/api/docs/openapi.json

bench: setup build ## Side by side with a bare pass-through and hono + jose; writes bench/RESULTS.md
	@node_modules/node/bin/node bench/run.mjs

# Only from the command line: many shells have a USERNAME of their own.
admin: export USERNAME := $(if $(filter command,$(origin USERNAME)),$(USERNAME))
admin: export ROLE := $(if $(filter command,$(origin ROLE)),$(ROLE))
admin: setup ## USERNAME=… [ROLE=super_admin]: grant a role in the local database
	@node scripts/admin.mjs

import: export FILE := $(if $(filter command,$(origin FILE)),$(FILE))
import: setup ## FILE=users.ndjson: users of another system, into the local database
	@node scripts/import.mjs
