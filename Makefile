# make run    the server with its market simulator, and the operator console on it
# make test   lint, types, import contracts, all tests, and known weaknesses of what is pinned or vendored
# make binary  dist/lanecast: all of it in one executable, for machines without Python; tests it
# make soak   the tests that take minutes
# make bench  the measurements, twenty minutes of them (benchmarks/README.md says what each is)
# make fuzz   ten million inputs for all that is read from outside (an hour and more)
# make autobahn  the Autobahn testsuite against the WebSocket layer; it needs a Python 2.7
# make audit  whether a package that is pinned or vendored has a known weakness; fails too if nobody can be asked
# make dictionary  trains the shipped zstd dictionary anew: after payloads have changed
# make clean  removes what these made

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SHIPPED := $(shell find monitor tui static -type f ! -name '*.pyc')
CHROMIUM := command -v chromium || command -v chromium-browser || command -v google-chrome || \
	command -v google-chrome-stable

# Hundreds of processes start in a run of the tests: what is compiled once is kept, whatever is set outside.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test binary soak bench fuzz autobahn audit dictionary clean chromium

# Ctrl-C is how it ends: neither the shell nor make is to report it as an error.
run: $(VENV)/run.stamp
	@trap : INT; $(BIN)/lanecast run || test $$? -eq 130

# In four processes, since the tests often wait. `make binary` tests the executable.
test: $(VENV)/test.stamp chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m tests.audit || test $$? -eq 2

binary: dist/lanecast $(VENV)/test.stamp chromium
	$(BIN)/pytest tests/test_shipped.py

dist/lanecast: $(VENV)/test.stamp packaging/lanecast.spec $(SHIPPED)
	@mkdir -p build
	@echo "packing Python, the packages and Lanecast into dist/lanecast (a minute or two)"
	@$(BIN)/pyinstaller --noconfirm --log-level ERROR --distpath dist --workpath build packaging/lanecast.spec
	@touch $@

soak: $(VENV)/test.stamp
	$(BIN)/pytest -m soak --override-ini faulthandler_timeout=3600

bench: $(VENV)/test.stamp
	@for name in $$(grep -l '^if __name__' benchmarks/*.py | grep -v soak | xargs -n 1 basename -s .py) fanout; do \
		echo "== $$name" && $(BIN)/python -m benchmarks.$$name || exit; done

fuzz: $(VENV)/test.stamp
	@$(INSTALL) --editable '.[fuzz]' || echo "atheris can't be had here: inputs are mutated, not led by coverage"
	$(BIN)/python -m tests.fuzz

autobahn: $(VENV)/test.stamp
	$(BIN)/python -m tests.autobahn

audit: $(VENV)/test.stamp
	$(BIN)/python -m tests.audit

dictionary: $(VENV)/run.stamp
	$(BIN)/lanecast dictionary train --seconds 900 --output monitor/_data/lanecast.zdict

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find monitor tui tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (first run, about a minute)"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV), with what the tests need (first run, a minute or two)"
	@$(INSTALL) --editable '.[test,binary]'
	@touch $@ $(VENV)/run.stamp

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "lanecast needs Python 3.11 or newer; set PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The page is tested in a real browser. Debian's needs root to install; without it, say what to do.
chromium:
	@{ $(CHROMIUM); } >/dev/null || { \
		echo "installing chromium, in which the page is tested (a minute)"; \
		root=; test "$$(id -u)" = 0 || root="sudo -n"; \
		$$root apt-get update -qq && $$root apt-get install -y -qq --no-install-recommends chromium; \
	} || { echo "the page's tests need a browser: install chromium or google-chrome" >&2; exit 1; }
