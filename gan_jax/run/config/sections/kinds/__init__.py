"""A section of the config for each kind of game: defaults, checks, builder."""
