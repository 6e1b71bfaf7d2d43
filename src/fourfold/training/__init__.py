"""Training: settings, one loop for both stages, checkpoints, monitoring."""
