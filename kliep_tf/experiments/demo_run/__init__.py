"""One run of the demo: its flags, its jobs, and the report on it."""
