"""The subjects of a config, one a file: each key's default, check, meaning and object."""
