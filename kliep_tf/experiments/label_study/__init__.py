"""What labels of the target buy: hiding them, estimating, judging."""
