"""Generators taken out of their runs, for those who have no gan_jax."""
