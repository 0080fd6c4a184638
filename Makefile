# `make demo` and `make test` need Python 3.11 to 3.13, git and make, no more:
# each first creates .venv and installs the exact releases of requirements.lock.
#
#   PYTHON=/path/to/python   the Python that .venv is made from
#   CUDA=1                   installs CUDA's libraries too (Linux)
#   ARGS="..."               more arguments for demo and soak (flags), test
#                            (pytest's), lock (uv's) or audit (pip-audit's)

ifdef PYTHON
CANDIDATES := "$(PYTHON)"
else
CANDIDATES := python3 python3.13 python3.12 python3.11 python
endif

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
PIP := $(VENV_PYTHON) -m pip --disable-pip-version-check --no-input
UV_VERSION := 0.13.9
PIP_AUDIT_VERSION := 2.9.0

# The stamp is written last, so an interrupted install is never taken for a
# whole one. CUDA's lock holds all of the plain one: either stamp serves where
# CUDA is not asked for.
ifneq ($(filter-out 0,$(CUDA)),)
LOCK := requirements-cuda.lock
STAMP := $(VENV)/installed-cuda
STAMPS := $(VENV)/installed $(VENV)/installed-cuda
else
LOCK := requirements.lock
STAMP := $(VENV)/installed
STAMPS := $(VENV)/installed
endif

# A user's settings for other environments must not reach into this one. Without
# bytecode, each of the tests' processes would compile every module again.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX

# Sets $$python to the first candidate that is Python 3.11, 3.12 or 3.13.
find_python = found=; python=; \
	for candidate in $(CANDIDATES); do \
	  version=$$("$$candidate" -c 'import sys; \
	    print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
	  case $$version in \
	    3.11.*|3.12.*|3.13.*) python=$$candidate; break;; \
	    *) found="$$found$${found:+, }$$candidate is $$version";; \
	  esac; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: expected Python 3.11, 3.12 or 3.13, found" \
	    "$${found:-none under the name(s)" $(CANDIDATES)"}; name one by" \
	    "make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi

.DEFAULT_GOAL := help
.PHONY: help demo test lint soak docs format install lock audit clean

help: ## lists these targets
	@awk -F ' ## ' '/^[a-z]+:.* ## / { sub(/:.*/, "", $$1); \
	  printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## the whole way on a rendered city, ending with a report
	$(VENV_PYTHON) -m kliep_tf.experiments.demo --output_dir=demo $(ARGS)

test: lint ## ruff, mypy and all tests
	$(VENV_PYTHON) -m pytest $(ARGS)

lint: $(STAMP) ## ruff and mypy
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

# Some 50 minutes of processor time; ARGS="--only=kill,fuzz --scale=.1" does a part.
# The same command again continues.
soak: $(STAMP) ## makes every kind of fault, many times
	$(VENV_PYTHON) -m tests.faults.soak $(ARGS)

# Warnings are errors: a link that leads nowhere, a name that is gone.
# The variable silences mkdocs-material's advertisement of its successor.
docs: $(STAMP) ## builds the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict

format: $(STAMP) ## formats and mends what ruff can mend
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

install: $(STAMP) ## only creates .venv

# The lock is complete, so nothing is resolved here; setuptools, which builds
# the editable install, comes with TensorFlow and stands in the lock as well.
$(STAMP): $(LOCK) setup.py
	@$(find_python); set -x; \
	rm -rf $(VENV) && \
	"$$python" -m venv $(VENV) && \
	$(PIP) install --no-deps -r $(LOCK) && \
	$(PIP) install --no-deps --no-build-isolation -e . && \
	touch $(STAMPS)

lock: ## resolves both locks anew from setup.py; ARGS=--upgrade for newer ones
	@$(find_python); set -ex; \
	scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	"$$python" -m venv "$$scratch"; \
	"$$scratch/bin/python" -m pip install --quiet uv==$(UV_VERSION); \
	compile() { "$$scratch/bin/python" -m uv pip compile --quiet setup.py \
	  --universal --python-version 3.11 --fork-strategy fewest \
	  --custom-compile-command "make lock" "$$@" $(ARGS); }; \
	compile --extra test --extra docs -o requirements.lock; \
	compile --extra test --extra docs --extra cuda -c requirements.lock \
	  -o requirements-cuda.lock

# Asks the index of packages, and needs the network; nothing is installed.
audit: ## looks for known vulnerabilities of the locked releases
	@$(find_python); set -e; \
	scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	"$$python" -m venv "$$scratch"; \
	"$$scratch/bin/python" -m pip install --quiet \
	  pip-audit==$(PIP_AUDIT_VERSION) || { \
	  echo "error: expected to install pip-audit, found no way to the index" \
	    "of packages; run make audit where there is a network" >&2; exit 1; }; \
	"$$scratch/bin/python" -m pip_audit --requirement requirements.lock \
	  --no-deps --disable-pip --strict $(ARGS) || { \
	  echo "error: expected every locked release known and without a" \
	    "vulnerability, found otherwise (above)" >&2; exit 1; }

clean: ## removes .venv, the demo and all caches
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .mypy_cache \
	  site *.egg-info
	find kliep_tf tfrecords_tools tests benchmarks -name __pycache__ \
	  -type d -prune -exec rm -rf {} +
