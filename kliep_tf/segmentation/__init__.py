"""Segmentation networks, their training and metrics."""
