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
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from flax import linen as nn

from gan_jax.checks import takes
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Metrics,
  Objective,
  Params,
  Player,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import MAPPING, STAGES, SYNTHESIS, sample_network, standing_network
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides import monitors
from gan_jax.game.kinds.sides.networks import (
  FEATURES,
  Forward,
  Networks,
  checked,
  generate,
  initialise,
  labels_of,
)
from gan_jax.game.kinds.sides.players import Terms
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.latents import Latent, Truncate, truncate_styles
from gan_jax.game.random import example_keys
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.game.views import Views, memory_of, metrics_of, updated
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.generator_terms import top_k as top_k_term
from gan_jax.losses.objectives import Match, adversarial_term, minimise


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
  top_k: Weight = 1.0,
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
    top_k: share of fakes of the global batch, those with the largest logits, that the generator's
      adversarial loss is of, in (0, 1], or a schedule; see `losses.generator_terms.top_k`.

  Raises:
    ValueError: for arguments of another kind, and combinations that have no meaning.
  """
  nets = Networks(
    generator, discriminator, latent, conditional, views, joint, encoders or {}, remat, fake_labels
  )
  nets = checked(nets)
  check_loss(loss)
  checks.check_signs(nets.views, loss)
  checks.check_optimizers(optimizers)
  checks.check_terms("regularizers", regularizers)
  checks.check_terms("generator_regularizers", generator_regularizers)
  checks.check_averages(averages)
  # One function object for both players: moves at once share its evaluation (see `core.losses_of`).
  forward = functools.partial(_forward, nets)
  if takes(type(generator).__call__, generator, "z", "y", train=False, psi=None):
    truncate = truncate_styles
  objectives = {
    "discriminator": _discriminator_objective(forward, loss, regularizers or {}, nets.views),
    "generator": _generator_objective(forward, loss, generator_regularizers or {}, top_k),
  }
  owns = {"discriminator": ("discriminator",), "generator": ("generator", *nets.encoders)}
  # Labels are real data; so are batch statistics that real and fake examples share.
  uses_data = lambda objective: objective.uses_real or conditional or joint
  # By place: the first m of n samples are the m samples of the same key.
  draw = lambda key, n: latent(example_keys(key, n))
  game = Game(
    init=functools.partial(initialise, nets),
    samplers={
      "generator": Sampler(
        functools.partial(generate, nets),
        draw,
        truncate,
        accumulate=functools.partial(_accumulate, nets),
        **_stages(nets),
      )
    },
    players={
      name: Player(owns[name], objective, optimizers[name], uses_data(objective))
      for name, objective in objectives.items()
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


def _discriminator_objective(
  forward: Callable[..., Any], loss: AdversarialLoss, regularizers: Terms, views: Views
) -> Objective:
  """Builds the objective of the discriminator, whose memory is that of its views too."""
  objective = minimise(
    forward,
    {"adversarial": (1.0, adversarial_term(loss, "discriminator")), **regularizers},
    player="discriminator",
    observe=functools.partial(monitors.observe_discriminator, loss),
    # Monitors that compare examples are computed every few rounds; between, these are repeated.
    observed=monitors.UNMEASURED,
  )
  # Views belong to the discriminator: what they remember moves when it moves.
  memory, join = memory_of(views)

  def value(
    match: Match, params: Params, carried: Carried, context: StepContext
  ) -> tuple[jax.Array, tuple[Carried, Metrics]]:
    loss, (new_carried, metrics) = objective.value(match, params, carried, context)
    return loss, (new_carried, metrics | metrics_of(views, carried, context.clock))

  memory, join = {**objective.memory, **memory}, {**objective.join, **join}
  return objective._replace(value=value, memory=memory, join=join)


def _generator_objective(
  forward: Callable[..., Any], loss: AdversarialLoss, regularizers: Terms, share: Weight
) -> Objective:
  """Builds the objective of the generator, against all fakes or a share of them."""
  # With all of them nothing is sorted, and no device sees the logits of another.
  all_fakes = isinstance(share, int | float) and share == 1
  adversarial = adversarial_term(loss, "generator") if all_fakes else top_k_term(loss, share)
  return minimise(
    forward,
    {"adversarial": (1.0, adversarial), **regularizers},
    player="generator",
    observe=functools.partial(monitors.observe_generator, loss),
  )


def _stages(nets: Networks) -> dict[str, Any]:
  """Builds the stages of a sampler, by name; {} of a generator that has none."""
  if not all(hasattr(nets.generator, stage) for stage in STAGES):
    return {}
  synthesise = functools.partial(sample_network, nets.generator, "generator", method=SYNTHESIS)
  return {MAPPING: functools.partial(generate, nets, method=MAPPING), SYNTHESIS: synthesise}


def _accumulate(
  nets: Networks,
  params: Params,
  carried: Carried,
  z: PyTree,
  labels: jax.Array | None,
  key: jax.Array,
  momentum: jax.Array,
) -> Carried:
  """Computes `carried` after one more batch of standing statistics."""
  own = params, carried, z, labels, key, momentum
  return {**carried, "generator": standing_network(nets.generator, "generator", *own)}


def _forward(
  nets: Networks, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Match, Carried]:
  """Generates fakes and computes the logits of real and fake examples: one move's forward."""
  # While tracing, where shapes are known: a compiled step checks nothing.
  checks.check_microbatches(nets.views, context.microbatch)
  checks.check_batch(batch, nets.conditional)
  # One key for each use: packing, noise or another order would else change unrelated draws.
  latent_key, *keys = jax.random.split(context.key, 4)
  named_keys = dict(zip(("generator", "real", "fake"), keys, strict=True))
  labels = labels_of(nets, batch, context)
  forward = Forward(nets, params, carried, labels, named_keys, context)
  real = forward.pack(batch["x"], "real")
  z = nets.latent(context.example_keys(latent_key, batch["x"].shape[0]))
  # Fakes have gradients to the generator; who does not own it has none to take.
  fake, g_stats = forward.generate(z)
  checks.check_fakes(fake, real)
  viewed = forward.view(real, "real"), forward.view(fake, "fake")
  (real_outputs, fake_outputs), d_stats = forward.discriminate_both(viewed)
  new_carried = {"generator": g_stats, "discriminator": d_stats}
  for name in nets.encoders:
    # Encoders read what the discriminator saw.
    features = fake_outputs.get(FEATURES, viewed[1])
    fake_outputs[name], new_carried[name] = forward.encode(name, features, "fake")
  match = Match.of(
    context,
    params,
    real=real,
    fake=fake,
    real_logits=real_outputs.pop("logits"),
    fake_logits=fake_outputs.pop("logits"),
    discriminator=forward.logits_at,
    generator=lambda z: forward.generate(z)[0],
    latents=z,
    labels=labels["real"],
    fake_labels=labels["fake"],
    real_outputs=real_outputs,
    fake_outputs=fake_outputs,
    encoders={name: functools.partial(forward.code_at, name) for name in nets.encoders},
    stages=forward.stages(named_keys["generator"]),
    discriminator_outputs=forward.outputs_at,
  )
  # Of every forward, but kept of the discriminator's moves alone: it owns this memory.
  return match, {**new_carried, **updated(nets.views, carried, match)}
