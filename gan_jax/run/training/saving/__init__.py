"""What is saved of a run: checkpoints, the lock of its folder, how it went back."""
