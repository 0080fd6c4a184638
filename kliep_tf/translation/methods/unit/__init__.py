"""UNIT (Liu et al. 2017) in both published forms, weighted by importance."""
