"""Kinds of game: a builder a file, of players, networks and losses."""
