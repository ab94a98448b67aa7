# `make demo` shows the product, `make test` checks it. Both install what they need into .venv first; neither needs root.
PYTHON ?= python3
BIN := .venv/bin
BANKING77 ?= ../shared/data/banking77
PYTEST_PROCESSES ?= 2
ROUNDS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo run test lint format bench bench-peer migration lock wheel-test clean

help:  ## show what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed  ## make .venv with everything the project needs

.venv/.installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## look around in a made-up company; Ctrl-C ends it
	$(BIN)/feedback-loop demo

run: setup  ## prepare the database in ./data and run web and worker
	$(BIN)/feedback-loop init
	$(BIN)/feedback-loop up

test: lint  ## lint, then all tests, on SQLite and where a server answers on PostgreSQL
	BANKING77=$(BANKING77) $(BIN)/python -m pytest -n $(PYTEST_PROCESSES)

lint: setup  ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code in its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## run every measurement (BANKING77=folder of that data set), print the figures; fails at the end if a bar is missed
	@missed=; for each in \
	  "bench/banking77.py $(BANKING77)" \
	  "bench/thresholds.py $(BANKING77)" \
	  "bench/parts.py $(BANKING77)" \
	  "-m bench.redaction" \
	  "-m bench.kinds" \
	  "bench/languages.py" \
	  "bench/corrections.py" \
	  "bench/scale.py $(BANKING77)" \
	  "bench/search.py" \
	  "bench/importing.py 1000" \
	  "bench/fuzz.py" \
	  "bench/page.py" \
	  "bench/answers.py" \
	  "bench/handover.py --mails 1000 10000" \
	  "bench/mail_kills.py" \
	  "bench/mail_kills.py --workers 4" \
	  "bench/mail_kills.py --database sqlite" \
	  "bench/mail_kills.py --mails 200 --kills 0 --delay 0.3" \
	  "bench/mail_kills.py --mails 20 --kills 0 --delay 10 --timeout 12" \
	  "bench/run.py" \
	  "bench/clocks.py" \
	  "bench/drain.py $(BANKING77)" \
	  "bench/pages.py" \
	  "bench/powercut.py" \
	  "bench/migrations.py" \
	  "bench/backups.py" \
	; do echo; echo "== $$each"; $(BIN)/python $$each || missed="$$missed [$$each]"; done; \
	[ -z "$$missed" ] || { echo; echo "Missed a bar or broke off:$$missed"; exit 1; }

bench-peer: setup .venv-peer/.installed  ## compare the analysis with BERTopic as it comes ROUNDS times (Python 3.11, Linux; 2 GB of disk)
	$(BIN)/python bench/peer.py $(BANKING77) --rounds $(ROUNDS)

.venv-peer/.installed: bench/peer.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "The peer needs Python 3.11; name it with: make bench-peer PYTHON=python3.11")'
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r bench/peer.lock || \
	  { echo "Where pip finds no torch 2.13.0+cpu, tell it where that is: PIP_FIND_LINKS=FOLDER make bench-peer"; exit 1; }
	@touch $@

migration: setup  ## draft the next migration: make migration NAME="what it does"
	$(BIN)/alembic revision --autogenerate -m "$(NAME)"

lock: setup  ## resolve the dependencies again; lock files hold names, versions and hashes only
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev -c requirements.lock $(LOCK) -o requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --extra multilingual -c requirements.lock $(LOCK) -o requirements-multilingual.lock
LOCK := --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade

wheel-test: setup  ## build the wheel and try it in a bare environment away from here
	bash tests/wheel.sh $(PYTHON)

clean:  ## remove what the other targets made
	rm -rf .venv .venv-peer build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
