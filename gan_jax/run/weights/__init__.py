"""Weights that a run starts from: of published files, or of another run."""
