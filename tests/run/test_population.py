"""A member of a population is its single run; what becomes of one leaves the others as they are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kinds import KINDS, VARIANTS

from gan_jax import parallel
from gan_jax.game.core import minibatches
from gan_jax.game.play import init, sample
from gan_jax.run import experiment, population
from gan_jax.run.config import (
  OPTIMIZERS,
  complete,
  default_config,
  free_numbers,
  network,
  optimizer,
  replaced,
  schedule,
)
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.population import Population
from gan_jax.run.training.rounds import make_dispatch

ROUNDS = 20
CONFIGS = KINDS | VARIANTS


def config_of(**changes):
  """A small game on the ring, with everything that has a number."""
  config = default_config()
  config.data, config.batch_size = "ring8", 16
  config.latent = {"name": "normal", "dim": 2}
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", 1e-3, b1=0.5)
  return replaced(config, changes)


def made(config, numbers=None):
  """A population's `make` for a config."""
  built = experiment.build(config)
  return built, lambda given: build_game(replaced(built.config, given), built.example)


def single(config):
  """The state after a run of its own, on one device."""
  built = experiment.build(config)
  mesh = parallel.make_mesh(config.batch_size)
  spec = built.example.batch(minibatches(built.game), config.batch_size)
  state = init(built.game, jax.random.key(config.seed), spec)
  state = jax.device_put(state, parallel.state_sharding(state, mesh))
  return jax.device_get(make_dispatch(built.game, built.batches, mesh)(state, ROUNDS)[0])


def last(people, batches, every=10, at_once=None):
  """The states after so many rounds, and the metrics of all of them."""
  first, told = population.start(people, batches), []
  options = {"rounds": ROUNDS, "every": every, "at_once": at_once}
  for _, states, metrics in population.play(people, batches, first, **options):
    state = states
    told.append(metrics)
  return state, {k: np.concatenate([m[k] for m in told]) for k in told[0]}


def assert_same(one, other, tolerance=1e-5):
  """Adam divides by what is small at first, so that rounding grows within 20 rounds to 1e-6."""
  for (path, a), b in zip(
    jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
  ):
    if "observed" in jax.tree_util.keystr(path):
      continue  # a population's monitors do not measure
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
      a, b = jax.random.key_data(a), jax.random.key_data(b)
    a, b = np.asarray(a), np.asarray(b)
    scale = np.abs(b).max() if b.size else 1
    assert np.abs(a - b).max() <= tolerance * max(scale, 1e-3), jax.tree_util.keystr(path)


VARIED = {
  "regularizers.r1": (0.1, 1.0),
  "optimizers.discriminator.learning_rate": (1e-3, 5e-4),
  "optimizers.generator.b1": (0.5, 0.0),
  "average.decay": (0.9, 0.5),
  "instance_noise.std": (0.1, 0.01),
}


SEEDS = [0, 0, 1, 1, 2, 2]


def pick(i):
  return {name: values[i % 2] for name, values in VARIED.items()}


@functools.cache
def varied(i):
  return single(config_of(seed=SEEDS[i], **pick(i)))


@pytest.mark.parametrize("at_once", [None, 1, 2])
def test_member_is_its_single_run(at_once):
  """Seeds and numbers at once; six members are split over six of eight devices."""
  built, make = made(config_of(**pick(0)))
  numbers = {name: np.array(values * 3) for name, values in VARIED.items()}
  state, _ = last(Population(make, np.array(SEEDS), numbers), built.batches, at_once=at_once)
  for i in (0, 5):
    assert_same(population.member(state, i), varied(i))


def test_members_differ_by_seed_alone_and_by_number_alone():
  built, make = made(config_of(**{"regularizers.r1": 0.1}))
  numbers = {"regularizers.r1": np.array([0.1, 0.1, 10.0])}
  state, _ = last(Population(make, np.array([0, 1, 0]), numbers), built.batches)
  a, b, c = (population.member(state, i).params["generator"] for i in range(3))
  differ = lambda x, y: any(
    not np.array_equal(p, q) for p, q in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
  )
  assert differ(a, b) and differ(a, c)


def test_schedules_and_tables_and_conditional_games():
  """The first value of a schedule is a number too; images are read in each member's own order."""
  falling = lambda value: schedule(
    "linear_schedule", init_value=value, end_value=0.0, transition_steps=30
  )
  changes = {
    "data": "mnist10k",
    "conditional": True,
    "data_options.flip": True,
    "regularizers.r1": falling(0.2),
    "optimizers.generator.learning_rate": falling(1e-3),
    "generator": network("mlp_generator", hidden=(8,)),
  }  # fmt: skip
  key = "optimizers.generator.learning_rate.init_value"
  config = config_of(**changes)
  assert free_numbers(config)[key] == 1e-3
  assert free_numbers(config)["regularizers.r1.init_value"] == 0.2
  built, make = made(config)
  people = Population(make, np.array([3, 4]), {key: np.array([1e-3, 2e-3])})
  state, _ = last(people, built.batches)
  assert_same(population.member(state, 1), single(replaced(config, {"seed": 4, key: 2e-3})))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_number_of_every_optimizer_may_be_traced(name):
  config = config_of(**{"optimizers.generator": optimizer(name, 1e-3)})
  numbers = {k: v for k, v in free_numbers(config).items() if k.startswith("optimizers.generator")}
  assert "optimizers.generator.learning_rate" in numbers
  built, make = made(config)
  people = Population(make, np.arange(2), {k: np.array([v, v]) for k, v in numbers.items()})
  jax.eval_shape(lambda: population.start(people, built.batches))


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_free_number_of_every_kind_may_be_traced(kind):
  config = complete(CONFIGS[kind]())
  numbers = free_numbers(config)
  assert any(key.startswith("optimizers.") for key in numbers)
  _, make = made(config)
  # The game is built, and not played: what asks for the value of a number does so then.
  jax.eval_shape(lambda numbers: minibatches(make(numbers)), numbers)


def test_a_game_that_sees_no_data_starts_from_the_shapes_of_data():
  built, make = made(VARIANTS["distribution_matching without data"]())
  assert minibatches(built.game) == 0
  people = Population(make, np.arange(2), {})
  states = jax.eval_shape(lambda: population.start(people, built.batches))
  assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(states.params))


def test_failed_member_leaves_the_others():
  built, make = made(config_of(**{"regularizers.r1": 1.0}))
  numbers = lambda bad: {"regularizers.r1": np.array([1.0, bad, 1.0])}
  seeds = np.arange(3)
  good, _ = last(Population(make, seeds, numbers(1.0)), built.batches)
  state, metrics = last(Population(make, seeds, numbers(np.inf)), built.batches)
  for i in (0, 2):
    assert_same(population.member(state, i), population.member(good, i), tolerance=0)
  found = population.failures(metrics)
  assert list(found) == [1]
  at, name, value = found[1]
  assert at == 0 and name in metrics and not np.isfinite(value)


def test_failures_name_the_first_round_and_its_cause():
  fine = np.ones((3, 2))
  bad, worse = fine.copy(), fine.copy()
  bad[1, 1] = np.nan
  worse[1:, 1] = np.inf
  metrics = {"discriminator/loss": worse, "discriminator/r1": bad, "V": fine}
  assert population.failures(metrics)[1][:2] == (1, "discriminator/r1")
  assert population.failures({"V": fine}) == {}


def test_samples_are_those_of_each_member():
  built, make = made(config_of())
  people = Population(make, np.arange(2))
  state, _ = last(people, built.batches)
  x = population.samples(people, state, 5, seed=3)
  assert x.shape == (2, 5, 2)
  one = sample(built.game, population.member(state, 1), jax.random.key(3), 5)
  np.testing.assert_allclose(x[1], one, rtol=1e-5, atol=1e-6)


TWO = np.arange(2)
BUILT, MAKE = made(config_of())


def begun(make=MAKE, seeds=TWO, numbers=None, batches=BUILT.batches):
  """States of a population, abstract."""
  people = Population(make, seeds, numbers or {})
  return jax.eval_shape(lambda: population.start(people, batches))


def played(people=Population(MAKE, TWO), state=None, rounds=2, **options):  # noqa: B008
  state = begun() if state is None else state
  return population.play(people, BUILT.batches, state, rounds=rounds, **options)


ONE = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), begun())
MISTAKES = {
  "no seeds": (lambda: begun(seeds=[]), "list of integers"),
  "a number of seeds": (lambda: begun(seeds=4), r"such as np.arange\(4\), got 4"),
  "seeds below 0": (lambda: begun(seeds=[-1]), "list of integers"),
  "seeds between": (lambda: begun(seeds=[0.5]), "list of integers"),
  "seeds of words": (lambda: begun(seeds=["a"]), "list of integers"),
  "three numbers": (lambda: begun(numbers={"rate": np.ones(3)}), r"expected \[2\] of 'rate'"),
  "one number": (lambda: begun(numbers={"rate": 1.0}), r"expected \[2\] of 'rate'"),
  "no names": (
    lambda: begun(numbers=[1.0, 2.0]),
    r"numbers .* \[1.0, 2.0\]: expected them by name",
  ),
  "words": (lambda: begun(numbers={"rate": ["a", "b"]}), "are no numbers"),
  "a game": (lambda: begun(make=BUILT.game), "make is a Game: expected a function of the numbers"),
  "no argument": (
    lambda: begun(make=lambda: BUILT.game),
    "make is the function <lambda>: expected",
  ),
  "no game": (lambda: begun(make=lambda numbers: None), "game is None: expected a Game"),
  "another name": (
    lambda: begun(make=lambda numbers: MAKE({"average.decay": numbers["decay"]})),
    r"asks for the number 'decay', .* are \[\]: give",
  ),
  "an if": (
    lambda: begun(
      lambda numbers: MAKE({}) if numbers["a"] > 0 else None, numbers={"a": np.ones(2)}
    ),
    "not known while the game is built",
  ),
  "an array": (
    lambda: begun(batches=np.zeros((1, 8, 2))),
    r"float64\[1, 8, 2\]: expected a data.Bat",
  ),
  "what is iterated": (lambda: begun(batches=BUILT.batches.iterate()), "not what its iterate"),
  "no population": (lambda: played(people=MAKE), r"expected a Population\(make, seeds, numbers\)"),
  "rounds below 0": (lambda: played(rounds=-1), "rounds is -1: expected .* int >= 0"),
  "rounds and a half": (lambda: played(rounds=1.5), "rounds is 1.5"),
  "every 0": (lambda: played(every=0), "every is 0: expected .* int >= 1"),
  "none at once": (lambda: played(at_once=0), "at_once is 0: expected how many"),
  "what is played": (lambda: played(state=(2, begun(), {})), "state is a tuple.*second of three"),
  "one of them": (lambda: played(state=ONE), "state is that of one run: expected"),
  "two for three": (lambda: played(Population(MAKE, np.arange(3))), "of 2 members, .* has 3"),
  "samples of one": (
    lambda: population.samples(Population(MAKE, TWO), ONE, 4),
    "state is that of one run: expected",
  ),
  "member of one": (lambda: population.member(ONE, 0), "state is that of one run: expected"),
  "member 2 of 2": (lambda: population.member(begun(), 2), r"i is 2: expected .* in \[0, 2\)"),
  "metrics of one": (
    lambda: population.failures({"V": np.ones(3)}),
    r"{'V': \[3\]}: expected arrays",
  ),
  "no metrics": (lambda: population.failures({}), r"expected arrays \[rounds, n\]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_pass(mistake):
  wrong, told = MISTAKES[mistake]
  with pytest.raises(ValueError, match=told) as error:
    wrong()
  assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_streamed_data_are_refused():
  built, make = made(config_of(data="mnist10k", **{"data_options.placement": "stream"}))
  with pytest.raises(ValueError, match="is streamed"):
    population.player(Population(make, np.arange(2)), built.batches)


def test_replaced_leaves_the_config_and_knows_its_keys():
  config = config_of()
  assert replaced(config, {"average.decay": 0.5}).average.decay == 0.5
  assert config.average.decay == 0.999
  with pytest.raises(ValueError, match=r"no key 'average\.decoy'"):
    replaced(config, {"average.decoy": 0.5})
