"""Bytes up and bytes down."""
