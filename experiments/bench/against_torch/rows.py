"""Training steps that are timed: rows of the table, each the config of a game."""

import importlib
import math
from collections.abc import Callable
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
from gan_jax.run.config.register import register

DTYPES = ("float32", "bfloat16")
FULL_WIDTH = "full_width_generator"


class FullWidthGenerator(nn.Module):
  """Maps latents to 128 channels of a quarter of the size, to 128, to 64, and by a 3x3 window.

  Attributes:
    shape: of one example, (H, W, C).
    num_classes: None, for no labels.
    dtype: computed in; examples are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] to examples [B, *shape], float32; ignores labels y."""
    options: dict[str, Any] = {"dtype": self.dtype, "kernel_init": INIT}
    active = lambda x: nn.relu(Norm("batch", self.axis_name, self.dtype)(x, train=train))
    smallest = [side // 4 for side in self.shape[:-1]]
    x = Dense(math.prod(smallest) * 128, use_bias=False, **options)(z)
    x = x.reshape(-1, *smallest, 128)
    for width in (128, 64):
      x = TransposedConv(width, use_bias=False, **options)(active(x))
    return nn.tanh(Conv(self.shape[-1], **options)(active(x)).astype(jnp.float32))


if FULL_WIDTH not in NETWORKS:
  register("network", FULL_WIDTH, FullWidthGenerator)


def game(experiment: str, rate: float = 0.0, b1: float = 0.5, **changes: Any) -> ConfigDict:
  """Builds the config of an experiment with other values.

  Args:
    experiment: name of its file.
    rate: learning rate of both players' Adam, of betas b1 and 0.999; 0 for their own optimizers.
    b1: decay of Adam's first moment.
    **changes: values by key, `__` in the place of a dot.
  """
  config = importlib.import_module(f"experiments.{experiment}").get_config()
  if rate:
    adam = lambda: optimizer("adam", learning_rate=rate, b1=b1, b2=0.999)
    changes |= {f"optimizers__{player}": adam() for player in ("discriminator", "generator")}
  return replaced(config, {key.replace("__", "."): value for key, value in changes.items()})


def full_width(r1: float) -> ConfigDict:
  """Builds the config of a DCGAN of the width of the paper, for 28 x 28 pixels."""
  return game(
    "mnist_dcgan",
    2e-4,
    generator=network(FULL_WIDTH),
    discriminator=network("dcgan_discriminator", width=64, norm="none"),
    latent__dim=100,
    regularizers__r1=r1,
    average__name="none",
  )


def mlp() -> ConfigDict:
  """Builds the config of perceptrons of three hidden layers of 1024 units on digits."""
  hidden = (1024,) * 3
  return game(
    "mnist_mlp",
    2e-4,
    generator=network("mlp_generator", hidden=hidden, output="tanh"),
    discriminator=network("mlp_discriminator", hidden=hidden, activation="leaky_relu"),
    batch_size=100,
    latent__dim=100,
    regularizers__r1=0.0,
    average__name="none",
    rounds_per_call=10,
  )


def ring() -> ConfigDict:
  """Builds the config of perceptrons of four hidden layers of 128 units on eight Gaussians."""
  hidden = (128,) * 4
  return game(
    "ring",
    2e-3,
    b1=0.0,
    generator=network("mlp_generator", hidden=hidden),
    discriminator=network("mlp_discriminator", hidden=hidden),
    batch_size=512,
  )


def sngan() -> ConfigDict:
  """Builds the config of SNGAN at a fraction of its width, on digits of three equal channels."""
  return game(
    "cifar10_sngan",
    2e-4,
    b1=0.0,
    generator=network("sngan_generator", width=64),
    discriminator=network("sngan_discriminator", width=64),
    data="mnist10k",
    data_options__image_size=32,
    data_options__channels=3,
    data_options__flip=False,
    batch_size=32,
    k=1,
    rounds_per_call=2,
  )


DEFAULT = "mnist_dcgan"
ROWS: dict[str, Callable[[], ConfigDict]] = {
  DEFAULT: lambda: game("mnist_dcgan"),
  "mnist_dcgan_16": lambda: game("mnist_dcgan", batch_size=16),
  "mnist_dcgan_256": lambda: game("mnist_dcgan", batch_size=256),
  "full_width": lambda: full_width(0.0),
  "full_width_r1": lambda: full_width(1.0),
  "mlp": mlp,
  "ring": ring,
  "wgan_gp": lambda: game("wgan_gp_mnist"),
  "sngan": sngan,
}


def config_of(row: str, dtype: str) -> ConfigDict:
  """Builds the complete config of a row, whose networks compute in this dtype."""
  networks = ("generator", "discriminator")
  return complete(replaced(ROWS[row](), {f"{name}.dtype": dtype for name in networks}))
