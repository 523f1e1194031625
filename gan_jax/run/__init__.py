"""A run of a game: config, training, evaluation, results, and the command line."""
