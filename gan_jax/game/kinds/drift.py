"""Drifting: one player, a generator, that follows a field which draws its samples to data.

arXiv:2602.04770; the fields are those of `losses.one_step.drifting`, and that of W-Flow in
`losses.one_step.sinkhorn`, of examples as they are or of frozen features of them. There is no
discriminator, and no opponent to balance.

    game = drift(
      generator, optimizer=optax.adam(1e-3), latent=normal(32),
      field=functools.partial(drifting.toy_field, temperature=0.05),
    )
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.checks import shown, takes
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
from gan_jax.game.forward import sample_network, split_variables, trained_networks
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides.monitors import EXAMPLES, MONITOR, batch_diversity
from gan_jax.game.latents import Latent, Truncate
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.validation import check_game
from gan_jax.losses.one_step.drifting import Drift, by_place, follow, toy_field

PLAYER = "generator"
# (generated [P, B, S], data [P, B, S]) -> field, P places of a feature; of a second batch, with
# negatives= [P, B, S] too; of a field that changes, with clock=
Field = Callable[..., Drift]
ByFeature = Mapping[str, jax.Array]  # [B, P, S] each
Extract = Callable[[jax.Array], ByFeature]  # of examples [B, ...]


class Cloud(NamedTuple):
  """The features of the examples of one forward.

  Attributes:
    real: features of real examples, by name.
    fake: likewise of fakes.
    other: likewise of fakes of a second batch, without gradient; None without one.
  """

  real: ByFeature
  fake: ByFeature
  other: ByFeature | None = None


def as_they_are(x: jax.Array) -> ByFeature:
  """Returns examples [B, ...] as one feature of one place, [B, 1, S]."""
  return {"": x.reshape(len(x), 1, -1)}


def drift(
  generator: nn.Module,
  *,
  optimizer: optax.GradientTransformation,
  latent: Latent,
  truncate: Truncate | None = None,
  field: Field = toy_field,
  features: Extract = as_they_are,
  second_batch: bool = False,
  turns: tuple[Turn, ...] = (Turn((PLAYER,)),),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds the game of a generator alone, which follows a field.

  Args:
    generator: module called as `net(z, None, train=)`, to examples.
    optimizer: its optimizer.
    latent: prior of its inputs.
    truncate: function of inputs and a bound, or None; see `two_player`.
    field: field at the fakes of a global batch, given the real examples of it; one that takes
      `clock=` is given the clock of the move too.
    features: what of examples the field acts in, by name; gradients reach the generator through it.
      Each place of a feature has a field of its own, and the loss is the sum over features of the
      mean over places.
    second_batch: whether the field is given a second batch of fakes as `negatives`, as W-Flow's.
    turns: turns of the one player.
    averages: moving averages by network.
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its "generator/force" is the mean square of the force before any division, the one
    number that falls as fakes come to the data; the loss of `drift_field` does not. Of several
    features it is the mean, and monitors are of the smallest.

  Raises:
    ValueError: for arguments of another kind.
  """
  checks.check_network(PLAYER, generator, "z", conditional=False)
  checks.check_latent(latent)
  if not callable(field):
    raise ValueError(f"field is {shown(field)}: expected a function such as drifting.toy_field")
  draw = lambda key, n: latent(example_keys(key, n))
  objective = Objective(
    functools.partial(_forward, generator, latent, remat, features, second_batch),
    functools.partial(_value, field),
  )
  game = Game(
    init=functools.partial(_init, generator, latent),
    samplers={PLAYER: Sampler(functools.partial(_generate, generator), draw, truncate)},
    players={PLAYER: Player((PLAYER,), objective, optimizer)},
    turns=turns,
    averages=averages or {},
    headline={
      "G": f"{PLAYER}/loss",
      "force": f"{PLAYER}/force",
      "mismatch": f"{MONITOR}mismatch",
    },
    monitored=PLAYER,
  )
  check_game(game)
  return game


def _init(
  generator: nn.Module, latent: Latent, key: jax.Array, batch: Batch
) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  checks.check_batch(batch, conditional=False)
  if batch["x"].shape[0] < 2:
    raise ValueError(
      "a batch of one example has no field, as its fake has no other to leave: expected 2 or more"
    )
  z_key, key = jax.random.split(key)
  x = jnp.zeros(batch["x"].shape)
  z = latent(example_keys(z_key, len(x)))
  fake, variables = generator.init_with_output(key, z, None, train=False)
  checks.check_fakes(fake, x)
  return split_variables({PLAYER: variables})


def _forward(
  generator: nn.Module,
  latent: Latent,
  remat: bool,
  features: Extract,
  second_batch: bool,
  params: Params,
  carried: Carried,
  batch: Batch,
  context: StepContext,
) -> tuple[Cloud, Carried]:
  """Generates as many fakes as there are real examples, and as many again of a second batch."""
  checks.check_batch(batch, conditional=False)
  if context.microbatch.count > 1:
    raise ValueError(
      "the field of drifting couples all examples of the batch, which is seen in "
      f"{context.microbatch.count} microbatches: set microbatches = 1"
    )
  apply, stats = trained_networks({PLAYER: generator}, params, carried, context, remat)
  x = batch["x"]
  draw = lambda name: latent(context.example_keys(named_key(context.key, name), len(x)))
  of = lambda x: features(jnp.asarray(x, jnp.float32))
  cloud = Cloud(of(x), of(apply(PLAYER, draw("latents"))))
  if second_batch:
    # It only repels: no gradient flows through it, and it leaves no trace in statistics.
    other = of(apply(PLAYER, draw("negatives"), keep=False))
    cloud = cloud._replace(other=jax.lax.stop_gradient(other))
  return cloud, stats


def _value(
  field: Field, cloud: Cloud, params: Params, carried: Carried, context: StepContext
) -> tuple[jax.Array, tuple[Carried, Metrics]]:
  """Computes the loss of the own fakes, in the field of the global batch."""
  axis = context.axis_name
  everyone = jax.lax.stop_gradient(cloud)
  if axis is not None:
    everyone = jax.tree.map(lambda x: jax.lax.all_gather(x, axis, tiled=True), everyone)
  loss, forces, drifts = jnp.zeros(()), [], {}
  for name, fake in cloud.fake.items():
    # Particles are compared at the same place of a feature alone.
    rows = lambda side, name=name: by_place(side[name], 1)
    more: dict[str, Any] = {}
    if everyone.other is not None:
      more["negatives"] = rows(everyone.other)
    if takes(field, None, None, **more, clock=None):
      more["clock"] = context.clock
    drifts[name] = drift = field(rows(everyone.fake), rows(everyone.real), **more)
    first = 0 if axis is None else len(fake) * jax.lax.axis_index(axis)
    own = jax.lax.dynamic_slice_in_dim(drift.field, first, len(fake), axis=1)
    loss += jnp.mean(follow(by_place(fake, 1), drift._replace(field=own)))
    forces.append(jnp.mean(drift.forces))
  metrics = {f"{PLAYER}/loss": loss, f"{PLAYER}/force": jnp.mean(jnp.stack(forces))}
  name = min(drifts, key=lambda name: everyone.fake[name].size)
  flat = (x[name][:EXAMPLES].reshape(-1, x[name][0].size) for x in (everyone.real, everyone.fake))
  measured = monitors(drifts[name], *flat)
  return loss, ({}, metrics | {f"{MONITOR}{name}": value for name, value in measured.items()})


def monitors(drift: Drift, real: jax.Array, fake: jax.Array) -> Metrics:
  """Computes whether fakes are where data are, and whether the field would move them there.

  Args:
    drift: field at the fakes.
    real: [n, S] real examples, or a feature of them, flat.
    fake: [n, S] fakes, likewise.

  Returns:
    diversity, coverage and precision (see `batch_diversity`); mismatch, the energy distance of both
    sets, 2 E|x - x̃| - E|x - x'| - E|x̃ - x̃'|, over E|x - x'|: 0 of equal distributions, about 1 of
    fakes on one mode, more far off; pull, the length of the force over the energy distance, both in
    units of the data: 0 where a mismatch is left that the field does not see.
  """
  if len(real) < 2:
    return {}
  mean = lambda x, y: jnp.mean(jnp.linalg.norm(x[:, None] - y[None], axis=-1))
  pairs = len(real) / (len(real) - 1)  # without the distance of each to itself
  within = mean(real, real) * pairs + 1e-30
  energy = 2 * mean(real, fake) - within - mean(fake, fake) * pairs
  force = jnp.sqrt(jnp.mean(drift.forces) * real.shape[1]) * drift.scale
  return {
    **batch_diversity(real, fake),
    "mismatch": energy / within,
    # At a match the energy distance is noise around 0, and there is nothing to be moved by.
    "pull": force / jnp.maximum(energy, 0.01 * within),
  }


def _generate(
  generator: nn.Module, params: Params, carried: Carried, z: PyTree, labels: Any
) -> jax.Array:
  """Generates examples in evaluation mode."""
  checks.check_unconditional(labels)
  return sample_network(generator, PLAYER, params, carried, z)
