# Two commands do all the set-up: `make demo` (use it) and `make test` (work on it).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# the CPU build where an index offers one; plain torch brings gigabytes of CUDA
TORCH ?= torch==2.13.0
# files of tests side by side, one a core; more than a few wait for memory, not for cores
SIDE_BY_SIDE = --numprocesses=auto --maxprocesses=4 --dist=loadfile --durations=12 --durations-min=10

.PHONY: demo test test-torch test-jax check long bench docs links lessons clean

demo: $(VENV)/.base
	$(BIN)/mien demo --out demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# the training wing once more, on torch in place of TensorFlow; one thread is as fast on small networks, and torch's
# threads wait for each other with the core in hand where another process needs it
test-torch: $(VENV)/.torch
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "train and not long" $(SIDE_BY_SIDE)

# and on JAX what differs there: runs on all three backends, several devices
test-jax: $(VENV)/.jax
	KERAS_BACKEND=jax $(BIN)/python -m pytest tests/training/test_backends.py tests/training/test_devices.py \
		tests/training/test_state.py tests/training/test_faces.py tests/training/test_on_device.py $(SIDE_BY_SIDE)

check: $(VENV)/.dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

long: $(VENV)/.dev
	$(BIN)/python -m pytest -m long

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

# the lessons as pages with their images: with MIEN_TUTORIAL_DATA naming a folder with fer2013/ and mnist/ those of the
# docs, in about a quarter of an hour of processor time; without it those of drawn data, in build/lessons
lessons: $(VENV)/.lessons
	$(BIN)/python docs/lesson_pages.py

clean:
	rm -rf $(VENV) demo dist build site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,train]'
	@touch $@

$(VENV)/.lessons: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lessons]'
	@touch $@

$(VENV)/.torch: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) onnxscript
	@touch $@

$(VENV)/.jax: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'jax>=0.5'
	@touch $@
