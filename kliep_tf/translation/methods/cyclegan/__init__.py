"""CycleGAN (Zhu et al. 2017), weighted by importance."""
