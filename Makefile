# make demo    upscale a picture that ships here (core install, no torch)
# make test    the whole default test suite
# make check   format, lint, types, import rules
# make docs    the documentation site, in build/site
# make dist    wheel and sdist, in dist, checked
# Each target builds what it needs in .venv and needs nothing but Python >= 3.11, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test again check slow docs dist clean

demo: $(VENV)/core.stamp
	$(BIN)/fourfold upscale demo/chelsea.png -o out/chelsea_x4.png --overwrite
	@echo "The result is in out/chelsea_x4.png; compare it with demo/chelsea.png"

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

again: $(VENV)/dev.stamp
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --exitfirst $(PYTEST_ARGS)

slow: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m slow

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: export NO_MKDOCS_2_WARNING = true
docs: $(VENV)/docs.stamp
	$(BIN)/python -m mkdocs build --strict
	@echo "The site is in build/site; open build/site/index.html"

dist: $(VENV)/dev.stamp
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m pip install virtualenv && $(PYTHON) -m virtualenv $(VENV); }

$(VENV)/core.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -q -c constraints.txt -e .
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	$(PIP) install -q -c constraints.txt --no-deps spandrel  # it wants a torchvision that tests stand in for
	touch $@ $(VENV)/core.stamp

$(VENV)/docs.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	touch $@ $(VENV)/core.stamp

clean:
	rm -rf $(VENV) out build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
