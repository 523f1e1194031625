"""What is logged of a run: rows, warnings, the progress line."""
