"""Runs generators on large frames in little memory, strip by strip."""
