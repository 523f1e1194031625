"""Generative adversarial networks in JAX: a game is data, a round is one pure function.

`gan_jax.game` is the file to read first. Nothing is imported here, so that the command line answers
at once: `from gan_jax import game, games, losses`.
"""

__version__ = "0.2.0"
