# The newcomer's two commands. Both make their own virtual environment, .venv, where there is none.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/demo.installed
	$(BIN)/evenflow demo --backend numpy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m "not gpu"

lint: .venv/test.installed
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/%.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
