"""Adapting a segmenter to a target domain without labels: one file a method."""
