"""Where files live for Airflow, and whole transfers."""
