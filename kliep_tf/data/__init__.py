"""The formats that one program hands to the next."""
