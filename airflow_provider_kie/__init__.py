"""Apache Airflow provider for kie.ai."""

__version__ = "0.1.0"
