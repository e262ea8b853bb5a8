# Every command of the project. `make demo` and `make test` work on a fresh clone, with any Python from 3.11 to 3.14
# that scripts/find-python finds, or with the one in PYTHON.

LATEST := 3.3
OLDEST := 3.1
# Airflow 3.1 takes no Python after 3.13; where there is no other, the next Airflow is the oldest.
OLDEST_HERE := $(shell scripts/find-python $(OLDEST) >/dev/null 2>&1 && echo $(OLDEST) || echo 3.2)
BIN := .venv-$(LATEST)/bin
# Tests run side by side, more of them than there are cores: most of their time they wait. 0 runs one at a time.
WORKERS ?= 4
PYTEST := -m pytest --quiet --numprocesses=$(WORKERS) --dist=worksteal

.PHONY: bench bench-waiting callback-test cluster-test demo dist-test faults paid unit test lint types docs \
  docs-example environments test-$(LATEST) test-ai-providers test-lowest test-matrix ui-test pins clean
.PRECIOUS: .venv-%/installed
.SECONDEXPANSION:

demo:
	@echo "This takes one to two minutes, and two more the first time, to install Airflow."
	@scripts/run-parts .venv-$(LATEST)/installed demo-$(LATEST)

demo-%: .venv-%/installed
	.venv-$*/bin/python -m scripts.demo

# What to run after a change: the latest Airflow only, without faults and whole DAGs.
unit: lint types
	$(BIN)/python $(PYTEST) tests/structure tests/unit

test:
	@echo "This takes some fifteen minutes on two cores, and three more the first time, to install Airflow twice."
	@scripts/run-parts environments lint types test-$(LATEST) test-$(OLDEST_HERE) \
	  $(if $(filter $(OLDEST),$(OLDEST_HERE)),test-lowest) test-ai-providers docs docs-example

environments:
	@$(MAKE) --jobs=2 .venv-$(LATEST)/installed .venv-$(OLDEST_HERE)/installed

# The unit tests and the demo on every Airflow and Python that is there; AIRFLOWS= and PYTHONS= narrow it.
test-matrix:
	python=$$(scripts/find-python $(LATEST)) && $$python -m scripts.matrix

# What is published: built, looked into, installed where there is nothing but Airflow, and used there.
dist-test: .venv-$(LATEST)/installed
	$(BIN)/python -m pytest --exitfirst --quiet tests/dist

# The whole fault suite, with every repetition; `make test` runs a small part of it.
faults: .venv-$(LATEST)/installed
	KIE_FAULTS=full $(BIN)/python $(PYTEST) tests/faults tests/runner tests/properties

# That nothing is paid twice, with every kill and 200 random schedules; `make test` runs most of it.
paid: .venv-$(LATEST)/installed
	KIE_PAID=full $(BIN)/python $(PYTEST) tests/paid

# Side by side with what users would pick instead, in at most 20 minutes; see benchmarks/README.md for what it needs.
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

# Airflow and the documentation in a browser. KIE_PICTURES=1 also takes the documentation's pictures anew. Needs
# Debian's package chromium.
ui-test: .venv-$(LATEST)/installed docs
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

# Coverage counts on the latest Airflow; others leave out the lines that detect newer features.
test-$(LATEST): .venv-$(LATEST)/installed
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-%: .venv-%/installed
	.venv-$*/bin/python $(PYTEST)

# The lowest versions that pyproject.toml allows, laid over the environment of the oldest Airflow for this alone.
test-lowest: .venv-$(OLDEST)/lowest/installed
	PYTHONPATH=$(<D) .venv-$(OLDEST)/bin/python $(PYTEST) \
	  tests/unit/client/http tests/unit/client/transfer tests/unit/hooks tests/unit/triggers

# Airflow's openai, common.ai and openlineage providers, laid over the environment of the latest Airflow for this
# alone. In two processes, because the first leaves an event loop behind, which ends the second's with a warning.
test-ai-providers: .venv-$(LATEST)/ai-providers/installed
	PYTHONPATH=$(<D) $(BIN)/python -m pytest --quiet tests/contract/test_openai_providers.py
	PYTHONPATH=$(<D) $(BIN)/python -m pytest --quiet tests/dags/test_openlineage.py

docs: .venv-$(LATEST)/installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

# The tests that the documentation shows, as their reader would run them.
docs-example: .venv-$(LATEST)/installed
	home=$$(mktemp -d) && AIRFLOW_HOME=$$home $(BIN)/python -m pytest --quiet docs/examples; \
	  status=$$?; rm -rf $$home; exit $$status

# .venv-3.3 has the Python that is there, .venv-3.3-py3.12 the Python 3.12.
# uv takes seconds where pip takes minutes; pip knows mirrors that uv does not. Without bytecode every process
# of Airflow would compile Airflow for itself where PYTHONDONTWRITEBYTECODE is set.
.venv-%/installed: requirements/airflow-$$(firstword $$(subst -py, ,$$*)).txt pyproject.toml
	set -e; python=$$(scripts/find-python $(firstword $(subst -py, ,$*))); $$python -m venv --clear .venv-$*
	.venv-$*/bin/pip install --quiet uv
	.venv-$*/bin/uv pip install --quiet --compile-bytecode --python .venv-$*/bin/python --no-deps \
	    --requirement $< \
	  || .venv-$*/bin/pip install --quiet --no-deps --requirement $<
	.venv-$*/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	.venv-$*/bin/pip check
	touch $@

.venv-$(LATEST)/ai-providers/installed .venv-$(OLDEST)/lowest/installed: \
  requirements/$$(notdir $$(@D)).txt $$(dir $$(@D))installed
	rm -rf $(@D)
	$(dir $(@D))bin/pip install --quiet --no-deps --target $(@D) --requirement $<
	touch $@

# One file for each Airflow, valid on every Python it runs on, with what was current at a date; the .in files give
# reasons. Then what is laid over them. Needs uv (https://docs.astral.sh/uv).
DIRECT = $(shell grep -oE '"[a-z0-9-]+>=' pyproject.toml | tr -d '">=' | paste -sd '|')
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate
pins:
	for pin in "3.1 2025-09-27" "3.2 2026-07-05" "3.3 9999-01-01" "3.4 9999-01-01"; do \
	  set -- $$pin; \
	  $(COMPILE) --exclude-newer "$$2" --extra simulator --output-file requirements/airflow-$$1.txt \
	    requirements/airflow-$$1.in requirements/dev.in pyproject.toml || exit; \
	done
	$(COMPILE) --constraint requirements/airflow-$(LATEST).txt --output-file requirements/airflow-cluster.txt \
	  requirements/airflow-$(LATEST).txt requirements/cluster.in
	cat requirements/airflow-$(LATEST).txt requirements/ai-providers.in | $(COMPILE) - \
	  | grep -vxFf requirements/airflow-$(LATEST).txt > requirements/ai-providers.txt
	grep -vE '^($(DIRECT))==' requirements/airflow-$(OLDEST).txt > requirements/.others.txt
	$(COMPILE) --resolution lowest-direct --extra simulator --constraint requirements/.others.txt pyproject.toml \
	  | grep -vxFf requirements/airflow-$(OLDEST).txt > requirements/lowest.txt
	rm requirements/.others.txt

clean:
	rm -rf .venv-* docs/_build .coverage .mypy_cache .pytest_cache .ruff_cache
