# Each command does all set-up itself; see scripts/setup_env.sh.
PYTHON_IN_VENV := .venv/bin/python
DATA ?=

.PHONY: help setup quickstart test test-all lint

help:
	@echo 'make quickstart              draw a data set, train dense, AdaSAP, compare on clean and corrupted images'
	@echo 'make quickstart DATA=folder  the same on your data in Pascal VOC layout'
	@echo 'make test                    the fast tests'
	@echo 'make test-all                all tests'

setup:
	@bash scripts/setup_env.sh

quickstart: setup
	@$(PYTHON_IN_VENV) tools/quickstart.py $(if $(DATA),--data '$(DATA)')

# Threads that wait for each other are slower than none on networks this small, many times so beside other work.
test test-all: export OMP_NUM_THREADS ?= 1

test: setup lint
	@$(PYTHON_IN_VENV) -m pytest -m 'not slow'

test-all: setup lint
	@$(PYTHON_IN_VENV) -m pytest

lint: setup
	@$(PYTHON_IN_VENV) -m ruff check .
