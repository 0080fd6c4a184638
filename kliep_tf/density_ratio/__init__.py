"""Features, KLIEP and its diagnostics."""
