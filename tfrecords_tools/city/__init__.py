"""Draws a small city: streets, their labels, and two looks."""
