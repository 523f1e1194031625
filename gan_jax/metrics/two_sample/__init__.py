"""Comparisons of two sets of features, one of real and one of generated examples."""
