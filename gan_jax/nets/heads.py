"""Heads of discriminators with a task beside real and fake, and minibatch discrimination.

A head is called within a discriminator as `head(features, places, labels, train=, **options)`, of
features [B, F], a map of places [B, H, W, C] or None, and one-hot labels [B, K] or None, and
returns outputs by name. Options are those of `linear.Dense`. Its field `dim` is the size of what it
returns.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.examples import read_examples
from gan_jax.nets.linear import Dense

Outputs = dict[str, jax.Array]  # of a head, by name
SMALLEST = 1e-8  # a norm below it counts as this


class EmbeddingHead(nn.Module):
  """Embeds examples and their classes on the sphere: ContraGAN and ReACGAN.

  Kang & Park 2020 (arXiv:2006.12681); Kang et al. 2021 (arXiv:2111.01118).

  Attributes:
    dim: entries of an embedding.
  """

  dim: int = 512

  @nn.compact
  def __call__(
    self, x: jax.Array, places: Any, labels: jax.Array | None, *, train: bool, **options: Any
  ) -> Outputs:
    """Returns "embedding" and "proxy", that of the class, [B, dim], of norm 1."""
    if labels is None:
      raise ValueError("an embedding head has a proxy for each class: give num_classes and labels")
    embedding = Dense(self.dim, name="embedding", **options)(x, train=train)
    proxy = Dense(self.dim, use_bias=False, name="proxy", **options)(labels, train=train)
    return {"embedding": _unit(embedding), "proxy": _unit(proxy)}


class RotationHead(nn.Module):
  """Classifies quarters of a turn: SSGAN (Chen et al. 2019, arXiv:1811.11212)."""

  @nn.compact
  def __call__(
    self, x: jax.Array, places: Any, labels: Any, *, train: bool, **options: Any
  ) -> Outputs:
    """Returns "rotation", logits [B, 4]."""
    return {"rotation": Dense(4, name="rotation", **options)(x, train=train)}


class LocalGlobalHead(nn.Module):
  """Projects features of places and of the whole to one space: InfoMax-GAN.

  Lee et al. 2021 (arXiv:2007.04589).

  Attributes:
    dim: entries of a projection.
  """

  dim: int = 1024

  @nn.compact
  def __call__(
    self, x: jax.Array, places: jax.Array | None, labels: Any, *, train: bool, **options: Any
  ) -> Outputs:
    """Returns "local", [B, H W, dim], and "global", [B, dim]."""
    if places is None:
      raise ValueError(
        "a local-global head is of maps of places: choose a convolutional discriminator, such as "
        "auxiliary_dcgan_discriminator"
      )
    places = places.astype(jnp.float32).reshape(len(places), -1, places.shape[-1])
    project = lambda name, x: Projection(self.dim, name=name)(x, train=train, **options)
    return {"local": project("local", places), "global": project("global", x)}


class Projection(nn.Module):
  """Maps features through a hidden layer of their own width, beside a linear shortcut."""

  dim: int

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool, **options: Any) -> jax.Array:
    dense = lambda dim, x: Dense(dim, **options)(x, train=train)
    return dense(self.dim, nn.relu(dense(x.shape[-1], x))) + dense(self.dim, x)


class MinibatchDiscrimination(nn.Module):
  """Computes how close each example is to all of the global batch.

  Salimans et al. 2016 (arXiv:1606.03498), section 3.2: of M = T f(x), kernels of `dim` entries,
  Σ exp(-‖M - M'‖₁) over all examples, the example itself among them, as in the paper.

  Attributes:
    kernels: number of kernels.
    dim: entries of a kernel.
    axis_name: mapped axis that splits the global batch, if any.
  """

  kernels: int = 100
  dim: int = 5
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps features x [B, F] to closeness [B, kernels], float32."""
    if read_examples(self)("count", 1) > 1:
      raise ValueError("minibatch discrimination looks across the batch: set microbatches = 1")
    m = Dense(self.kernels * self.dim, use_bias=False, name="kernels")(x.astype(jnp.float32))
    m = m.reshape(len(x), self.kernels, self.dim)
    of_all = m
    if self.axis_name is not None and not self.is_initializing():
      of_all = jax.lax.all_gather(m, self.axis_name, tiled=True)
    distances = jnp.sum(jnp.abs(m[:, None] - of_all[None]), axis=-1)
    return jnp.sum(jnp.exp(-distances), axis=1)


def _unit(x: jax.Array) -> jax.Array:
  """Normalises rows [B, d]; one of zeros stays, with a finite slope."""
  return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x**2, axis=1, keepdims=True), SMALLEST**2))
