"""Evaluators: the scores of a generator on each kind of data, and the metrics by name."""
