"""Generators on full frames in little memory, strip by strip."""
