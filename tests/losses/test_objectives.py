"""Objectives: how terms add up, are logged, remember, and mean the same on many devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from gan_jax import losses
from gan_jax.game.core import Clock, Game, Player, Sampler, StepContext, Turn
from gan_jax.game.play import init, play_round
from gan_jax.game.random import example_keys
from gan_jax.game.schedules import by_images, by_rounds
from gan_jax.losses.objectives import Match, Term, adversarial_term, every, minimise, stateless
from gan_jax.losses.regularizers import lecam, r1

REAL = jnp.asarray([[1.0, 2.0], [-1.0, 3.0], [0.5, 0.0], [2.0, 2.0]])
PARAMS = {"discriminator": {"w": jnp.asarray([0.5, -1.0])}}


def forward(params, carried, batch, context):
  """D is linear; fakes are half the reals. Leaves one network's statistics."""
  discriminator = lambda x: x @ params["discriminator"]["w"]
  real, fake = batch["x"], batch["x"] / 2
  match = Match(
    real=real,
    fake=fake,
    real_logits=discriminator(real),
    fake_logits=discriminator(fake),
    discriminator=discriminator,
    generator=lambda z: z,
    latents=fake,
    params=params,
    keys=example_keys(context.key, len(real), context.axis_name),
    clock=context.clock,
    axis_name=context.axis_name,
  )
  return match, {}


def move_at(round_, axis_name=None):
  clock = Clock(jnp.asarray(round_, jnp.int32), jnp.asarray(8 * round_, jnp.uint32))
  return StepContext(jax.random.key(0), clock, axis_name)


def evaluate(terms, round_=0, carried=None, **kwargs):
  """What D minimises at REAL: (loss, memory, metrics)."""
  objective = minimise(forward, terms, player="discriminator", **kwargs)
  context = move_at(round_)
  carried = objective.memory if carried is None else carried
  match, _ = objective.forward(PARAMS, carried, {"x": REAL}, context)
  loss, (memory, metrics) = objective.value(match, PARAMS, carried, context)
  return loss, memory, metrics


real_mean = lambda match: match.real_logits  # [-1.5, -3.5, 0.25, -1]: mean -1.4375
fake_square = lambda match: match.fake_logits**2  # [.5625, 3.0625, .015625, .25]: mean .97265625


# --- minimise ------------------------------------------------------------------------------------


def test_terms_add_up_by_weight_and_are_logged_before_it():
  loss, memory, metrics = evaluate({"a": (2.0, real_mean), "b": (-3.0, fake_square)})
  assert metrics == {
    "discriminator/a": -1.4375,
    "discriminator/b": 0.97265625,
    "discriminator/loss": 2 * -1.4375 - 3 * 0.97265625,
  }
  assert loss == metrics["discriminator/loss"] and memory == {}


def test_a_scalar_term_counts_once():
  loss, _, metrics = evaluate({"a": (1.0, real_mean), "scalar": (2.0, lambda match: jnp.ones(()))})
  assert metrics["discriminator/scalar"] == 1 and loss == -1.4375 + 2


@pytest.mark.parametrize(
  "schedule",
  [
    by_rounds(optax.linear_schedule(0.0, 10.0, 10)),
    by_images(optax.linear_schedule(0.0, 10.0, 80)),
    lambda clock: clock.images / 8.0,
  ],
)
def test_weights_are_numbers_or_schedules(schedule):
  """Rounds of 8 images."""
  for round_ in (0, 3, 10):
    loss, _, metrics = evaluate({"a": (schedule, real_mean)}, round_)
    np.testing.assert_allclose(loss, round_ * -1.4375, rtol=1e-6)
    assert metrics["discriminator/a"] == -1.4375


def test_a_schedule_that_begins_later_counts_no_images_before():
  """An unsigned count would wrap around."""
  falling = by_images(optax.linear_schedule(1.0, 0.0, 10, transition_begin=100))
  seen = [0, 50, 100, 105, 200]
  values = [falling(Clock(jnp.int32(0), jnp.uint32(images))) for images in seen]
  np.testing.assert_allclose(values, [1, 1, 1, 0.5, 0])


def test_a_schedule_of_optax_says_what_it_counts():
  with pytest.raises(ValueError, match=r"weight of discriminator/a is .*schedules.by_rounds\("):
    evaluate({"a": (optax.linear_schedule(0.0, 1.0, 10), real_mean)})


def test_the_gradient_is_that_of_the_weighted_sum():
  objective = minimise(forward, {"a": (2.0, real_mean), "r1": (4.0, r1)}, player="discriminator")

  def loss(params):
    match, _ = forward(params, {}, {"x": REAL}, move_at(0))
    return objective.value(match, params, {}, move_at(0))[0]

  # 2 mean(x) + 4 w
  slope = jax.grad(loss)(PARAMS)["discriminator"]["w"]
  np.testing.assert_allclose(slope, [2 * 0.625 + 2, 2 * 1.75 - 4], rtol=1e-6)


def test_further_metrics_are_observed_under_their_own_names():
  _, _, metrics = evaluate(
    {"a": (1.0, real_mean)}, observe=lambda m, memory: ({"D_real": m.real_logits[0]}, memory)
  )
  assert metrics["D_real"] == -1.5 and "discriminator/a" in metrics


def test_a_term_sees_the_params_of_its_player_alone():
  def names(match):
    assert set(match.params) == {"discriminator"}
    return jnp.zeros(4)

  objective = minimise(forward, {"names": (1.0, names)}, player="discriminator")
  both = {**PARAMS, "generator": {"w": jnp.ones(2)}}
  match, _ = forward(both, {}, {"x": REAL}, move_at(0))
  objective.value(match, PARAMS, {}, move_at(0))


def test_keys_are_a_terms_own():
  """A term draws the same whatever other terms there are, and no two terms draw the same."""
  noise = lambda match: jax.vmap(jax.random.normal)(match.keys)
  drawn = lambda *names: evaluate(dict.fromkeys(names, (1.0, noise)))[2]
  alone, together = drawn("b"), drawn("a", "b", "c")
  assert together["discriminator/b"] == alone["discriminator/b"]
  assert len({float(x) for x in together.values()}) == 4


# --- memory --------------------------------------------------------------------------------------


def counting(start=0):
  """A term whose value is how often it was applied before."""
  value = lambda match, n: (jnp.full(len(match.keys), n, jnp.float32), n + 1)
  return Term(value, jnp.asarray(start))


def test_memory_is_kept_by_player_and_term():
  terms = {"a": (1.0, counting(3)), "b": (1.0, real_mean), "c": (1.0, counting(5))}
  objective = minimise(forward, terms, player="discriminator")
  assert objective.memory == {"discriminator.a": 3, "discriminator.c": 5}
  loss, memory, _ = evaluate(terms)
  assert loss == 3 + 5 - 1.4375 and memory == {"discriminator.a": 4, "discriminator.c": 6}
  loss, memory, _ = evaluate(terms, carried=memory)
  assert loss == 4 + 6 - 1.4375 and memory == {"discriminator.a": 5, "discriminator.c": 7}


def test_memory_lives_in_the_state_of_a_game():
  terms = {"a": (1.0, counting()), "lecam": (1.0, every(2, lecam()))}
  objective = minimise(forward, terms, player="discriminator")
  game = Game(
    init=lambda key, batch: (jax.tree.map(jnp.copy, PARAMS), {}),
    samplers={
      "only": Sampler(lambda params, carried, z, labels: z, lambda key, n: jnp.zeros((n, 2)))
    },
    players={"discriminator": Player(("discriminator",), objective, optax.sgd(0.0))},
    turns=(Turn(("discriminator",), 2),),
  )
  batch = {"x": jnp.stack([REAL, REAL])}
  state, step = init(game, jax.random.key(0), batch), jax.jit(functools.partial(play_round, game))
  for round_ in range(4):
    assert state.carried["discriminator.a"] == 2 * round_
    # Applied in rounds 0 and 2, in both moves of a round.
    assert state.carried["discriminator.lecam"]["term"]["updates"] == 2 * ((round_ + 1) // 2)
    state, _ = step(state, batch)
  ema = state.carried["discriminator.lecam"]["term"]["ema_real"]
  np.testing.assert_allclose(ema, -1.4375, rtol=1e-6)


# --- every ---------------------------------------------------------------------------------------


def test_a_lazy_term_is_applied_every_k_rounds_with_weight_k():
  values = [evaluate({"a": (1.0, every(3, real_mean))}, round_)[0] for round_ in range(7)]
  np.testing.assert_allclose(values, np.array([3, 0, 0, 3, 0, 0, 3]) * -1.4375)


def test_the_memory_of_a_lazy_term_moves_when_it_is_applied():
  carried, moved = None, []
  for round_ in range(5):
    loss, carried, _ = evaluate({"a": (1.0, every(2, counting(1)))}, round_, carried)
    moved.append((float(loss), int(carried["discriminator.a"]["term"])))
  assert moved == [(2, 2), (0, 2), (4, 3), (0, 3), (6, 4)]


def test_a_lazy_term_logs_what_it_was_when_it_was_applied():
  carried, shown = None, []
  for round_ in range(5):
    _, carried, metrics = evaluate({"a": (1.0, every(2, counting(1)))}, round_, carried)
    shown.append(float(metrics["discriminator/a"]))
  assert shown == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("rounds", [0, -1])
def test_a_lazy_term_needs_a_period(rounds):
  with pytest.raises(ValueError, match=f"k = {rounds}"):
    every(rounds, real_mean)


# --- many devices --------------------------------------------------------------------------------


def drift(optimizer, k, penalty, loss=0.0):
  """Moves one parameter by a lazy penalty and a loss, of these slopes: how far in 1,600 rounds."""
  term = every(k, lambda match: penalty * match.params["w"] * jnp.ones(4))

  def slope(w, round_):
    match, _ = forward(PARAMS, {}, {"x": REAL}, move_at(0))
    at = lambda w: match._replace(params={"w": w}, clock=Clock(round_))
    return jax.grad(lambda w: jnp.mean(term.value(at(w), term.memory)[0]) + loss * w)(w)

  def step(carry, round_):
    w, state = carry
    updates, state = optimizer.update(slope(w, round_), state)
    return (optax.apply_updates(w, updates), state), w

  start = jnp.zeros(()), optimizer.init(jnp.zeros(()))
  path = jax.jit(lambda: jax.lax.scan(step, start, jnp.arange(3201))[1])()
  return abs(float(path[3200] - path[1600]))  # Adam's averages have forgotten their start by then


def test_a_lazy_penalty_under_adam_is_weaker_than_its_weight_says():
  k, beta = 16, 0.99
  adam, sgd = optax.adam(1e-3, b1=0.0, b2=beta), optax.sgd(1e-3)
  # Every k rounds a slope of k, beside an average square of k² (1 - β) (1 + βᵏ + β²ᵏ + ...).
  expected = np.sqrt((1 - beta**k) / (1 - beta)) / k
  assert expected == pytest.approx(0.24, abs=5e-3)
  # float32 sums of 1,600 steps
  assert drift(adam, k, 1.0) / drift(adam, 1, 1.0) == pytest.approx(expected, rel=1e-3)
  assert drift(sgd, k, 1.0) / drift(sgd, 1, 1.0) == pytest.approx(1.0, rel=1e-3)
  # A loss that pulls the other way, twice as strongly, is weakened as well.
  assert drift(adam, k, -0.5, 1.0) / drift(adam, 1, -0.5, 1.0) < 0.3
  assert drift(sgd, k, -0.5, 1.0) / drift(sgd, 1, -0.5, 1.0) == pytest.approx(1.0, rel=1e-3)


WIDE = jax.random.normal(jax.random.key(1), (16, 2))


def loss_and_gradient(objective, batch, axis_name=None):
  """As a move takes them: per device, then averaged."""

  def loss(params):
    match, _ = forward(params, {}, batch, move_at(0, axis_name))
    value, (memory, _) = objective.value(match, params, objective.memory, move_at(0, axis_name))
    return value, memory

  (value, memory), gradient = jax.value_and_grad(loss, has_aux=True)(PARAMS)
  if axis_name is not None:
    value, gradient = jax.lax.pmean((value, gradient), axis_name)
  return value, gradient, memory


NOISE = stateless(lambda match: match.real_logits * jax.vmap(jax.random.normal)(match.keys))


@pytest.mark.parametrize(
  "terms",
  [
    {"adversarial": (1.0, adversarial_term(losses.relativistic_average, "discriminator"))},
    {"adversarial": (1.0, adversarial_term(losses.relativistic_average_hinge, "generator"))},
    {"adversarial": (1.0, adversarial_term(losses.non_saturating, "discriminator"))},
    {"r1": (2.0, r1), "lecam": (1.0, every(1, lecam())), "noise": (1.0, NOISE)},
  ],
  ids=["averages", "averages of the generator", "pairwise", "regularizers"],
)
def test_eight_devices_take_the_gradient_of_the_global_batch(terms):
  objective = minimise(forward, terms, player="discriminator")
  single = jax.jit(functools.partial(loss_and_gradient, objective))({"x": WIDE})
  sharded = jax.jit(
    jax.shard_map(
      functools.partial(loss_and_gradient, objective, axis_name="batch"),
      mesh=Mesh(np.asarray(jax.devices()), ("batch",)),
      in_specs=P("batch"),
      out_specs=P(),
      check_vma=False,
    )
  )({"x": WIDE})
  assert len(jax.devices()) == 8
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), single, sharded)


def test_the_mean_over_devices_of_a_coupled_loss_is_not_its_global_value():
  """So the test above can fail: on shares of the batch, averages are other averages."""
  side = losses.relativistic_average.discriminator
  a, b = WIDE[:, 0], WIDE[:, 1]
  shares = jax.vmap(side)(a.reshape(8, 2), b.reshape(8, 2))
  assert abs(jnp.mean(shares) - jnp.mean(side(a, b))) > 0.01


def test_a_match_speaks_of_the_global_batch():
  x = jnp.arange(16.0)

  def look(x):
    match = forward(PARAMS, {}, {"x": jnp.stack([x, x], 1)}, move_at(0, "batch"))[0]
    return match.mean(x), match.gather(x)

  mesh = Mesh(np.asarray(jax.devices()), ("batch",))
  mapped = jax.shard_map(look, mesh=mesh, in_specs=P("batch"), out_specs=P(), check_vma=False)
  mean, gathered = jax.jit(mapped)(x)
  assert mean == 7.5
  np.testing.assert_array_equal(gathered, x)


def test_keys_of_a_match_are_none_that_its_forward_splits_off():
  """As `fold_in(key, i)` is `split(key)[i]` in JAX, places folded into that key would be."""
  context, nothing = move_at(0), jnp.zeros(4)
  names = ("real", "real_logits", "fake_logits", "discriminator", "generator", "latents")
  match = Match.of(context, {}, fake=nothing, **dict.fromkeys(names, nothing))
  seen = lambda keys: {tuple(data) for data in np.asarray(jax.random.key_data(keys)).tolist()}
  assert seen(jax.random.split(context.key, 4)) == seen(example_keys(context.key, 4))
  assert not seen(match.keys) & seen(jax.random.split(context.key, 4))
