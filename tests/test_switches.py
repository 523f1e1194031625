"""JAX's switches: games play the same numbers under them, runs remember those they depend on."""

import contextlib
import functools
import json

import jax
import numpy as np
import optax
import pytest

from gan_jax import games, losses, population, regularizers, runs, switches
from gan_jax.config import default_config, network
from gan_jax.data import Batches, load
from gan_jax.experiment import build
from gan_jax.game import init, play_round, sample
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.objectives import every
from gan_jax.random import as_key, example_keys, make_key

SWITCHES = {
  "x64": lambda: jax.enable_x64(True),
  "rbg keys": lambda: jax.default_prng_impl("rbg"),
  "draws of old": lambda: jax.threefry_partitionable(False),
  "strict dtypes": lambda: jax.numpy_dtype_promotion("strict"),
  "NaNs": lambda: jax.debug_nans(True),
  "infinities": lambda: jax.debug_infs(True),
  "strict ranks": lambda: jax.numpy_rank_promotion("raise"),
  "leaks": lambda: jax.checking_leaks(),
}


def game():
  """One that draws, remembers and averages in most of the ways there are."""
  return games.two_player(
    MLPGenerator(shape=(2,), hidden=(4,)),
    MLPDiscriminator(hidden=(4,)),
    loss=losses.relativistic_average,
    regularizers={
      "gradient_penalty": (0.1, regularizers.gradient_penalty()),
      "lecam": (0.1, regularizers.lecam()),
      "consistency": (0.1, every(2, regularizers.consistency(transform=regularizers.jitter(scale=1)))),
    },
    optimizers={"discriminator": optax.adam(1e-3), "generator": optax.rmsprop(1e-3)},
    latent=games.truncated(3),
    averages={"generator": games.half_life(100)},
    instance_noise=0.1,
  )


def play():
  """Plays two rounds as a notebook does: leaves of the state, metrics and samples."""
  playing, batches = game(), Batches(load("ring8"), batch_size=8, seed=0)
  n = 2  # the generator of a relativistic game sees data as well
  round = lambda state, t: play_round(
    playing, state, jax.vmap(functools.partial(batches.at, {}))(n * t + np.arange(n))
  )
  state = init(playing, jax.random.key(3), batches.spec(n))
  state, metrics = jax.jit(lambda state: jax.lax.scan(round, state, np.arange(2)))(state)
  drawn = jax.jit(lambda state, key: sample(playing, state, key, 5))(state, jax.random.key(1))
  return jax.tree.map(np.asarray, (state.replace(key=jax.random.key_data(state.key)), metrics, drawn))


@pytest.fixture(scope="module")
def played():
  return play()


@pytest.mark.parametrize("name", SWITCHES)
def test_games_play_the_same_numbers_under_every_switch(name, played):
  with SWITCHES[name]():
    found = play()
  jax.tree.map(np.testing.assert_array_equal, found, played)  # the same program, so the same bits
  assert [x.dtype for x in jax.tree.leaves(found)] == [x.dtype for x in jax.tree.leaves(played)]
