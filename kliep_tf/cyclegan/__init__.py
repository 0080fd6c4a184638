"""The importance-weighted CycleGAN."""
