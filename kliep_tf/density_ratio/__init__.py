"""How typical an image is of the other domain: features, KLIEP, weights."""
