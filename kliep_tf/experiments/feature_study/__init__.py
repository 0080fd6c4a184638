"""Which features recover a known density ratio: cells, page, plot."""
