"""Discriminators of the features of a frozen network."""

from gan_jax.nets.projected.discriminator import ProjectedDiscriminator

__all__ = ["ProjectedDiscriminator"]
