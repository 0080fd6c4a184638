"""One run of the demo: its plan, and the report on it."""
