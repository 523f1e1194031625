"""The forward of a discriminator and a generator whose networks take no labels and no views."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from gan_jax.game.core import Batch, Carried, Params, StepContext
from gan_jax.game.forward import trained_networks
from gan_jax.losses.objectives import Match, per_example

Apply = Callable[..., Any]  # (name, x, keep=True) -> outputs; see `trained_networks`
Forward = Callable[[Params, Carried, Batch, StepContext], tuple[Match, Carried]]


def forward_of(
  nets: Mapping[str, nn.Module],
  outputs: Callable[[Apply, Batch, StepContext], Mapping[str, Any]],
  remat: bool = False,
) -> Forward:
  """Builds the forward of one move.

  Args:
    nets: modules, by name.
    outputs: (apply, batch, context) -> what a move computes of a match; see `match_fields`.
    remat: whether activations are recomputed for gradients.

  Returns:
    (params, carried, batch, context) -> (match, statistics by network).
  """

  def forward(
    params: Params, carried: Carried, batch: Batch, context: StepContext
  ) -> tuple[Match, Carried]:
    apply, stats = trained_networks(nets, params, carried, context, remat)
    return Match.of(context, params, **outputs(apply, batch, context)), stats

  return forward


def match_fields(
  discriminate: Callable[..., jax.Array], *, real: jax.Array, fake: jax.Array, **others: Any
) -> dict[str, Any]:
  """Judges real examples and fakes.

  Args:
    discriminate: (x, keep=True) -> logits [B, ...]; statistics move if `keep`.
    real: [B, ...] real examples.
    fake: [B, ...] fakes.
    **others: fields of a match that are no judgements.

  Returns:
    The fields of a match; see `Match.of`.
  """
  return dict(
    real=real,
    fake=fake,
    # One after the other, as published: batch norm has statistics of each kind.
    real_logits=discriminate(real),
    fake_logits=discriminate(fake),
    # There are no views, which the kind would matter to.
    discriminator=lambda x, kind="real": per_example(discriminate(x, keep=False)),
    **others,
  )
