# `make run` and `make test` need nothing but Debian or Ubuntu with Python 3.11+; setup.sh installs the rest.

PYTHON := aar benchmarks examples jobs tests

.DEFAULT_GOAL := help
.PHONY: help run test check setup lint clean

unexport PYTHONDONTWRITEBYTECODE  # every import, in every Ray worker, would cost double

help:
	@echo 'make run     set everything up, then run the quickstart campaign (or resume it)'
	@echo 'make test    set everything up, then run all checks and tests'
	@echo 'make check   the same without the slow tests'
	@echo 'make clean   remove what make made here: environments and caches, but no campaign'

run: setup
	.venv/bin/aar run jobs/quickstart.toml

test: lint
	.venv/bin/pytest -q -n 2 -m 'not campaign'
	.venv/bin/pytest -q -m campaign

check: lint
	.venv/bin/pytest -q -n 2 -m 'not slow'

setup:
	@./setup.sh

lint: setup
	.venv/bin/ruff check $(PYTHON)
	.venv/bin/ruff format --check $(PYTHON)
	.venv/bin/mypy

clean:
	rm -rf .venv .uv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find aar tests jobs -name __pycache__ -type d -prune -exec rm -rf {} +
