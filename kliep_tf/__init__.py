"""Semantically consistent synthetic-to-real translation by KLIEP weights."""

__version__ = "0.1.0"
