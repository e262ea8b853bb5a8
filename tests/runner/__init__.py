"""Operators and sensors under Airflow's own supervisor: what may end, skip or repeat their work."""
