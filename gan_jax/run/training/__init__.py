"""The loop around the rounds: logs, checkpoints, signals, warnings."""
