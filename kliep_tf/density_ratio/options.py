"""The names of KLIEP's solvers and selections; importing them costs nothing."""

SOLVERS = ("interior_point", "gradient_ascent")
# How a bandwidth is scored on held-out data; see `cross_validation`.
SELECTIONS = ("nwj", "lcv")
