"""Sensors that wait for kie.ai."""
