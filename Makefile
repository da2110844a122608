# make demo    the main job on the bundled data and model, ending with a table of scores
# make test    the tests
# make bench   what the engine costs against its peers (an hour); bench-quick: the main ratios
# make check   everything CI runs
# The environment in .venv is made once, and again when pyproject.toml or constraints.txt change.

PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
DEMO := .lampbench/demo
# Of the 32 bundled users; all of them take two to three times as long.
DEMO_USERS ?= 8

# The GPU's numbers: BENCH="--device cuda --dtype bfloat16" BENCH_MODELS="mistral-7b-shape"
BENCH ?=
BENCH_MODELS ?= bundled 100m

.PHONY: demo env test lint types tables check clean bench bench-quick

demo: env
	$(BIN)/lampbench run --method cope --task news_headline --users $(DEMO_USERS) \
		--results $(DEMO)/results --store $(DEMO)/artifacts

env: $(STAMP)

# torch by itself and first: its pin decides what everything else may bring along.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "making the environment in $(VENV) (a minute or two, the first time)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

test: env
	$(BIN)/pytest

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/mypy

tables: env
	$(BIN)/lampbench tables

bench: env
	for model in $(BENCH_MODELS); do \
		$(BIN)/python -m benchmarks.decoding --model $$model $(BENCH) && \
		$(BIN)/python -m benchmarks.training --model $$model $(BENCH) || exit 1; \
	done
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.sharing
	$(BIN)/python -m benchmarks.metrics

bench-quick: env
	$(BIN)/python -m benchmarks.quick

check:
	.ci/run

clean:
	rm -rf $(VENV) .lampbench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
