"""Games of a generator and a discriminator, made of networks, losses, views and optimizers.

A game is built once, outside any jit, from values: networks are linen modules, a loss is an
`AdversarialLoss`, a penalty is a function of a `Match`, an optimizer is optax's.

    game = two_player(
      generator, discriminator,
      loss=losses.non_saturating,
      optimizers={"discriminator": optax.adam(2e-4, b1=0.5), "generator": optax.adam(2e-4, b1=0.5)},
      latent=normal(64),
      regularizers={"r1": (1.0, regularizers.r1)},
    )
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.checks import takes
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Params,
  Player,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network
from gan_jax.game.kinds import checks, monitors
from gan_jax.game.kinds.networks import FEATURES, Forward, Networks, Outputs, initialise
from gan_jax.game.kinds.turns import alternating
from gan_jax.game.latents import Latent, Styled, Truncate, truncate_styles
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.game.views import Views, memory_of, updated
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import (
  Match,
  Observe,
  TermLike,
  adversarial_term,
  minimise,
  per_example,
)

Terms = Mapping[str, tuple[Weight, TermLike]]


def two_player(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  latent: Latent,
  truncate: Truncate | None = None,
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  conditional: bool = False,
  fake_labels: Latent | None = None,
  views: Views = (),
  joint: bool = False,
  encoders: Mapping[str, nn.Module] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of a generator and a discriminator.

  Args:
    generator: module called as `net(z, y, train=)`, to examples. One in stages has the methods
      `mapping(z, y, *, train)` and `synthesis(w, *, train)` too, which are in `Match.stages`.
    discriminator: module called as `net(x, y, train=)`, to logits [B], or [B, ...] of patches, or
      {"logits": logits, ...} with further outputs for terms of one's own.
    loss: both players' adversarial loss.
    optimizers: optimizers of "discriminator" and "generator".
    latent: prior of the generator's inputs.
    truncate: function of inputs and a bound, for `sample` near the prior's mean, such as
      `latents.truncate_normal`; None for none. A generator that takes `psi=` [n], None but when
      samples are truncated, is given the bound there instead, to truncate its styles.
    regularizers: terms of the discriminator's loss, name -> (weight, term).
    generator_regularizers: terms of the generator's loss, likewise.
    turns: `alternating(k)`, `simultaneous()`, or any turns of "discriminator" and "generator".
    averages: moving averages by network, `{"generator": decay(0.999)}`.
    conditional: whether batches hold labels "y", which both networks take.
    fake_labels: prior of the labels of fakes, such as `latents.categorical(shares)`; None for those
      of the real examples that they are matched with, which are distributed as in the data.
    views: what the discriminator sees in the place of examples, in order, such as
      `(views.gaussian_noise(0.1), views.packing(2))`.
    joint: whether real and fake examples pass the discriminator in one batch, which shares batch
      statistics between them; otherwise they pass one after the other.
    encoders: networks that the generator's player owns too, name -> module. They are called as
      `net(x, y, train=)` with views of fakes, or, where the discriminator returns "features" of
      them, with these; `Match.fake_outputs` has their outputs by name.
    remat: whether activations are recomputed for gradients, which takes time, instead of kept,
      which takes memory.

  Returns:
    The game.

  Raises:
    ValueError: for arguments of another kind, and combinations that have no meaning.
  """
  checks.check_network("generator", generator, "z", conditional)
  checks.check_network("discriminator", discriminator, "x", conditional)
  check_loss(loss)
  checks.check_optimizers(optimizers)
  checks.check_latent(latent)
  checks.check_terms("regularizers", regularizers)
  checks.check_terms("generator_regularizers", generator_regularizers)
  checks.check_averages(averages)
  checks.check_views(views, conditional, encoders)
  if fake_labels is not None:
    checks.check_fake_labels(fake_labels, conditional)
  nets = Networks(
    *(generator, discriminator, latent, conditional, tuple(views), joint, encoders or {}, remat),
    fake_labels,
  )
  # One function object for both players: moves at once share its evaluation (see `core.losses_of`).
  forward = functools.partial(_forward, nets)

  if takes(type(generator).__call__, generator, "z", "y", train=False, psi=None):
    truncate = truncate_styles

  def player(name: str, extra: Terms | None, observe: Observe, observed: PyTree = ()) -> Player:
    terms = {"adversarial": (1.0, adversarial_term(loss, name)), **(extra or {})}
    objective = minimise(forward, terms, player=name, observe=observe, observed=observed)
    # Labels are real data; so are batch statistics that real and fake examples share.
    uses_data = objective.uses_real or conditional or joint
    if name == "generator":
      return Player((name, *nets.encoders), objective, optimizers[name], uses_data)
    # Views belong to the discriminator: what they remember moves when it moves.
    memory, join = memory_of(nets.views)
    objective = objective._replace(
      memory={**objective.memory, **memory}, join={**objective.join, **join}
    )
    return Player((name,), objective, optimizers[name], uses_data)

  observe = functools.partial(monitors.observe_discriminator, loss)
  game = Game(
    init=functools.partial(initialise, nets),
    samplers={
      "generator": Sampler(
        functools.partial(_generate, nets), lambda key, n: latent(example_keys(key, n)), truncate
      )
    },
    players={
      "discriminator": player("discriminator", regularizers, observe, monitors.UNMEASURED),
      "generator": player(
        "generator", generator_regularizers, functools.partial(monitors.observe_generator, loss)
      ),
    },
    turns=turns,
    averages=averages or {},
    headline=monitors.headline(loss),
    # Whose gradients vanish, and who remembers examples: see `run.training.log.detectors`.
    monitored="generator",
    probed="discriminator",
  )
  check_game(game)
  return game


def _generate(
  nets: Networks, params: Params, carried: Carried, z: PyTree, labels: jax.Array | None
) -> jax.Array:
  """Generates examples in evaluation mode."""
  if nets.conditional != (labels is not None):
    raise ValueError(
      "this game is conditional: give labels, int32 [n], one for each example"
      if nets.conditional
      else "this game is not conditional, and its generator takes no labels: leave them out"
    )
  options: dict[str, Any] = {}
  if isinstance(z, Styled):
    z, options = z.z, {"psi": z.psi}
  return sample_network(nets.generator, "generator", params, carried, z, labels, **options)


def _forward(
  nets: Networks, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Match, Carried]:
  """Generates fakes and computes the logits of real and fake examples: one move's forward."""
  checks.check_microbatches(nets.views, context.microbatch)
  checks.check_batch(batch, nets.conditional)
  # One key for each use: packing, noise or another order would else change unrelated draws.
  latent_key, generator_key, real_key, fake_key = jax.random.split(context.key, 4)
  y = batch["y"] if nets.conditional else None
  labels = {"real": y, "fake": y}
  if nets.fake_labels is not None:
    keys = context.example_keys(named_key(context.key, "labels"), batch["x"].shape[0])
    labels["fake"] = nets.fake_labels(keys)
  forward = Forward(nets, params, carried, labels, context)
  real = forward.pack(batch["x"], "real")
  z = nets.latent(context.example_keys(latent_key, batch["x"].shape[0]))
  # Fakes have gradients to the generator; who does not own it has none to take.
  fake, g_stats = forward.generate(z, generator_key)
  checks.check_fakes(fake, real)
  viewed = forward.view(real, "real"), forward.view(fake, "fake")
  (real_outputs, fake_outputs), d_stats = forward.discriminate_both(viewed, (real_key, fake_key))
  new_carried = {"generator": g_stats, "discriminator": d_stats}

  def encode(name: str, features: jax.Array, kind: str) -> tuple[jax.Array, PyTree]:
    # Encoders read what the discriminator saw, and have dropout of their own.
    key = named_key(generator_key, name)
    code, new_stats = forward.apply(name, carried[name], features, labels[kind], key)
    return code.astype(jnp.float32), new_stats

  for name in nets.encoders:
    features = fake_outputs.get(FEATURES, viewed[1])
    fake_outputs[name], new_carried[name] = encode(name, features, "fake")

  def outputs_of(viewed: jax.Array, kind: str) -> Outputs:
    # With the key of the real pass: the dropout mask at real examples is that of their logits.
    return forward.discriminate(viewed, labels[kind], carried["discriminator"], real_key)[0]

  def encode_real(name: str, x: jax.Array) -> jax.Array:
    viewed = forward.view(x, "real")
    return encode(name, outputs_of(viewed, "real").get(FEATURES, viewed), "real")[0]

  match = Match.of(
    context,
    params,
    real=real,
    fake=fake,
    real_logits=real_outputs.pop("logits"),
    fake_logits=fake_outputs.pop("logits"),
    discriminator=lambda x, kind="real": per_example(
      outputs_of(forward.view(x, kind), kind)["logits"]
    ),
    generator=lambda z: forward.generate(z, generator_key)[0],
    latents=z,
    labels=y,
    fake_labels=labels["fake"],
    real_outputs=real_outputs,
    fake_outputs=fake_outputs,
    encoders={name: functools.partial(encode_real, name) for name in nets.encoders},
    stages=forward.stages(generator_key),
  )
  return match, {**new_carried, **updated(nets.views, carried, match)}
