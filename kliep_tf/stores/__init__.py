"""Outputs in object stores: made in a folder here, and mirrored there."""
