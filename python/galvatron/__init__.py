"""Galvatron's Python side: the data tool (`galvatron-data`) and the report (`galvatron-report`)."""

__version__ = "0.1.0"
