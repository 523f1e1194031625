"""Drifting: every choice in it, by name."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Clock, Game
from gan_jax.game.kinds.drift import PLAYER, Extract, Field, as_they_are, drift
from gan_jax.game.schedules import value_at
from gan_jax.losses.one_step.drifting import (
  Drift,
  drift_field,
  features_of_maps,
  mean_shift_field,
  toy_field,
)
from gan_jax.losses.one_step.sinkhorn import sinkhorn_field
from gan_jax.nets.projected.features import EXTRACTORS
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, lookup, naming, weights
from gan_jax.run.config.sections.kinds import two_player


def keys() -> Keys:
  """Lists the keys of the game."""
  return {
    PLAYER: networks.section("mlp_generator"),
    "latent": two_player.keys()["latent"],
    "field": Key(
      "toy",
      "toy, of the notebook; imagenet, scaled and every force divided; mean_shift, of the paper's "
      "formula; gaussian, the same with another kernel; sinkhorn, of W-Flow; sinkhorn_flow, the "
      "flow of its divergence, with one batch and undivided",
    ),
    "features": Key(
      "none",
      "of examples that the field acts in: none, examples as they are; random or classifier, maps "
      "of a frozen network, as of projected_discriminator, and their moments",
    ),
    "temperatures": Key((0.05,), "of the field, in units of the data but for imagenet; toy: one"),
    "annealing": weights(
      {"factor": 1.0}, {"factor": "factor of all temperatures, such as a schedule that falls to 1"}
    ),
    "optimizers": {PLAYER: optimizers.section("adam")},
    "average": optimizers.average(),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  optimizers.check_average(config.average)
  if config.conditional:
    raise ValueError("config.conditional is set, and this game takes no labels: leave it out")
  if config.microbatches != 1:
    raise ValueError("config.microbatches: the field couples all examples of a batch; set it to 1")
  if config.batch_size == 1:
    raise ValueError(
      "config.batch_size = 1: the field draws fakes to data and pushes them off each other, and one"
      " has no other: expected 2 or more, such as 256"
    )
  with naming("config.field"):
    lookup(FIELDS, config.field, "field")
  with naming("config.features"):
    lookup(FEATURES, config.features, "features")
  if config.annealing.factor == 0:
    raise ValueError("config.annealing.factor is 0: expected a number above 0, or a schedule")
  if not config.temperatures or min(config.temperatures) <= 0:
    raise ValueError(f"config.temperatures is {config.temperatures}: expected numbers above 0")
  if config.field == "toy" and len(config.temperatures) > 1:
    raise ValueError(
      f"config.temperatures has {len(config.temperatures)}, and the field 'toy' has one; give one,"
      " or config.field=imagenet"
    )


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  networks.check_output(config.generator, example.pixel_range)
  provided = {PLAYER: {"num_classes": None, "shape": example.shape}}
  return drift(
    **networks.build_networks(config, provided),
    **two_player.latents(config),
    optimizer=optimizers.build_optimizers(config, {PLAYER: 1})[PLAYER],
    field=_field(config),
    features=_features(config, example),
    second_batch=config.field in WITH_SECOND_BATCH,
    averages=optimizers.build_averages(config.average, PLAYER),
    remat=config.remat,
  )


def _features(config: ConfigDict, example: Example) -> Extract:
  """Builds the features, and computes their shapes to refuse examples that they are not of."""
  extract = FEATURES[config.features]
  with naming(f"config.features is {config.features!r}"):
    if extract is not as_they_are and len(example.shape) != 3:
      raise ValueError(f"expected images, and the data have the shape {example.shape}; use 'none'")
    jax.eval_shape(extract, jax.ShapeDtypeStruct((2, *example.shape), "float32"))
  return extract


def _frozen(extractor: str) -> Extract:
  """Builds the features of a frozen network's maps; random ones have 32 channels and seed 0."""
  return lambda x: features_of_maps(EXTRACTORS[extractor](x, 32, 0))


def _field(config: ConfigDict) -> Field:
  """Builds the field, one of the clock if its temperatures change."""
  make, temperatures = FIELDS[config.field], tuple(config.temperatures)
  with naming("config.annealing.factor"):
    factor = optimizers.number(config.annealing.factor)
  if isinstance(factor, int | float):
    return make(tuple(factor * t for t in temperatures))

  def field(generated: jax.Array, data: jax.Array, *, clock: Clock, **more: Any) -> Drift:
    now = value_at(factor, clock)
    return make(tuple(now * t for t in temperatures))(generated, data, **more)

  return field


FIELDS: dict[str, Callable[[tuple[float, ...]], Field]] = {
  "toy": lambda temperatures: functools.partial(toy_field, temperature=temperatures[0]),
  "imagenet": lambda temperatures: functools.partial(drift_field, temperatures=temperatures),
  "mean_shift": lambda temperatures: functools.partial(mean_shift_field, temperatures=temperatures),
  "gaussian": lambda temperatures: functools.partial(
    mean_shift_field, temperatures=temperatures, gaussian=True
  ),
  "sinkhorn": lambda temperatures: functools.partial(sinkhorn_field, temperatures=temperatures),
  "sinkhorn_flow": lambda temperatures: functools.partial(
    sinkhorn_field, temperatures=temperatures, normalise=False
  ),
}
FEATURES: dict[str, Extract] = {
  "none": as_they_are,
  **{name: _frozen(name) for name in EXTRACTORS},
}
WITH_SECOND_BATCH = {"sinkhorn"}
