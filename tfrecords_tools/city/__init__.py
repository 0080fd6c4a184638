"""A small city that draws itself: streets, their labels, and two looks."""
