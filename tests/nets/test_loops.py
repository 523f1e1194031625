"""On a CPU no program of ours has an XLA convolution in a loop that is slow there."""

import jax
import numpy as np
import pytest
from loops import primitives

from experiments.bench import convolutions
from gan_jax import data, parallel
from gan_jax.nets import NETWORKS
from gan_jax.run import population
from gan_jax.run.population import Population
from gan_jax.run.training.rounds import jit_rounds

BATCH = 16  # two for each of eight devices
# Two moves of D in a row, and second derivatives. Batch norm would not let a minibatch be cut.
HARD = {"k": 2, "regularizers.r1": 1.0}
CUT = {"microbatches": 2, "generator.norm": "layer", "discriminator.norm": "spectral"}


def batches(pair):
  shape = convolutions.PAIRS[pair].shape
  x = np.zeros((BATCH, *shape), np.float32 if len(shape) == 1 else np.uint8)
  return data.Batches(data.source.table("zeros", x, None), BATCH, 0)


def test_every_pair_of_networks_is_looked_at():
  pairs = {name.removesuffix("_generator") for name in NETWORKS if name.endswith("_generator")}
  dense = {"flow_mlp", "multi_level_mlp"}  # of other kinds of game, and without a convolution
  assert pairs - dense == convolutions.PAIRS.keys()


def test_gradients_of_a_convolution_are_found_wherever_they_are():
  convolve = lambda k, x: convolutions.forms.lax_conv(x, k).sum()
  loop = lambda k, xs: jax.lax.map(jax.jit(lambda x: jax.grad(convolve)(k, x)), xs)
  jaxpr = jax.make_jaxpr(jax.jit(loop))(np.zeros((3, 3, 1, 1), "f"), np.zeros((2, 1, 4, 4, 1), "f"))
  assert "slow convolution" in set(primitives(jaxpr.jaxpr))


@pytest.mark.parametrize("pair", convolutions.PAIRS)
def test_rounds_have_no_slow_convolution_in_a_loop(pair):
  game = convolutions.game_of(pair, **HARD)
  rounds = jit_rounds(game, batches(pair), parallel.make_mesh(BATCH))
  play = lambda state, table: rounds.play(state, table, None, 2)
  found = set(primitives(jax.make_jaxpr(play)(rounds.like, rounds.table).jaxpr))
  assert "dot_general" in found and "slow convolution" not in found


def test_nor_has_a_population_that_sees_its_batches_in_parts():
  game = convolutions.game_of("sngan", **CUT)
  people = Population(lambda numbers: game, np.arange(9))  # more than devices: some go in a loop
  states = jax.eval_shape(lambda: population.start(people, batches("sngan")))
  play = population.player(people, batches("sngan"), at_once=1)
  found = set(primitives(jax.make_jaxpr(lambda states: play(states, 2))(states).jaxpr))
  assert "dot_general" in found and "slow convolution" not in found
