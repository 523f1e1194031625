"""All losses under seven penalties, on a grid of twenty-five Gaussians."""

from ml_collections import ConfigDict

from gan_jax.config import from_file


def get_config() -> ConfigDict:
  config = from_file("losses_ring.py", __file__)
  config.base.data = "grid25"
  config.base.batch_size = 128
  config.seeds = (0, 1, 2)
  config.collapse = "modes<25"
  return config
