"""Paired translation: an image of one kind to the image of another kind that belongs to it.

pix2pix, Isola, Zhu, Zhou, Efros 2017, arXiv:1611.07004. The discriminator sees pairs, of an image
and its partner or of an image and its translation, stacked on the channel axis. What is translated
is to be near the partner, too. The generator's noise is its dropout, which sampling keeps.

    adam = optax.adam(2e-4, b1=0.5)
    game = pix2pix(
      translator, discriminator,
      loss=losses.non_saturating, optimizers={"discriminator": adam, "generator": adam},
    )
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Params,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables
from gan_jax.game.kinds.checks import check_named, check_unconditional
from gan_jax.game.kinds.sides.forwards import Apply, forward_of, match_fields
from gan_jax.game.kinds.sides.monitors import headline
from gan_jax.game.kinds.sides.players import OWNS, Terms, players
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import Match, adversarial_term, per_example, stateless

WEIGHTS = {"adversarial": 1.0, "l1": 100.0, "discriminator": 0.5}


def pix2pix(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  weights: Mapping[str, Weight] = WEIGHTS,
  regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of a translator and a discriminator of pairs.

  Args:
    generator: module called as `net(a, None, train=)`, to images. One that is `noisy` drops while
      sampling too: the dropout of an image depends on the image alone.
    discriminator: module called likewise on images with the channels of both, to logits [B, ...].
    loss: adversarial loss; the paper's is `non_saturating`.
    optimizers: optimizers of "discriminator" and "generator".
    weights: weights of the generator's "adversarial" loss, of "l1", the mean absolute difference to
      the partner, and of the adversarial loss of the "discriminator", which is halved to slow it.
    regularizers: terms of the discriminator's loss on pairs: name -> (weight, term).
    turns: turns of both players.
    averages: moving averages by network: "generator".
    remat: whether activations are recomputed for gradients.

  Returns:
    The game, whose batches are pairs, {"a": [n, B, H, W, C], "b": [n, B, H, W, C']}. Its sampler is
    "a_to_b".

  Raises:
    ValueError: for arguments of another kind.
  """
  check_loss(loss)
  check_named("weights", weights, WEIGHTS)
  nets = {"generator": generator, "discriminator": discriminator}
  terms: dict[str, Terms] = {
    "discriminator": {
      "adversarial": (weights["discriminator"], adversarial_term(loss, "discriminator")),
      **(regularizers or {}),
    },
    "generator": {
      "adversarial": (weights["adversarial"], adversarial_term(loss, "generator")),
      "l1": (weights["l1"], stateless(_difference)),
    },
  }
  translate = functools.partial(_translate, generator)
  game = Game(
    init=functools.partial(_init, nets),
    samplers={"a_to_b": Sampler(translate, source="a", target="b", paired=True)},
    players=players(forward_of(nets, _outputs, remat), loss, terms, OWNS, optimizers),
    turns=turns,
    averages=averages or {},
    headline={**headline(loss), "L1": "generator/l1"},
    monitored="generator",
  )
  check_game(game)
  return game


def _init(nets: Mapping[str, nn.Module], key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  if missing := {"a", "b"} - set(batch):
    raise ValueError(f"batch has {sorted(batch)}: expected {min(missing)!r} too, a side of pairs")
  a, b = (jnp.zeros(batch[k].shape) for k in "ab")
  generator_key, discriminator_key = jax.random.split(key)
  fake, generator = nets["generator"].init_with_output(generator_key, a, None, train=False)
  if jnp.shape(fake) != b.shape:
    raise ValueError(f"the generator makes images {jnp.shape(fake)[1:]}: expected {b.shape[1:]}")
  # A fake has the shape of its partner, so that the networks start the same whatever it is.
  pair = _pair(a, b)
  discriminator = nets["discriminator"].init(discriminator_key, pair, None, train=False)
  return split_variables({"generator": generator, "discriminator": discriminator})


def _pair(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.concatenate([a, b], axis=-1)


def _outputs(apply: Apply, batch: Batch, context: StepContext) -> dict[str, Any]:
  """Translates images, and judges pairs of them."""
  a = batch["a"]
  # Conditional: the discriminator sees what was to be translated beside both.
  translated = lambda a, **options: _pair(a, apply("generator", a, **options))
  return match_fields(
    functools.partial(apply, "discriminator"),
    real=_pair(a, batch["b"]),
    fake=translated(a),
    # What a translator is given stands where noise does in other games.
    generator=functools.partial(translated, keep=False),
    latents=a,
  )


def _difference(match: Match) -> jax.Array:
  """Computes the mean absolute difference of a translation and the partner, [B]."""
  channels = match.latents.shape[-1]  # of the image itself, which both pairs begin with
  return per_example(jnp.abs(match.fake - match.real)[..., channels:])


def _translate(
  net: nn.Module, params: Params, carried: Carried, x: PyTree, labels: Any
) -> jax.Array:
  """Translates images in evaluation mode, those of a noisy network with dropout of their own."""
  check_unconditional(labels)
  if not getattr(net, "noisy", False):
    return sample_network(net, "generator", params, carried, x)

  def one(x: jax.Array) -> jax.Array:
    # A key of the image itself: its translation is the same in whatever batch, and once again.
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32).ravel()
    # Odd factors have inverses modulo 2^32: any one entry that changes changes the word.
    word = jnp.sum(bits * (2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1))
    key = jax.random.fold_in(jax.random.key(0), word)
    return sample_network(net, "generator", params, carried, x[None], key=key)[0]

  return jax.vmap(one)(jnp.asarray(x, jnp.float32))
