"""Tests of DAGs: the pytest fixtures, and an Airflow for tests alone."""
