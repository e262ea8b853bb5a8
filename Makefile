# Every command of the project. `make demo` and `make test` work on a fresh clone.

PYTHON ?= python3
LATEST := 3.3
OLDEST := 3.1
BIN := .venv-$(LATEST)/bin
# Tests run side by side, more of them than there are cores: most of their time they wait. 0 runs one at a time.
WORKERS ?= 4
PYTEST := -m pytest --quiet --numprocesses=$(WORKERS) --dist=worksteal

.PHONY: bench bench-waiting callback-test cluster-test demo faults paid unit test lint types docs docs-example \
  test-$(LATEST) test-$(OLDEST) test-ai-providers ui-test pins clean

demo: .venv-$(LATEST)/installed
	$(BIN)/python -m scripts.demo

# What to run after a change: the latest Airflow only, without faults and whole DAGs.
unit: lint types
	$(BIN)/python $(PYTEST) tests/unit

# Part by part, each with what it took.
test:
	@$(MAKE) --jobs=2 .venv-$(LATEST)/installed .venv-$(OLDEST)/installed
	@for part in lint types test-$(LATEST) test-$(OLDEST) test-ai-providers docs docs-example; do \
	  echo "=== $$part"; \
	  began=$$(date +%s); \
	  $(MAKE) --no-print-directory $$part || exit; \
	  echo "=== $$part took $$(($$(date +%s) - began)) s"; \
	done

# The whole fault suite, with every repetition; `make test` runs a small part of it.
faults: .venv-$(LATEST)/installed
	KIE_FAULTS=full $(BIN)/python $(PYTEST) tests/faults tests/runner tests/properties

# That nothing is paid twice, with every kill and 200 random schedules; `make test` runs most of it.
paid: .venv-$(LATEST)/installed
	KIE_PAID=full $(BIN)/python $(PYTEST) tests/paid

# Side by side with what users would pick instead; see benchmarks/README.md for what it needs.
bench: .venv-$(LATEST)/installed
	$(BIN)/pip install --quiet --no-deps --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.run

# A thousand deferred sensors, and a thousand jobs, on a real Airflow beside what users would pick instead.
bench-waiting: .venv-$(LATEST)/installed
	$(BIN)/pip install --quiet --no-deps --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.waiting

# Callbacks on a real Airflow: a simulated kie.ai signs and posts, the documentation's receiver tells Airflow.
callback-test: .venv-$(LATEST)/installed
	$(BIN)/python -m pytest --exitfirst --quiet tests/standalone

# Airflow and the documentation in a browser. KIE_PICTURES=1 also takes the documentation's pictures anew.
ui-test: .venv-$(LATEST)/installed docs
	command -v chromium >/dev/null || (apt-get update -q && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium) || \
	  { echo "There is no Chromium, and it cannot be installed: run apt-get install chromium as root." >&2; exit 1; }
	$(BIN)/python -m pytest --quiet --durations=5 tests/ui

# Celery, two workers, PostgreSQL, Redis and S3, with a worker killed in the middle. Needs Debian's packages
# postgresql and redis-server.
cluster-test: .venv-cluster/installed
	.venv-cluster/bin/python -m pytest --exitfirst --durations=0 --log-cli-level=INFO tests/cluster

lint: .venv-$(LATEST)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv-$(LATEST)/installed
	$(BIN)/mypy

# Coverage counts on the latest Airflow; the oldest leaves out the lines that detect newer features.
test-$(LATEST): .venv-$(LATEST)/installed
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-$(OLDEST): .venv-$(OLDEST)/installed
	.venv-$(OLDEST)/bin/python $(PYTEST)

# Airflow's openai, common.ai and openlineage providers, laid over the environment of the latest Airflow for this
# alone.
test-ai-providers: .venv-$(LATEST)/ai-providers/installed
	PYTHONPATH=$(<D) $(BIN)/python -m pytest --quiet tests/contract/test_openai_providers.py \
	  tests/dags/test_openlineage.py

.venv-$(LATEST)/ai-providers/installed: requirements/ai-providers.txt .venv-$(LATEST)/installed
	rm -rf $(@D)
	$(BIN)/pip install --quiet --no-deps --target $(@D) --requirement $<
	touch $@

docs: .venv-$(LATEST)/installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

# The tests that the documentation shows, as their reader would run them.
docs-example: .venv-$(LATEST)/installed
	home=$$(mktemp -d) && AIRFLOW_HOME=$$home $(BIN)/python -m pytest --quiet docs/examples; \
	  status=$$?; rm -rf $$home; exit $$status

# uv takes seconds where pip takes minutes; pip knows mirrors that uv does not. Without bytecode every process
# of Airflow would compile Airflow for itself where PYTHONDONTWRITEBYTECODE is set.
.venv-%/installed: requirements/airflow-%.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed here; set PYTHON=")'
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/pip install --quiet uv
	.venv-$*/bin/uv pip install --quiet --compile-bytecode --python .venv-$*/bin/python --no-deps \
	    --requirement requirements/airflow-$*.txt \
	  || .venv-$*/bin/pip install --quiet --no-deps --requirement requirements/airflow-$*.txt
	.venv-$*/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	.venv-$*/bin/pip check
	touch $@

# The oldest supported Airflow with what was current when it came out, the latest with what is current now.
# Needs uv (https://docs.astral.sh/uv).
pins:
	for pin in "$(LATEST) apache-airflow==3.3.2 9999-01-01" "$(OLDEST) apache-airflow==3.1.0 2025-10-15"; do \
	  set -- $$pin; \
	  echo "$$2" | uv pip compile --quiet --python-version 3.11 --exclude-newer "$$3" --no-header --no-annotate \
	    --extra simulator --output-file requirements/airflow-$$1.txt - requirements/dev.in pyproject.toml; \
	done
	uv pip compile --quiet --python-version 3.11 --no-header --no-annotate \
	  --constraint requirements/airflow-$(LATEST).txt --output-file requirements/airflow-cluster.txt \
	  requirements/airflow-$(LATEST).txt requirements/cluster.in
	cat requirements/airflow-$(LATEST).txt requirements/ai-providers.in \
	  | uv pip compile --quiet --python-version 3.11 --no-header --no-annotate - \
	  | grep -vxFf requirements/airflow-$(LATEST).txt > requirements/ai-providers.txt

clean:
	rm -rf .venv-* docs/_build .coverage .mypy_cache .pytest_cache .ruff_cache
