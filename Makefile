# `make` alone lists the targets. Each makes .venv first if there is none.
PYTHON ?= python3
# For example PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu" for the small CPU build of torch.
PIP_FLAGS ?=
PROMPT ?= a fox on a light blue background
OUT ?= pictures
BIN := .venv/bin
export PROMPT OUT
.DEFAULT_GOAL := help
.PHONY: help imagine test format lint types imports unit soak bench docs clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

imagine: .venv/plain ## paint four pictures: make imagine PROMPT="a red apple"
	@$(BIN)/pictura imagine "$$PROMPT" --out "$$OUT"

test: lint types imports unit ## everything that CI runs: format check, lint, types, imports, tests

format: .venv/dev ## lay out the code and repair what can be repaired
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

lint: .venv/dev ## format check and lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: .venv/dev ## mypy --strict
	@$(BIN)/mypy

imports: .venv/dev ## the import contracts of pyproject.toml
	@$(BIN)/lint-imports --no-logo

unit: .venv/dev ## the tests alone
	@$(BIN)/pytest

soak: .venv/dev ## the long proofs; write their result into docs/reliability.md
	@$(BIN)/pytest --soak -m slow

bench: .venv/dev ## measure this machine and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks.paint --write
	@$(BIN)/python -m benchmarks.train --write
	@$(BIN)/python -m benchmarks.gan --write

docs: .venv/dev ## write docs/cli.md from the commands themselves
	@$(BIN)/python docs/write_cli.py

clean: ## remove what the tools cache, not .venv
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -m venv .venv

# What painting needs, without torch.
.venv/plain: pyproject.toml | .venv/bin/python
	@$(BIN)/pip install --quiet $(PIP_FLAGS) --editable .
	@touch $@

# What training, tests and lint need, on top.
.venv/dev: pyproject.toml | .venv/bin/python
	@$(BIN)/pip install --quiet $(PIP_FLAGS) --editable '.[dev]'
	@touch .venv/plain $@
