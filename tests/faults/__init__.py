"""Faults made on purpose: quick ones in `make test`, all in `make soak`."""
