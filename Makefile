# Two commands do all the set-up: `make demo` (use it) and `make test` (work on it).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# the environment of test-lowest; what the tests themselves use comes in its newest version
LOWEST ?= .venv-lowest
LOWEST_PIP = $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check
LOWEST_EXTRAS = opencv,heic,parquet,serve
TEST_TOOLS = hypothesis pytest pytest-cov pytest-xdist scikit-image scikit-learn matplotlib threadpoolctl httpx onnx
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# the CPU build where an index offers one; plain torch brings gigabytes of CUDA
TORCH ?= torch==2.13.0
# tests run in parallel, a process per core; more than a few wait for memory, not for cores. Each begins with a stretch
# of neighbouring tests, which share what their file prepares, and one that has come to its end takes from the others
PARALLEL = --numprocesses=auto --maxprocesses=4 --dist=worksteal --durations=15 --durations-min=10
COVERAGE =
comma = ,

.PHONY: demo test test-torch test-jax test-lowest test-backends check long bench docs links tutorials clean

demo: $(VENV)/.base
	$(BIN)/mien demo --out demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL) $(COVERAGE)

# training once more on torch and JAX in place of TensorFlow: only what differs by backend. One thread is as fast on small
# networks, and torch's threads wait for each other with the core in hand where another process needs it
test-torch: $(VENV)/.torch
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "backend and not long" $(PARALLEL)

test-jax: $(VENV)/.jax
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m "backend and not long and not slow_on_jax" $(PARALLEL) --dist=loadfile

# the base install on the lower bounds of its dependencies, in an environment of its own; old versions may warn of newer
# ones of their own dependencies
test-lowest: $(LOWEST)/.made
	$(LOWEST)/bin/python -m pytest -m "not long and not train" --ignore=tests/training --ignore=tests/tutorial \
	    -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning $(PARALLEL)

check: $(VENV)/.dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# hours: what is too long for CI, then the whole training wing on torch and JAX, then the lowest versions
long: $(VENV)/.dev $(VENV)/.torch $(VENV)/.jax $(LOWEST)/.made
	$(BIN)/python -m pytest -m long
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m train $(PARALLEL)
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m train $(PARALLEL)
	$(MAKE) test-lowest

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/speed.py

# the page of the command line, from its own help; what the web page has from Python; and the site, in site/
docs: $(VENV)/.dev
	$(BIN)/python -m mien.apps.web.constants
	$(BIN)/python -m typer mien.apps.cli utils docs --name mien --output docs/cli.md
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env docs site

# whether what the docs link to elsewhere is still there; needs the network, so no test does it
links: $(VENV)/.dev
	$(BIN)/python -m sphinx --builder linkcheck --quiet docs build/links

# the tutorials as pages with their images: with MIEN_TUTORIAL_DATA naming a folder with fer2013/ and mnist/ those of the
# docs, in about a quarter of an hour of processor time; without it those of synthetic data, in build/tutorials
tutorials: $(VENV)/.tutorials
	$(BIN)/python docs/tutorial_pages.py

clean:
	rm -rf $(VENV) $(LOWEST) demo dist build site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[dev,train]'
	@touch $@

$(VENV)/.tutorials: $(VENV)/.dev
	$(PIP) -e '.[tutorials]'
	@touch $@

$(VENV)/.torch: $(VENV)/.dev
	$(PIP) $(TORCH) onnxscript
	@touch $@

$(VENV)/.jax: $(VENV)/.dev
	$(PIP) 'jax>=0.5'
	@touch $@

$(LOWEST)/.made: pyproject.toml tests/lowest_versions.py
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST_PIP) packaging
	$(LOWEST)/bin/python tests/lowest_versions.py $(subst $(comma), ,$(LOWEST_EXTRAS)) > $(LOWEST)/constraints.txt
	$(LOWEST_PIP) -c $(LOWEST)/constraints.txt -e '.[$(LOWEST_EXTRAS)]'
	$(LOWEST_PIP) -c $(LOWEST)/constraints.txt $(TEST_TOOLS)
	@touch $@

# all of them by one call, for CI
$(VENV)/.all: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[dev,train]' $(TORCH) onnxscript 'jax>=0.5'
	@touch $@ $(VENV)/.dev $(VENV)/.torch $(VENV)/.jax
