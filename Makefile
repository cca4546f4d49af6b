# Two commands: `make demo` and `make test`. Each sets up everything it needs in .venv.
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := pyproject.toml constraints.txt scripts/venv.sh

.PHONY: help demo test lint bench examples results screenshots clean

help:
	@echo "make demo         set up and open the explorer on a recorded run"
	@echo "make test         set up and run every check and test, the browser ones included"
	@echo "make bench        print the benchmarks' ratios"
	@echo "make examples     train the shipped example recordings anew"
	@echo "make results      train every study over six seeds with its controls, and write the results page"
	@echo "make screenshots  take the pictures of the README from the running product"

demo: $(VENV)/.lab
	$(BIN)/rdmviz demo $(DEMO)

test: lint
	$(BIN)/python scripts/ensure_chromium.py
	$(BIN)/python -m pytest tests/browser # by themselves: what other tests leave running must not slow them
	$(BIN)/python -m pytest --ignore tests/browser

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python scripts/ensure_chromium.py
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

examples: $(VENV)/.dev
	$(BIN)/python scripts/make_examples.py

results: $(VENV)/.dev
	$(BIN)/python scripts/make_results.py $(RESULTS)

screenshots: $(VENV)/.dev
	$(BIN)/python scripts/ensure_chromium.py
	$(BIN)/python scripts/make_screenshots.py

$(VENV)/.pip: scripts/venv.sh
	sh scripts/venv.sh $(VENV)
	touch $@

$(VENV)/.lab: $(SOURCES) $(VENV)/.pip
	$(PIP) install -q -c constraints.txt -e '.[lab]'
	touch $@

# torch goes first, at its pin, so that nothing that depends on it can pull another build.
$(VENV)/.dev: $(SOURCES) $(VENV)/.pip
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.lab

clean:
	rm -rf $(VENV) build dist artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
