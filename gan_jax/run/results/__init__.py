"""Folders of runs: read, listed, compared."""
