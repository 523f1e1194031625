"""Scores and samples of a run, and the cards that say how they were made."""
