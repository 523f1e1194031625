"""The step itself, on games small enough to play by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layouts import on_every_layout

from gan_jax.game import rules
from gan_jax.game.core import (
  Decay,
  Ema,
  Game,
  Objective,
  Player,
  Sampler,
  State,
  Turn,
  minibatches,
)
from gan_jax.game.memory import join_mean
from gan_jax.game.play import _updated_ema, init, play_round
from gan_jax.game.random import make_key

RATE = 0.1


def bilinear(turns, *, uses_data=(True, True), averages=None, traces=None):
  """min over a, max over b of a * b + mean(x) * b, with x the data; each move adds to its count."""

  def forward(params, carried, batch, context):
    if traces is not None:
      traces.append(1)
    seen = (params["a"], params["b"], jnp.mean(batch["x"]))
    return seen, {"a": carried["a"] + 1, "b": carried["b"] + 1}

  def objective(sign, name):
    def value(seen, params, carried, context):
      a, b, x = seen
      return sign * (a * b + x * b), ({}, {f"{name}/x": x})

    return Objective(forward, value)

  return Game(
    init=lambda key, batch: (
      {"a": jnp.ones(()), "b": jnp.full((), 2.0)},
      {"a": jnp.zeros(()), "b": jnp.zeros(())},
    ),
    samplers={
      "only": Sampler(
        lambda params, carried, z, labels: params["a"] + z, lambda key, n: jnp.zeros(n)
      )
    },
    players={
      "min": Player(("a",), objective(1, "min"), optax.sgd(RATE), uses_data[0]),
      "max": Player(("b",), objective(-1, "max"), optax.sgd(RATE), uses_data[1]),
    },
    turns=turns,
    averages=averages or {},
  )


def keeping(leaves, *, memory=None, join=None):
  """A game of one player, whose forward leaves what `leaves(batch)` says."""
  objective = Objective(
    forward=lambda params, carried, batch, context: (params["a"], leaves(batch)),
    value=lambda a, params, carried, context: (params["a"] ** 2, ({}, {})),
    memory=memory or {},
    join=join or {},
  )
  return Game(
    init=lambda key, batch: ({"a": jnp.ones(())}, {}),
    samplers={"only": Sampler(lambda params, carried, z, labels: z, lambda key, n: jnp.zeros(n))},
    players={"only": Player(("a",), objective, optax.sgd(RATE))},
    turns=(Turn(("only",)),),
  )


def data(*means):
  return {"x": jnp.stack([jnp.full(8, m) for m in means])}


def start(game, batch):
  return init(game, jax.random.key(0), batch)


def test_alternating_moves_see_each_other():
  game, batch = bilinear((Turn(("max",)), Turn(("min",)))), data(0.5, 3.0)
  state, metrics = play_round(game, start(game, batch), batch)
  b = 2 + RATE * (1 + 0.5)  # ascends a + x
  np.testing.assert_allclose(state.params["b"], b, rtol=1e-6)
  np.testing.assert_allclose(state.params["a"], 1 - RATE * b, rtol=1e-6)  # descends the new b
  assert metrics["max/x"] == 0.5 and metrics["min/x"] == 3.0  # each its own minibatch
  np.testing.assert_allclose(metrics["max/gradient_norm"], 1.5, rtol=1e-6)
  assert state.round == 1


def test_simultaneous_moves_start_from_the_same_place_and_draw():
  traces = []
  game, batch = bilinear((Turn(("min", "max")),), traces=traces), data(0.5)
  first = start(game, batch)
  traces.clear()
  state, metrics = play_round(game, first, batch)
  np.testing.assert_allclose(state.params["b"], 2 + RATE * 1.5, rtol=1e-6)
  np.testing.assert_allclose(state.params["a"], 1 - RATE * 2, rtol=1e-6)
  assert metrics["max/x"] == metrics["min/x"] == 0.5
  assert len(traces) == 1  # one forward for both


def test_k_moves_take_k_minibatches():
  game, batch = bilinear((Turn(("max",), 3), Turn(("min",)))), data(1.0, 2.0, 3.0, 4.0)
  assert minibatches(game) == 4
  state, metrics = play_round(game, start(game, batch), batch)
  np.testing.assert_allclose(state.params["b"], 2 + RATE * (3 + 6), rtol=1e-6)
  assert metrics["max/x"] == 3.0 and metrics["min/x"] == 4.0


def test_a_move_without_data_consumes_none():
  game = bilinear((Turn(("min",)), Turn(("max",), 2)), uses_data=(False, True))
  assert minibatches(game) == 2
  batch = data(1.0, 2.0)
  _, metrics = play_round(game, start(game, batch), batch)
  assert metrics["max/x"] == 2.0


def test_a_turn_moves_only_what_its_players_own():
  game, batch = bilinear((Turn(("max",)),)), data(0.5)
  before = start(game, batch)
  after, _ = play_round(game, before, batch)
  assert after.params["a"] == before.params["a"] and after.params["b"] != before.params["b"]
  assert after.carried == {"a": 0.0, "b": 1.0}  # statistics too belong to the owner
  assert jax.tree.leaves(after.opt["min"]) == jax.tree.leaves(before.opt["min"])


def test_three_players_two_of_them_at_once():
  """Each is drawn to the sum of the networks of others; one owns two networks."""
  owns = {"first": ("a", "b"), "second": ("c",), "third": ("d",)}

  def objective(mine):
    forward = lambda params, carried, batch, context: (params, {})

    def value(seen, params, carried, context):
      others = sum(seen[net] for net in "abcd" if net not in mine)
      return sum(params[net] * others for net in mine), ({}, {})

    return Objective(forward, value)

  game = Game(
    init=lambda key, batch: ({net: jnp.asarray(float(i)) for i, net in enumerate("abcd")}, {}),
    samplers={"only": Sampler(lambda params, carried, z, labels: z, lambda key, n: jnp.zeros(n))},
    players={name: Player(nets, objective(nets), optax.sgd(RATE)) for name, nets in owns.items()},
    turns=(Turn(("first", "second")), Turn(("third",))),
  )
  batch = data(0.0, 0.0)
  state, metrics = jax.jit(functools.partial(play_round, game))(start(game, batch), batch)
  a, b, c, d = 0.0, 1.0, 2.0, 3.0
  a, b, c = a - RATE * (c + d), b - RATE * (c + d), c - RATE * (a + b + d)  # at once
  d = d - RATE * (a + b + c)  # sees where they went
  np.testing.assert_allclose([state.params[net] for net in "abcd"], [a, b, c, d], rtol=1e-6)
  assert {f"{name}/gradient_norm" for name in owns} <= set(metrics)


def test_a_forward_leaves_statistics_of_networks_and_declared_memory():
  """An image pool is no network's: it was dropped in silence."""
  game = keeping(lambda batch: {"only.pool": batch["x"][:2]}, memory={"only.pool": jnp.zeros(2)})
  state, _ = play_round(game, start(game, data(3.0)), data(3.0))
  np.testing.assert_array_equal(state.carried["only.pool"], [3, 3])


def test_what_nobody_declared_is_refused():
  game = keeping(lambda batch: {"pool": batch["x"][:2]})
  with pytest.raises(ValueError, match=r"leaves 'pool' in `carried`.*memory=\{name: start\}"):
    play_round(game, start(game, data(3.0)), data(3.0))


def test_memory_of_parts_is_joined_as_it_says_or_refused():
  """The mean of a pool's images 0 and 100 is an image that nobody made."""
  pool, x = {"only.pool": jnp.zeros(2)}, {"x": jnp.array([[0.0, 100.0, 0.0, 100.0]])}
  leaves = lambda batch: {"only.pool": batch["x"]}
  parts = lambda game: game._replace(turns=rules.microbatches(game.turns, 2))
  mixed = lambda stacked: stacked[:, 0]
  joined = {
    how: parts(keeping(leaves, memory=pool, join={"only.pool": how})) for how in (mixed, join_mean)
  }
  kept = lambda game: play_round(game, start(game, x), x)[0].carried["only.pool"]
  np.testing.assert_array_equal(kept(joined[mixed]), [0, 100])
  np.testing.assert_array_equal(kept(joined[join_mean]), [50, 50])
  with pytest.raises(ValueError, match="'only.pool' does not say how"):
    kept(parts(keeping(leaves, memory=pool)))


def test_wrong_number_of_minibatches_is_refused():
  game = bilinear((Turn(("max",), 3),))
  state = start(game, data(0.0, 0.0, 0.0))
  with pytest.raises(ValueError, match=r"consumes 3 minibatches.*they are x \[2, 8\]"):
    play_round(game, state, data(0.0, 0.0))


@pytest.mark.parametrize("corrected", [True, False])
def test_average_follows_every_move_of_its_network(corrected):
  decay = Decay(lambda clock, batch: jnp.asarray(0.9), corrected)
  game = bilinear((Turn(("max",), 2), Turn(("min",))), averages={"b": decay})
  batch = data(0.0, 0.0, 0.0)
  state, _ = play_round(game, start(game, batch), batch)
  # b goes 2, 2.1, 2.2
  expected = (0.9 * 2.1 + 2.2) / 1.9 if corrected else 0.81 * 2 + 0.09 * 2.1 + 0.1 * 2.2
  np.testing.assert_allclose(state.ema["b"].params, expected, rtol=1e-6)
  assert set(state.ema) == {"b"}


def test_average_is_told_images_of_the_global_batch():
  told = []

  def decay(clock, batch):
    told.append(batch)
    return clock.images * 0.0 + 0.5

  game = bilinear((Turn(("max",)),), averages={"b": Decay(decay)})
  batch = data(0.0)
  state = start(game, batch)
  play = jax.pmap(functools.partial(play_round, game, axis_name="i"), "i", in_axes=(None, 1))
  play(state, {"x": batch["x"].reshape(1, 4, 2)})
  play_round(game, state, batch)
  assert told == [8, 8]


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999, 0.9999])
def test_average_of_a_state_that_never_changes_is_that_state(decay):
  """To the bit, from the first move on: nothing of the network at random is left."""
  state = {"w": jnp.float32(1 / 3)}, {"mean": jnp.float32(0.1), "count": jnp.int32(7)}
  ema = Ema(*jax.tree.map(lambda x: x + 99, state), weight=jnp.zeros(()))
  for _ in range(50):
    ema = _updated_ema(ema, jnp.float32(decay), *state)
    assert (ema.params, ema.carried) == state


def test_images_are_what_was_seen_whatever_the_size_of_each_batch():
  told = []

  def decay(clock, batch):
    told.append((int(clock.round), int(clock.images)))
    return jnp.asarray(0.5)

  game = bilinear((Turn(("max",)), Turn(("min",)), Turn(("max",))), averages={"a": Decay(decay)})
  batch = data(0.0, 0.0, 0.0)  # of 8 examples
  state, _ = play_round(game, start(game, batch), batch)
  state, _ = play_round(game, state, {"x": batch["x"][:, :4]})
  state, _ = play_round(game, state, batch)
  assert told == [(0, 0), (1, 24), (2, 36)] and state.clock == (3, 60)


def test_state_is_donated_and_the_step_is_traced_once():
  traces = []
  game, batch = bilinear((Turn(("max",), 2), Turn(("min",))), traces=traces), data(0.0, 1.0, 2.0)
  game = game._replace(averages={"a": Decay(lambda clock, batch: jnp.asarray(0.5))})
  state = start(game, batch)
  step = jax.jit(functools.partial(play_round, game), donate_argnums=0)
  state, _ = step(state, batch)
  count = len(traces)
  old = state
  for _ in range(3):
    state, _ = step(state, batch)
  assert len(traces) == count and step._cache_size() == 1
  assert old.params["a"].is_deleted()  # its memory was reused


def test_same_state_and_batch_give_the_same_round():
  game, batch = bilinear((Turn(("max",)), Turn(("min",)))), data(0.5, 1.0)
  state = start(game, batch)
  one, two = play_round(game, state, batch), play_round(game, state, batch)
  assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, two))


def test_state_holds_nothing_but_arrays():
  game = bilinear((Turn(("max",)),))
  state = start(game, data(0.0))
  assert isinstance(state, State)
  assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


def test_every_layout_gives_the_same_numbers():
  game, batch = bilinear((Turn(("max",), 2), Turn(("min",)))), data(0.0, 1.0, 2.0)
  batch = {"x": batch["x"] + jnp.arange(8.0)[None]}
  state = start(game, batch)
  want, want_metrics = play_round(game, state, batch)
  for name, got, metrics in on_every_layout(game, state, batch):
    for net in "ab":
      np.testing.assert_allclose(got.params[net], want.params[net], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(metrics["max/x"], want_metrics["max/x"], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**70])
def test_a_seed_of_more_than_32_bits_is_no_other_seed(seed):
  with pytest.raises(ValueError, match=r"expected 0 <= seed < 2\*\*32"):
    make_key(seed)
  assert jax.random.key_data(make_key(2**32 - 1)).tolist() == [0, 2**32 - 1]
