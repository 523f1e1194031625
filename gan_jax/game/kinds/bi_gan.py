"""BiGAN: a generator and an encoder, each the inverse of the other, against a judge of pairs.

Donahue, Krähenbühl, Darrell 2017, arXiv:1605.09782; ALI, Dumoulin et al. 2017, arXiv:1606.00704.
The discriminator tells an example and its code, (x, E(x)), from a fake and its latent, (G(z), z).
The generator's player owns both G and E, which are to make the two alike.

    adam = optax.adam(2e-4, b1=0.5)
    game = bi_gan(
      generator, encoder, discriminator, latent=normal(64),
      loss=losses.non_saturating, optimizers={"discriminator": adam, "generator": adam},
    )
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

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
from gan_jax.game.kinds.checks import check_unconditional
from gan_jax.game.kinds.sides.forwards import Apply, forward_of, match_fields
from gan_jax.game.kinds.sides.monitors import headline
from gan_jax.game.kinds.sides.players import Terms, players
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.latents import Latent, Truncate
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import (
  Match,
  Term,
  adversarial_term,
  logits_for,
  per_example,
  stateless,
)

OWNS = {"discriminator": ("discriminator",), "generator": ("generator", "encoder")}


def bi_gan(
  generator: nn.Module,
  encoder: nn.Module,
  discriminator: nn.Module,
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  latent: Latent,
  truncate: Truncate | None = None,
  stochastic: bool = False,
  regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of a generator and an encoder against a discriminator of pairs.

  Args:
    generator: module called as `net(z, None, train=)`, to examples.
    encoder: module called as `net(x, None, train=)`, to codes [B, d]; if `stochastic`, to [B, 2 d].
    discriminator: module called as `net((x, z), None, train=)`, to logits [B].
    loss: adversarial loss, the same to both kinds: of the discriminator, (a, b) costs what (-b, -a)
      does. The encoder's side of it is the generator's with fakes for real examples.
    optimizers: optimizers of "discriminator" and "generator", which owns the encoder too.
    latent: prior of z, [B, d].
    truncate: as of `two_player`.
    stochastic: whether codes are drawn in training, as in ALI: an encoder returns means and the
      logarithms of variances. In evaluation codes are the means.
    regularizers: terms of the discriminator's loss, on pairs as rows [B, n + d]: name ->
      (weight, term).
    turns: turns of both players.
    averages: moving averages by network: "generator", "encoder".
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its samplers are "generator", and "reconstruct", which makes G(E(x)) of examples x.

  Raises:
    ValueError: for arguments of another kind.
  """
  check_loss(loss)
  # The encoder is to have real pairs taken for fake ones: the loss must know that side.
  _check_symmetric(loss)
  modules = {"generator": generator, "encoder": encoder, "discriminator": discriminator}
  nets = _Nets(modules, latent, stochastic)
  terms: dict[str, Terms] = {
    "discriminator": {
      "adversarial": (1.0, adversarial_term(loss, "discriminator")),
      **(regularizers or {}),
    },
    # G and E minimise together, as in the papers, so one player owns both.
    "generator": {
      "adversarial": (1.0, adversarial_term(loss, "generator")),
      "encoder": (1.0, encoder_term(loss)),
    },
  }
  draw = lambda key, n: latent(example_keys(key, n))
  game = Game(
    init=functools.partial(_init, nets),
    samplers={
      "generator": Sampler(functools.partial(_generate, nets), draw, truncate),
      # No term compares x and G(E(x)): that they agree is what the optimum promises.
      "reconstruct": Sampler(functools.partial(_reconstruct, nets), source="x", paired=True),
    },
    players=players(
      forward_of(modules, functools.partial(_outputs, nets), remat), loss, terms, OWNS, optimizers
    ),
    turns=turns,
    averages=averages or {},
    headline={**headline(loss), "E": "generator/encoder"},
    monitored="generator",
    probed="discriminator",
  )
  check_game(game)
  return game


def encoder_term(loss: AdversarialLoss) -> Term:
  """Builds the encoder's side of a loss: real examples are to be taken for fakes."""

  def value(match: Match) -> jax.Array:
    # With signs and places exchanged, a real pair is to the loss what a fake is.
    a, b = logits_for(loss, match)
    return per_example(loss.generator(-b, -a))

  return stateless(value, couples=loss.couples)


def _check_symmetric(loss: AdversarialLoss) -> None:
  """Refuses a loss to which real examples and fakes are not the same with signs exchanged."""
  # A game may be built while another is traced, as in a population.
  with jax.ensure_compile_time_eval():
    # Tried at a few logits: a loss is a function, and cannot be asked.
    a, b = jnp.array([0.3, -1.2, 2.5]), jnp.array([0.7, 2.0, -0.4])
    side = loss.discriminator
    if isinstance(side, Term) or not jnp.allclose(side(a, b), side(-b, -a), atol=1e-5):
      raise ValueError(
        "this loss has targets or a memory for real examples alone, and an encoder's side of it is"
        " not known: expected one such as non_saturating, minimax, hinge or wasserstein"
      )


class _Nets(NamedTuple):
  """The networks by name, and how they are called; see `bi_gan`."""

  nets: Mapping[str, nn.Module]
  latent: Latent
  stochastic: bool

  def code(self, encoded: jax.Array, keys: jax.Array | None = None) -> jax.Array:
    """Computes codes [B, d] of what the encoder returns; means without keys [B]."""
    if not self.stochastic:
      return encoded
    mean, log_variance = jnp.split(encoded, 2, axis=-1)
    if keys is None:
      return mean
    # Reparametrised, so that gradients pass to mean and variance.
    noise = jax.vmap(lambda key: jax.random.normal(key, mean.shape[1:]))(keys)
    return mean + jnp.exp(0.5 * log_variance) * noise


def _init(nets: _Nets, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  if "x" not in batch:
    raise ValueError(f"batch has {sorted(batch)}: expected 'x' too, the examples")
  keys = dict(zip(nets.nets, jax.random.split(key, len(nets.nets)), strict=True))
  x = jnp.zeros(batch["x"].shape)
  z = nets.latent(example_keys(key, len(x)))
  outputs, initial = {}, {}
  for name, given in (("generator", z), ("encoder", x)):
    net = nets.nets[name]
    outputs[name], initial[name] = net.init_with_output(keys[name], given, None, train=False)
  # A pair is of data and a code, or of a fake and a latent: the judge takes both alike.
  for name, output, expected in (
    ("generator", outputs["generator"], x),
    ("encoder", nets.code(outputs["encoder"]), z),
  ):
    if jnp.shape(output) != expected.shape:
      raise ValueError(
        f"the {name} makes {list(jnp.shape(output))}: expected {list(expected.shape)}, as the"
        f" {'examples' if name == 'generator' else 'latents'} are"
      )
  name = "discriminator"
  initial[name] = nets.nets[name].init(keys[name], (x, z), None, train=False)
  return split_variables(initial)


def _outputs(of: _Nets, apply: Apply, batch: Batch, context: StepContext) -> dict[str, Any]:
  """Encodes examples, generates fakes and judges both with their codes."""
  x = batch["x"]
  # By use: with one key for both an example's code would be drawn with its latent's noise.
  keys = lambda use: context.example_keys(named_key(context.key, use), len(x))
  z = of.latent(keys("latents"))

  # A pair as one row, so that penalties of gradients and the like are of both.
  row = lambda x, z: jnp.concatenate([x.reshape(len(x), -1), z], axis=1)

  def discriminate(rows: jax.Array, *, keep: bool = True) -> jax.Array:
    # Cut again: the network sees an image as an image.
    size = rows.shape[1] - z.shape[1]
    pair = rows[:, :size].reshape(-1, *x.shape[1:]), rows[:, size:]
    return apply("discriminator", pair, keep=keep)

  return match_fields(
    discriminate,
    # Both sides are made by players, so that both have gradients to theirs.
    real=row(x, of.code(apply("encoder", x), keys("codes"))),
    fake=row(apply("generator", z), z),
    generator=lambda z: row(apply("generator", z, keep=False), z),
    latents=z,
  )


def _generate(
  nets: _Nets, params: Params, carried: Carried, z: jax.Array, labels: Any
) -> jax.Array:
  """Generates examples in evaluation mode."""
  check_unconditional(labels)
  return sample_network(nets.nets["generator"], "generator", params, carried, z)


def _reconstruct(
  nets: _Nets, params: Params, carried: Carried, x: PyTree, labels: Any
) -> jax.Array:
  """Encodes examples and generates from their codes, in evaluation mode."""
  code = nets.code(sample_network(nets.nets["encoder"], "encoder", params, carried, x))
  return _generate(nets, params, carried, code, labels)
