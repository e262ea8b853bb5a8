"""Operators: files and credits."""
