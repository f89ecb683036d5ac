# On a machine with Python 3.11 or newer: `make run` and `make test`. They make their environment by themselves.

PYTHON ?=# the newest that runs, see tools/environment.sh
VENV ?= .venv
ARGS ?=# of the program that the target starts: make test ARGS="-k rotation"
BIN := $(VENV)/bin
export PYTHON

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/installed ## start the exporter on the mail logs of this host, or on a demo where it has none
	$(BIN)/mailstat_exporter --demo=auto $(ARGS)

test: $(VENV)/developed ## run the tests
	$(BIN)/python -m pytest $(ARGS)

test-mta: $(VENV)/developed ## run real mail servers against the exporter and the report (see CONTRIBUTING.md)
	$(BIN)/python -m pytest -m mta tests/mta $(ARGS)

test-stack: $(VENV)/developed ## let all of it run for some minutes with faults, and hold it against the truth
	$(BIN)/python -m pytest -m stack tests/stack $(ARGS)

test-kill: $(VENV)/developed ## kill the exporter 50 times while it probes, and look whether it counted every mail once
	PROBE_KILLS=50 $(BIN)/python -m pytest tests/exporter/probes -k killed $(ARGS)

check: $(VENV)/developed ## check format, lint, types, the direction of imports, and that the documentation is current
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p parsers -p exporter -p mailstat -p docs -p dashboards -p stack
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check
	$(BIN)/python -m dashboards.generate --check

format: $(VENV)/developed ## format the code, and correct what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed ## write the pages that are made from the code
	$(BIN)/python -m docs.generate

man: $(VENV)/developed ## write the manual pages of the two commands to build/man
	$(BIN)/python -m docs.manual build/man

dashboards: $(VENV)/developed ## write the dashboards that are made from the code
	$(BIN)/python -m dashboards.generate

stack: $(VENV)/developed ## start Postfix, Exim, traffic, the exporter, Prometheus and Alertmanager (as root)
	$(BIN)/python -m stack up $(ARGS)

stack-down: $(VENV)/developed ## end what make stack has started
	$(BIN)/python -m stack down $(ARGS)

pictures: $(VENV)/developed ## draw the dashboards' panels for docs/img, from a stack that runs for some minutes
	$(BIN)/python -m stack.picture $(ARGS)

flood: $(VENV)/developed ## send a million names that never come twice, for some minutes
	FLOOD=1000000 $(BIN)/python -m pytest tests/test_flood.py $(ARGS)

bench: $(VENV)/installed ## measure against other programs, for some minutes (ARGS="--lines 200000" is quicker)
	$(BIN)/python -m bench.run $(ARGS)

bench-reasons: $(VENV)/installed ## measure how well reasons are told, on labelled texts (ARGS="--confusions" tells more)
	$(BIN)/python -m bench.reasons $(ARGS)

torture: $(VENV)/installed ## try to make the exporter lose lines, for some twenty minutes (ARGS=--short is quicker)
	$(BIN)/python -m bench.torture $(ARGS)

fuzz: $(VENV)/developed ## throw 10,000 hostile inputs at every entrance, for some minutes (ARGS="--inputs 1000 http" is quicker)
	$(BIN)/python -m bench.fuzz $(ARGS)

bench-queue: $(VENV)/installed ## measure a scan of a queue of a million messages (ARGS=20000 is quicker)
	$(BIN)/python -m bench.queue $(ARGS)

bench-probes: $(VENV)/developed ## measure 500 probes a minute, for some minutes (ARGS="100 70" is 100 probes for 70 seconds)
	$(BIN)/python -m bench.probes $(ARGS)

clean: ## remove all that was made here, the environment too
	rm -rf $(VENV) .ci-venv .ci-packages .ci-cache dist build bench/data .*_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml tools/environment.sh
	tools/environment.sh $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# pip knows dependency groups since 25.1.
$(VENV)/developed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $@

.PHONY: help run test test-mta test-stack test-kill stack stack-down pictures check format docs man dashboards flood bench bench-reasons bench-queue bench-probes torture fuzz clean
