"""Data sets in the files that their authors publish, one a file."""
