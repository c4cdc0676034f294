# `make demo` and `make test` are all a newcomer needs; each makes .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests wait for disks and processes a good part of their time: more workers than processors.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 2)

.PHONY: demo serve test test-cluster check bench format clean

$(STAMP): pyproject.toml constraints.txt orchestrator/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[asyncio]" -e "./orchestrator[redis,speed]" --group dev
	touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/python examples/demo/run.py

serve: $(STAMP)
	@$(BIN)/python examples/demo/serve.py

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# The contract with the Kubernetes API, and the commands that use it, against a real cluster: its
# kubeconfig in ORCHCTL_TEST_KUBECONFIG, a busybox in ORCHCTL_TEST_IMAGE and another tag of it in
# ORCHCTL_TEST_IMAGE_2. Everything happens in namespaces of its own, which it deletes, also after
# Ctrl-C; it takes somebody who may make namespaces, and volumes where the cluster makes none.
# Tests wait for pods nearly all the time: a handful at once is no burden for two nodes.
test-cluster: $(STAMP)
	@for each in KUBECONFIG IMAGE IMAGE_2; do \
	  printenv ORCHCTL_TEST_$$each >/dev/null || { echo "set ORCHCTL_TEST_$$each"; exit 2; }; done
	$(BIN)/python -m pytest tests/kubernetes/contract -n 6 $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/orchctl verify-chain --frozen

bench: $(STAMP)
	$(BIN)/python -m benchmarks

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/generate_docs.py

clean:
	rm -rf $(VENV) .demo .serve .mypy_cache .ruff_cache .pytest_cache
