"""InceptionV3 of 2015-12-05, the network behind FID, KID, sFID and the Inception score.

Szegedy et al. 2015 (arXiv:1512.00567), as Google trained it on 1008 classes and published it as a
TensorFlow graph. It differs from the InceptionV3 of model zoos in its weights, and in pools that
the graph has and the paper has not: see `average` and `maximum`. Names are those of the PyTorch
file, so that a weight is found by the path of its layer (see `variables_of`).
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

CLASSES = 1008
SPATIAL_CHANNELS = 7
BATCH_NORM_EPSILON = 1e-3

Layer = Callable[[jax.Array], jax.Array]


class Unit(nn.Module):
  """A convolution without bias, batch norm by running statistics, and a ReLU."""

  features: int
  window: tuple[int, int]
  stride: int = 1
  padding: str = "SAME"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.Conv(
      self.features,
      self.window,
      self.stride,
      self.padding,
      use_bias=False,
      precision="highest",
      name="conv",
    )(x)
    norm = nn.BatchNorm(use_running_average=True, epsilon=BATCH_NORM_EPSILON, name="bn")
    return nn.relu(norm(x))


class Block(nn.Module):
  """A scope that prefixes the names of a layer's units."""

  layer: Layer

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return self.layer(x)


def unit(name: str, features: int, height: int, width: int, **options: Any) -> Layer:
  """Names a unit with a window of height x width."""
  return lambda x: Unit(features, (height, width), **options, name=name)(x)


def halving(name: str, features: int) -> Layer:
  """Names a unit with a window of 3 x 3 that moves by 2, without padding."""
  return unit(name, features, 3, 3, stride=2, padding="VALID")


def chain(*layers: Layer) -> Layer:
  """Applies layers one after another."""
  return lambda x: functools.reduce(lambda x, layer: layer(x), layers, x)


def beside(*branches: Layer) -> Layer:
  """Applies layers to the same input and concatenates their channels."""
  return lambda x: jnp.concatenate([branch(x) for branch in branches], axis=-1)


def tower(name: str, *rows: tuple[int, int, int]) -> Layer:
  """Chains units name_1, name_2, ... of (features, height, width)."""
  return chain(*(unit(f"{name}_{i}", *row) for i, row in enumerate(rows, 1)))


def average(x: jax.Array) -> jax.Array:
  """Averages 3 x 3 neighbours, counting those inside the image only."""
  return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def maximum(x: jax.Array) -> jax.Array:
  """Computes the maximum of 3 x 3 neighbours: the last block has this where the paper averages."""
  return nn.max_pool(x, (3, 3), padding="SAME")


def half_maximum(x: jax.Array) -> jax.Array:
  """Computes the maximum of 3 x 3 neighbours at every other place, without padding."""
  return nn.max_pool(x, (3, 3), (2, 2))


def block(name: str, *branches: Layer) -> Layer:
  """Names a block of branches."""
  return lambda x: Block(beside(*branches), name=name)(x)


def block_a(name: str, pooled: int) -> Layer:
  """Names a block like 5b to 5d."""
  return block(
    name,
    unit("branch1x1", 64, 1, 1),
    tower("branch5x5", (48, 1, 1), (64, 5, 5)),
    tower("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3)),
    chain(average, unit("branch_pool", pooled, 1, 1)),
  )


def block_b(name: str) -> Layer:
  """Names a block like 6a."""
  return block(
    name,
    halving("branch3x3", 384),
    chain(tower("branch3x3dbl", (64, 1, 1), (96, 3, 3)), halving("branch3x3dbl_3", 96)),
    half_maximum,
  )


def block_c(name: str, n: int) -> Layer:
  """Names a block like 6b to 6e."""
  return block(
    name,
    unit("branch1x1", 192, 1, 1),
    tower("branch7x7", (n, 1, 1), (n, 1, 7), (192, 7, 1)),
    tower("branch7x7dbl", (n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)),
    chain(average, unit("branch_pool", 192, 1, 1)),
  )


def block_d(name: str) -> Layer:
  """Names a block like 7a."""
  return block(
    name,
    chain(unit("branch3x3_1", 192, 1, 1), halving("branch3x3_2", 320)),
    chain(
      tower("branch7x7x3", (192, 1, 1), (192, 1, 7), (192, 7, 1)), halving("branch7x7x3_4", 192)
    ),
    half_maximum,
  )


def block_e(name: str, pool: Layer) -> Layer:
  """Names a block like 7b and 7c."""
  fork = lambda name: beside(unit(f"{name}a", 384, 1, 3), unit(f"{name}b", 384, 3, 1))
  return block(
    name,
    unit("branch1x1", 320, 1, 1),
    chain(unit("branch3x3_1", 384, 1, 1), fork("branch3x3_2")),
    chain(tower("branch3x3dbl", (448, 1, 1), (384, 3, 3)), fork("branch3x3dbl_3")),
    chain(pool, unit("branch_pool", 192, 1, 1)),
  )


TRUNK = (
  halving("Conv2d_1a_3x3", 32),
  unit("Conv2d_2a_3x3", 32, 3, 3, padding="VALID"),
  unit("Conv2d_2b_3x3", 64, 3, 3),
  half_maximum,
  unit("Conv2d_3b_1x1", 80, 1, 1),
  unit("Conv2d_4a_3x3", 192, 3, 3, padding="VALID"),
  half_maximum,
  block_a("Mixed_5b", 32),  # 35 x 35
  block_a("Mixed_5c", 64),
  block_a("Mixed_5d", 64),
  block_b("Mixed_6a"),  # 17 x 17
  block_c("Mixed_6b", 128),
  block_c("Mixed_6c", 160),
  block_c("Mixed_6d", 160),  # "mixed_6" in the TensorFlow graph, which counts from "mixed"
)
TOP = (
  block_c("Mixed_6e", 192),
  block_d("Mixed_7a"),  # 8 x 8
  block_e("Mixed_7b", average),
  block_e("Mixed_7c", maximum),
)


class Network(nn.Module):
  """The network from prepared images on."""

  @nn.compact
  def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
    """Computes features, logits and spatial features.

    Args:
      x: float32 [B, H, W, 3] from -1 to 1, of 75 pixels a side or more.

    Returns:
      "features" [B, 2048] ("pool3"); "logits" [B, 1008] without the bias of the last layer, as the
      Inception score has them in the code of Salimans et al. 2016 (arXiv:1606.03498); "spatial"
      [B, 17 * 17 * 7] from images of 299 pixels, for sFID (Nash et al. 2021, arXiv:2103.03841): the
      first 7 channels of "mixed_6/conv", the 1 x 1 branch that comes first in Mixed_6d.
    """
    x = chain(*TRUNK)(x)
    spatial = x[..., :SPATIAL_CHANNELS].reshape(len(x), -1)
    features = chain(*TOP)(x).mean(axis=(1, 2))
    logits = nn.Dense(CLASSES, use_bias=False, precision="highest", name="fc")(features)
    return {"features": features, "logits": logits, "spatial": spatial}
