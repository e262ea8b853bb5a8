"""Decisions that need no I/O and nothing else of the provider."""
