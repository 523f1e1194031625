"""StyleGAN2: mapping, synthesis and discriminator (Karras et al. 2020, 1912.04958, 2006.06676)."""

from gan_jax.nets.stylegan2.discriminator import StyleGAN2Discriminator
from gan_jax.nets.stylegan2.generator import StyleGAN2Generator

__all__ = ["StyleGAN2Discriminator", "StyleGAN2Generator"]
