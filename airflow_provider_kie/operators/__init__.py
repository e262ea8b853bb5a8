"""Operators: files, jobs and credits."""
