"""Estimators and kernels compared: problems, cells, page, plot."""
