"""What every training run shares: the loop, checkpoints, replicas."""
