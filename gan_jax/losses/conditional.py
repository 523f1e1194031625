"""Losses of discriminators that embed examples of classes: ContraGAN, ReACGAN, and multi-hinge."""

import jax
import jax.numpy as jnp
from jax.nn import relu

from gan_jax.losses.objectives import unit


def conditional_contrastive(
  embedding: jax.Array, proxy: jax.Array, labels: jax.Array, *, temperature: float = 1.0
) -> jax.Array:
  """Computes the conditional contrastive loss 2C of ContraGAN. Kang & Park 2020, arXiv:2006.12681.

  -log[(q + Σ_same s) / (q + Σ s)] with s = exp(cos(e, e')/T) over other examples, of the same class
  or of all, and q = exp(cos(e, proxy)/T). Rows need not be normalised.

  Args:
    embedding: embeddings e of the whole batch, [B, d].
    proxy: embeddings of their classes, [B, d].
    labels: classes, int32 [B].
    temperature: T > 0.

  Returns:
    [B] float32, at least 0.
  """
  similar, others = _cosines(embedding), ~jnp.eye(len(labels), dtype=bool)
  own = _cosine(embedding, proxy)[:, None] / temperature
  logits = lambda mask: jnp.concatenate([own, jnp.where(mask, similar / temperature, -jnp.inf)], 1)
  total = lambda mask: jax.nn.logsumexp(logits(mask), axis=1)
  return total(others) - total(others & _same(labels))


def data_to_data(
  embedding: jax.Array,
  proxy: jax.Array,
  labels: jax.Array,
  *,
  temperature: float = 0.5,
  margin: float = 0.98,
) -> jax.Array:
  """Computes the data-to-data cross entropy of ReACGAN. Kang et al. 2021, arXiv:2111.01118.

  a + log(exp(-a) + Σ exp(r)) over examples of other classes, with the attraction a =
  relu((m - cos(e, proxy))/T) and the repulsion r = relu((cos(e, e') + m - 1)/T) - max. As in the
  published code (StudioGAN), max is the greatest of (cos(e, e') + m - 1)/T over all other examples,
  of the same class too, is a constant to the gradient, and is subtracted from r alone: the paper's
  formula has no such shift, which changes the value.

  Args:
    embedding: embeddings e of the whole batch, [B, d].
    proxy: embeddings of their classes, [B, d].
    labels: classes, int32 [B].
    temperature: T > 0.
    margin: m in [0, 1], the cosine from which a proxy attracts no more; 1 - m is that up to which
      an example of another class repels no more.

  Returns:
    [B] float32.
  """
  similar = (_cosines(embedding) + margin - 1) / temperature
  others, same = ~jnp.eye(len(labels), dtype=bool), _same(labels)
  greatest = jnp.max(jnp.where(others, similar, -jnp.inf), axis=1, keepdims=True)
  repulsion = relu(similar) - jax.lax.stop_gradient(greatest)
  attraction = relu((margin - _cosine(embedding, proxy)) / temperature)
  # Masked before the exponential: what is left out has a slope of 0, not of infinity times 0.
  logits = jnp.where(same, -jnp.inf, repulsion)
  both = jnp.concatenate([-attraction[:, None], logits], axis=1)
  return attraction + jax.nn.logsumexp(both, axis=1)


def crammer_singer(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Computes the multi-class hinge loss of MHGAN. Kavalerov et al. 2021, arXiv:1912.04216.

  relu(1 + the greatest logit of another class - the logit of the class); fakes are a class too.

  Args:
    logits: [B, K + 1].
    labels: classes, int32 [B], in [0, K].

  Returns:
    [B] float32.
  """
  own = jax.nn.one_hot(labels, logits.shape[1], dtype=bool)
  wrong = jnp.max(jnp.where(own, -jnp.inf, logits), axis=1)
  return relu(1 + wrong - jnp.sum(jnp.where(own, logits, 0), axis=1))


def _same(labels: jax.Array) -> jax.Array:
  """Checks which examples have the same class, bool [B, B]."""
  return labels[:, None] == labels[None]


def _cosines(x: jax.Array) -> jax.Array:
  """Computes the cosines of all rows, [B, B]."""
  x = unit(x)
  return jnp.matmul(x, x.T, precision="highest")


def _cosine(x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes the cosines of rows, [B]."""
  return jnp.sum(unit(x) * unit(y), axis=1)
