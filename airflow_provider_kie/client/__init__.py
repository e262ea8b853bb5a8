"""Speaks kie.ai's API; knows nothing of Airflow."""
