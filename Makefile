# make demo    the main job: does R-Drop help on scikit-learn's handwritten digits?
# make test    linters, types, doctests and the test suite
#
# Both make .venv when it is missing and install into it only when the requirements changed.
# Another interpreter: make PYTHON=python3.12 demo

PYTHON ?= python3
BIN := .venv/bin
# One process more than cores: some tests wait for processes of their own.
PYTEST := $(BIN)/python -m pytest --dist worksteal \
    -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: demo test clean

demo: .venv/demo.stamp
	$(BIN)/rdrop compare digits

test: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy rdrop_tf
	$(PYTEST) --doctest-modules rdrop_tf
	$(PYTEST) tests
	KERAS_BACKEND=jax $(PYTEST) tests/losses tests/models \
	    tests/text/decoding/test_arrays.py tests/text/decoding/test_candidates.py \
	    tests/distribute/test_jax.py tests/training/test_exact_resume.py \
	    tests/training/test_non_finite.py tests/training/test_strategies.py \
	    -m "not tensorflow and not one_backend"

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache

.venv/demo.stamp: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/test.stamp: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit( \
	"rdrop_tf needs Python 3.11, 3.12 or 3.13, got %d.%d: run make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv .venv
