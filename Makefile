# purebp: `make verify` and `make test` need Python 3.11 to 3.13 and git, and nothing else.
#
# PYTHON=python3.12 picks another Python. ARGS="..." goes to the command: make verify ARGS="gelu".

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
UV ?= uv
ARGS ?=

# The first Python that has a lock: PYTHON alone where it is given, else the one that made .venv,
# else the usual names. The answer is "XYZ path", as in "311 bin/python3".
CANDIDATES := $(if $(PYTHON),$(PYTHON),$(BIN)/python python3 python python3.13 python3.12 python3.11)
SHOW := import sys; print("%d%d" % sys.version_info[:2], getattr(sys, "_base_executable", sys.executable))
FOUND := $(shell for python in $(CANDIDATES); do \
	found=$$("$$python" -c '$(SHOW)' 2>/dev/null) || continue; \
	if [ -f "constraints/py$${found%% *}.txt" ]; then echo "$$found"; break; fi; done)
VERSION := $(firstword $(FOUND))
BASE_PYTHON := $(wordlist 2,99,$(FOUND))
LOCK := constraints/py$(VERSION).txt
LOCKED := $(VENV)/.locked-py$(VERSION)
READY := $(VENV)/.ready-py$(VERSION)

.PHONY: help .venv verify test bench proof mutants survey costs notebooks docs lint constraints clean check-python
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

verify: $(READY) ## set up, then verify every hand-derived op and print the table
	$(BIN)/purebp verify $(ARGS)

test: $(READY) ## set up, then run the whole property-test suite
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal $(ARGS)

bench: $(READY) ## set up, then time and weigh every op against jax.grad; PyTorch too, if installed
	$(BIN)/purebp bench --output reference/results $(ARGS)

proof: $(READY) ## set up, then verify 119 real wrong gradients, their right twins, and mutants
	$(BIN)/python -m reference.proof $(ARGS)
	$(BIN)/python -m reference.mutants

mutants: $(READY) ## set up, then verify every backward pass with a planted mistake; goes on where it was
	$(BIN)/python -m reference.mutants $(ARGS)

survey: $(READY) ## set up, then set purebp.grad against jax.grad on the public functions of JAX
	$(BIN)/python -m reference.survey $(ARGS)

costs: $(READY) ## set up, then weigh and time purebp.grad against jax.grad on whole programs
	$(BIN)/python -m reference.costs $(ARGS)

notebooks: $(READY) ## set up, then run the notebooks anew, with their outputs; ARGS=01 for one
	$(BIN)/python -m reference.notebooks $(ARGS)

docs: $(READY) ## set up, then make the API reference in build/api/html
	$(BIN)/python -m reference.api $(ARGS)

lint: $(READY) ## set up, then style, formatting, types and the import contract
	@status=0; \
	for check in "ruff check ." "ruff format --check ." \
			"pyright --pythonpath $(BIN)/python" "lint-imports --no-logo --no-cache"; do \
		echo "$(BIN)/$$check"; \
		$(BIN)/$$check || status=1; \
	done; \
	exit $$status

.venv: $(READY) ## the set-up alone: the locked packages and purebp itself, in .venv

# Two stamps: the packages are installed anew when the lock changes, purebp itself (which is
# quick) when pyproject.toml does.
$(LOCKED): $(wildcard $(LOCK)) | check-python
	"$(BASE_PYTHON)" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r $(LOCK)
	@touch $@

$(READY): pyproject.toml $(LOCKED)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--no-deps --no-build-isolation -e .
	@touch $@

check-python:
	@if [ -z "$(VERSION)" ]; then \
		echo "purebp needs Python 3.11, 3.12 or 3.13; tried: $(CANDIDATES)" >&2; \
		for python in $(CANDIDATES); do \
			"$$python" -c 'import sys; print("  %s is Python %d.%d" % (("'$$python'",) + sys.version_info[:2]))' \
				2>/dev/null || echo "  $$python does not run"; \
		done >&2; \
		echo "Install one of them, or name it: make .venv PYTHON=python3.12" >&2; \
		exit 1; \
	fi

constraints: ## make the locks anew, with the newest release of each package (needs uv)
	@mkdir -p constraints
	@for version in 3.11 3.12 3.13; do \
		lock=constraints/py$$(echo $$version | tr -d .).txt; \
		echo "$$lock"; \
		$(UV) pip compile pyproject.toml --quiet --upgrade --output-file $$lock \
			--python-version $$version --universal --fork-strategy fewest \
			--extra test --extra examples --extra graph --extra notebooks --extra docs --extra peers --group build \
			--generate-hashes --no-annotate --no-header \
			--no-emit-index-url --no-emit-find-links || exit 1; \
	done

clean: ## remove everything that the other targets made
	rm -rf $(VENV) build dist .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
