"""What the figure of rounding is drawn from."""

import jax.numpy as jnp
import numpy as np
import optax

from experiments.bench import rounding
from gan_jax.game.core import Game, Objective, Player, State
from gan_jax.game.random import make_key


def test_players_tell_the_parameters_that_they_have_before_their_moves():
  value = lambda seen, params, carried, context: (jnp.ones(()), ({}, {"loss": 1.0}))
  player = Player(("net",), Objective(lambda *_: None, value), optax.sgd(0.1))
  empty = lambda *_: None
  game = rounding.telling(Game(empty, {}, {"one": player}, ()))
  params = {"net": {"a": jnp.arange(2.0), "b": jnp.full((1, 2), 3.0)}}
  loss, (memory, metrics) = game.players["one"].objective.value(None, params, {}, None)
  assert loss == 1 and memory == {} and metrics["loss"] == 1
  np.testing.assert_array_equal(metrics["one/parameters"], [0, 1, 3, 3])


def test_parameters_are_changed_by_rounding_alone():
  params = {"net": np.random.default_rng(1).normal(size=1000).astype(np.float32)}
  state = State(
    jnp.zeros((), jnp.int32), jnp.zeros((), jnp.uint32), make_key(0), params, {}, {}, {}
  )
  after = rounding.changed(state, 0).params["net"]
  np.testing.assert_allclose(after, params["net"], rtol=2.4e-7)  # two units in the last place
  assert 100 < np.sum(after != params["net"]) < 1000


def test_the_difference_of_a_round_is_that_of_the_network_that_differs_most():
  a = {"d/parameters": np.array([[1.0, 2.0], [4.0, 0.0]]), "g/parameters": np.ones((2, 3)), "V": 0}
  b = {**a, "d/parameters": a["d/parameters"] + [[0.0, 0.0], [0.0, 2.0]]}
  b["g/parameters"] = a["g/parameters"] * [[1.25], [1.0]]
  np.testing.assert_array_equal(rounding.difference(a, b), [0.25, 0.5])
