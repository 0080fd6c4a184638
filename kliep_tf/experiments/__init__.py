"""The paper's experiments and the demo: programs, and their parts below."""
