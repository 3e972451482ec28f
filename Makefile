# The newcomer's commands. They make their own virtual environment, .venv, where there is none.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

.PHONY: demo test test-all test-rest lint docs clean

demo: .venv/demo.installed
	$(BIN)/evenflow demo --backend numpy

test: lint
	$(PYTEST) -m "not gpu and not peers and not slow"

test-all: test test-rest

test-rest: .venv/test-all.installed  # what test leaves out
	$(PYTEST) -m "not gpu and (peers or slow)"
	$(BIN)/python -m tests.bench guard

docs: .venv/docs.installed  # warnings are errors; the site is docs/_site/index.html
	$(BIN)/python -m sphinx -nW --keep-going -E -q -c docs . docs/_site

lint: .venv/test.installed
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/%.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv build dist docs/_site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
