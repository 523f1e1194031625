"""Drifting as a game: one player, whose monitors tell a start that is stuck."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import data
from gan_jax.data.example import Example
from gan_jax.game.core import Clock, StepContext
from gan_jax.game.kinds import drift as kind
from gan_jax.game.latents import normal
from gan_jax.game.play import init
from gan_jax.game.random import Microbatch
from gan_jax.losses.one_step import drifting
from gan_jax.losses.one_step.sinkhorn import sinkhorn_field
from gan_jax.nets import MLPGenerator
from gan_jax.run.config import complete, default_config, network, replaced, schedule
from gan_jax.run.config.sections.kinds.games import build_game

BATCH = next(data.Batches(data.load("ring8"), batch_size=64, seed=0).iterate())
FIELD = functools.partial(drifting.toy_field, temperature=0.05)


def make(field=FIELD, rate=1e-3, **options):
  net = MLPGenerator(shape=(2,), hidden=(16,))
  return kind.drift(net, optimizer=optax.sgd(rate), latent=normal(4), field=field, **options)


def flat(cloud):
  """Of a cloud of examples as they are: [B, S] each."""
  return kind.Cloud(*(x and x[""][:, 0] for x in cloud))


def test_a_move_goes_along_the_field():
  """The gradient of the output is -2 V / (C S), whatever the value that is logged."""
  game = make(rate=1.0)
  batch = jax.tree.map(lambda x: jnp.asarray(x)[None], BATCH)
  state = init(game, jax.random.key(0), batch)
  context = StepContext(jax.random.key(1), Clock(), None)
  objective = game.players["generator"].objective

  @jax.jit
  def look(params):
    cloud, _ = objective.forward(params, state.carried, BATCH, context)
    by_output = jax.grad(
      lambda fake: objective.value(cloud._replace(fake=fake), params, {}, context)[0]
    )(cloud.fake)
    real, fake, _ = flat(cloud)
    return (
      by_output[""][:, 0],
      FIELD(fake[None], real[None]).field[0],
      objective.value(cloud, params, {}, context),
    )

  slope, field, (loss, (memory, metrics)) = look(state.params)
  np.testing.assert_allclose(slope, -2 * field / field.size, rtol=1e-4, atol=1e-9)
  np.testing.assert_allclose(loss, jnp.mean(field**2), rtol=1e-4)
  np.testing.assert_allclose(metrics["generator/force"], loss, rtol=1e-4)
  assert memory == {} and set(game.players) == {"generator"}
  with pytest.raises(ValueError, match="set microbatches = 1"):
    parts = context._replace(microbatch=Microbatch(0, 2))
    objective.forward(state.params, state.carried, BATCH, parts)


def test_a_second_batch_repels_and_is_not_moved():
  game = make(sinkhorn_field, second_batch=True)
  batch = jax.tree.map(lambda x: jnp.asarray(x)[None], BATCH)
  state = init(game, jax.random.key(0), batch)
  context = StepContext(jax.random.key(1), Clock(), None)
  objective = game.players["generator"].objective

  @jax.jit
  def look(params):
    cloud, _ = objective.forward(params, state.carried, BATCH, context)
    loss = lambda fake, other: objective.value(
      cloud._replace(fake=fake, other=other), params, {}, context
    )[0]
    real, fake, other = flat(cloud)
    field = sinkhorn_field(fake[None], real[None], other[None])
    others = lambda params: objective.forward(params, state.carried, BATCH, context)[0].other
    slopes = [x[""][:, 0] for x in jax.grad(loss, (0, 1))(cloud.fake, cloud.other)]
    return flat(cloud), field, slopes, jax.grad(lambda params: jnp.sum(others(params)[""]))(params)

  cloud, field, (of_fakes, of_others), through = look(state.params)
  assert jnp.abs(cloud.fake - cloud.other).min(axis=1).max() > 1e-3  # of other latents
  expected = -2 * field.field[0] / field.field.size / field.scale
  np.testing.assert_allclose(of_fakes, expected, rtol=1e-4, atol=1e-7)
  assert not of_others.any() and not any(x.any() for x in jax.tree.leaves(through))


def test_features_have_fields_of_their_own_and_the_generator_moves_along_all_of_them():
  """Each place of a feature is a problem by itself; the loss adds features, and means places."""
  turn = jnp.asarray([[0.5, 2.0, -1.0], [1.0, 0.0, 1.5]])
  features = lambda x: {"bent": jnp.tanh(x @ turn)[:, None], "two": jnp.stack([x, x**2], axis=1)}
  game = make(features=features)
  params, carried = game.init(jax.random.key(0), BATCH)
  objective = game.players["generator"].objective
  context = StepContext(jax.random.key(1), Clock(), None)
  value = lambda cloud: objective.value(cloud, params, {}, context)
  seen = lambda params: objective.forward(params, carried, BATCH, context)[0]

  @jax.jit
  def look(params):
    cloud = seen(params)
    places = {"bent": 1, "two": 2}
    fields = {
      name: jnp.stack(
        [
          FIELD(cloud.fake[name][None, :, i], cloud.real[name][None, :, i]).field[0]
          for i in range(n)
        ]
      )  # [places, B, S]
      for name, n in places.items()
    }
    along = lambda params: sum(
      jnp.vdot(-2 * v / v.size, jnp.swapaxes(seen(params).fake[name], 0, 1))
      for name, v in fields.items()
    )
    return (
      fields,
      value(cloud),
      jax.grad(along)(params),
      jax.grad(lambda p: value(seen(p))[0])(params),
    )

  fields, (loss, (_, metrics)), expected, slope = look(params)
  np.testing.assert_allclose(loss, sum(jnp.mean(v**2) for v in fields.values()), rtol=1e-4)
  np.testing.assert_allclose(metrics["generator/force"], loss / 2, rtol=1e-4)
  # Sums over the batch, in another order: rounding of float32 by the largest entry.
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * jnp.abs(b).max())
  jax.tree.map(close, slope, expected)
  assert all(jnp.abs(x).max() > 1e-4 for x in jax.tree.leaves(slope))


@pytest.mark.parametrize("at, stuck", [("data", False), ("mode", True), ("far", True)])
def test_monitors_tell_a_start_that_is_stuck(at, stuck):
  """By the bounds of the detector `vanishing_force`."""
  rng = np.random.default_rng(0)
  x = jnp.asarray(BATCH["x"])
  points = {
    "data": jnp.asarray(-x),
    "mode": jnp.asarray([[1.0, 0.0]] + 0.01 * rng.normal(size=(64, 2)), jnp.float32),
    "far": jnp.asarray([[4.0, 0.0]] + 0.01 * rng.normal(size=(64, 2)), jnp.float32),
  }
  found = jax.jit(lambda fake: kind.monitors(FIELD(fake[None], x[None]), x, fake))(points[at])
  assert (found["mismatch"] > 0.3 and found["pull"] < 0.1) == stuck, found
  if at == "mode":  # as far from the others as they are from each other
    assert abs(found["mismatch"] - 1) < 0.15


def test_monitors_have_no_unit():
  """In other units of the data they are the same; the force is a length as the distance is."""
  x = jnp.asarray(BATCH["x"])
  fake = 0.5 * x[::-1] + 0.1

  @jax.jit
  def look(unit):
    drift = drifting.drift_field(unit * fake[None], unit * x[None], temperatures=(0.5,))
    return kind.monitors(drift, unit * x, unit * fake), drift.forces, drift.scale

  (one, forces, scale), (ten, *_) = look(1.0), look(10.0)
  for name, value in one.items():
    np.testing.assert_allclose(ten[name], value, rtol=1e-3, err_msg=name)
  distance = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=-1)
  pairs, x, fake = 64 / 63, np.asarray(x), np.asarray(fake)
  within = distance(x, x).mean() * pairs
  energy = 2 * distance(x, fake).mean() - within - distance(fake, fake).mean() * pairs
  np.testing.assert_allclose(one["mismatch"], energy / within, rtol=1e-3)
  length = np.sqrt(2 * float(forces[0])) * float(scale)
  np.testing.assert_allclose(one["pull"], length / energy, rtol=1e-3)


def test_temperatures_fall_with_the_clock():
  """By a config's schedule from ten times the temperature, to it in ten rounds."""
  config = default_config("drift")
  config.data, config.generator = "ring8", network("mlp_generator", hidden=(16,))
  config.temperatures = (0.1,)
  config.annealing.factor = schedule(
    "linear_schedule", init_value=10.0, end_value=1.0, transition_steps=10
  )
  game = build_game(complete(config), Example((2,), None, None))
  params, carried = game.init(jax.random.key(0), BATCH)
  objective = game.players["generator"].objective

  @jax.jit
  def forces(round, temperature):
    context = StepContext(jax.random.key(1), Clock(round), None)
    cloud, _ = objective.forward(params, carried, BATCH, context)
    real, fake, _ = flat(cloud)
    field = drifting.toy_field(fake[None], real[None], temperature=temperature)
    _, (_, metrics) = objective.value(cloud, params, {}, context)
    return metrics["generator/force"], jnp.mean(field.field**2)

  found = [forces(jnp.int32(round), t) for round, t in ((0, 1.0), (5, 0.55), (99, 0.1))]
  for force, expected in found:
    np.testing.assert_allclose(force, expected, rtol=1e-4)
  assert len({float(force) for force, _ in found}) == 3


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"annealing.factor": 0.0}, "expected a number above 0, or a schedule"),
    ({"conditional": True}, "takes no labels"),
    ({"microbatches": 2}, "couples all examples"),
    ({"batch_size": 1}, "config.batch_size = 1: .* one has no other: expected 2 or more"),
    ({"field": "mean"}, "unknown field 'mean'"),
    ({"temperatures": (0.0,)}, "expected numbers above 0"),
    ({"temperatures": (0.1, 0.2)}, "the field 'toy' has one"),
    ({"features": "inception"}, "unknown features 'inception'"),
  ],
)
def test_choices_that_cannot_be_are_refused(changes, message):
  config = default_config("drift")
  config.data = "ring8"
  with pytest.raises(ValueError, match=message):
    complete(replaced(config, changes))


@pytest.mark.parametrize(
  "features, shape, message",
  [
    ("random", (2,), "expected images, and the data have the shape"),
    ("classifier", (8, 8, 3), "one channel"),
  ],
)
def test_features_of_other_examples_are_refused(features, shape, message):
  config = default_config("drift")
  config.data, config.features = "ring8", features
  with pytest.raises(ValueError, match=f"config.features is '{features}': .*{message}"):
    build_game(complete(config), Example(shape, None, None))


def test_arguments_of_another_kind_are_refused():
  with pytest.raises(ValueError, match=r"field is 3: expected a function such as drifting\."):
    make(field=3)
  with pytest.raises(ValueError, match="a batch of one example has no field"):
    init(make(), jax.random.key(0), {"x": jnp.zeros((1, 1, 2))})
