# Everything below needs python3 (3.11 or later) and nothing else: the environment .venv is made when first used.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_ARGS ?= -n 2 -q

.PHONY: demo test check lint types docs wheel clean

demo: .venv/run.stamp
	$(BIN)/hypersplit warm
	$(BIN)/hypersplit demo --out out

test: .venv/dev.stamp
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint types docs test

lint: .venv/dev.stamp
	$(BIN)/ruff check .

# The link gives the name `hypersplit` to the checkers whatever this folder is called.
types: .venv/dev.stamp
	mkdir -p .types && ln -sfn .. .types/hypersplit
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

# The links are all that the page of Python reads; `docs` is a folder too, hence .PHONY above.
docs: .venv/docs.stamp
	mkdir -p .docs/hypersplit
	for part in __init__.py bab encodings heuristics instances; do ln -sfn ../../$$part .docs/hypersplit/$$part; done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The source archive, and the wheel built from that archive.
wheel: .venv/run.stamp
	$(BIN)/python -m pip install --quiet build
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf .venv .types .docs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'hypersplit needs Python 3.11 or later')"
	$(PYTHON) -m venv .venv

.venv/run.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[plot]"
	touch $@

# pip before 25.1 knows no --group, so the list of tools is read from pyproject.toml here.
.venv/dev.stamp: .venv/run.stamp
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'], sep='\n')" > .venv/dev.txt
	$(BIN)/python -m pip install --quiet --requirement .venv/dev.txt
	touch $@

.venv/docs.stamp: pyproject.toml | .venv/run.stamp
	$(BIN)/python -m pip install --quiet --editable ".[plot,docs]"
	touch $@
