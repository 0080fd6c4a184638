"""Draws a small city: streets, their labels, and their looks."""
