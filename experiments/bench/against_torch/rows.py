"""Rows of the table: a game each, as an experiment with other values."""

import importlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax.nets import NETWORKS
from gan_jax.nets.dcgan import INIT
from gan_jax.nets.layers import Norm
from gan_jax.nets.linear import Conv, Dense, TransposedConv
from gan_jax.run.config import complete, network, optimizer, replaced


class FullWidthGenerator(nn.Module):
  """Maps latents to a map [7, 7, 128], to 128 channels, to 64 and, by a 3x3 window, to digits."""

  shape: tuple[int, ...] = (28, 28, 1)
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] to digits [B, 28, 28, 1], float32; ignores labels y."""
    options: dict[str, Any] = {"dtype": self.dtype, "kernel_init": INIT}
    active = lambda x: nn.relu(Norm("batch", self.axis_name, self.dtype)(x, train=train))
    x = Dense(7 * 7 * 128, use_bias=False, **options)(z).reshape(-1, 7, 7, 128)
    for width in (128, 64):
      x = TransposedConv(width, use_bias=False, **options)(active(x))
    return nn.tanh(Conv(1, **options)(active(x)).astype(jnp.float32))


def _pair(kind: str, generator: dict[str, Any], discriminator: dict[str, Any]) -> dict[str, Any]:
  networks = {"generator": generator, "discriminator": discriminator}
  return {side: network(f"{kind}_{side}", **options) for side, options in networks.items()}


def _adam(rate: float, b1: float) -> dict[str, Any]:
  """Lists the keys of Adam for both players, at a constant rate."""
  adam = lambda: optimizer("adam", learning_rate=rate, b1=b1)
  return {f"optimizers.{player}": adam() for player in ("discriminator", "generator")}


_PLAIN = {"regularizers.r1": 0.0, "average.name": "none", "latent.dim": 100} | _adam(2e-4, 0.5)
_FULL_WIDTH = _PLAIN | {
  "generator": ConfigDict({"name": "full_width_generator", "dtype": "float32"}),
  "discriminator": network("dcgan_discriminator", width=64, norm="none"),
}
_WIDE, _DEEP = {"hidden": (1024,) * 3}, {"hidden": (128,) * 4}
_LEAKY = {**_WIDE, "activation": "leaky_relu"}
_DIGITS_32 = {"image_size": 32, "channels": 3, "flip": False}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
  "mnist_dcgan": ("mnist_dcgan", {}),
  "mnist_dcgan_16": ("mnist_dcgan", {"batch_size": 16}),
  "mnist_dcgan_256": ("mnist_dcgan", {"batch_size": 256}),
  "full_width": ("mnist_dcgan", _FULL_WIDTH),
  "full_width_r1": ("mnist_dcgan", _FULL_WIDTH | {"regularizers.r1": 1.0}),
  "mlp": (
    "mnist_mlp",
    {**_PLAIN, **_pair("mlp", {**_WIDE, "output": "tanh"}, _LEAKY), "batch_size": 100},
  ),
  "ring": ("ring", {**_pair("mlp", _DEEP, _DEEP), "batch_size": 512} | _adam(2e-3, 0.0)),
  "wgan_gp": ("wgan_gp_mnist", {}),
  "sngan": (
    "cifar10_sngan",
    {**_pair("sngan", {"width": 64}, {"width": 64}), "data": "mnist10k", "batch_size": 32}
    | {f"data_options.{key}": value for key, value in _DIGITS_32.items()}
    | {"k": 1, "rounds_per_call": 2}
    | _adam(2e-4, 0.0),
  ),
  "r3gan": ("r3gan_mnist", {"generator.output": "linear"}),  # as published
  # As many rounds a dispatch as lie between two applications of R1.
  "stylegan2": (
    "stylegan2_mnist",
    {"rounds_per_call": 16, "generator.mixing": 0.9, "generator_regularizers.path_length": 2.0},
  ),
  "biggan": ("biggan_fashion", {"data": "mnist10k"}),
}


def config_of(row: str, dtype: str) -> ConfigDict:
  """Builds the complete config of a row, whose networks compute in this dtype."""
  NETWORKS["full_width_generator"] = FullWidthGenerator
  experiment, changes = ROWS[row]
  config = importlib.import_module(f"experiments.{experiment}").get_config()
  dtypes = {f"{side}.dtype": dtype for side in ("generator", "discriminator")}
  return complete(replaced(config, changes | dtypes))
