"""The config of a run that there is, as a config file: --config=stored.py:RUN."""

from ml_collections import ConfigDict

from gan_jax.run.results.stored_config import read_config


def get_config(workdir: str) -> ConfigDict:
  """Reads the config that a run was started with, or has gone on with since."""
  return read_config(workdir)
