"""JAX's switches: games play the same numbers under them, runs remember those they depend on."""

import contextlib
import functools
import json

import jax
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.data import Batches, load
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import truncated
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.random import KEYS, as_key, example_keys, make_key
from gan_jax.game.schedules import half_life
from gan_jax.game.views import gaussian_noise
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import every
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.run.config import default_config, network, switches
from gan_jax.run.experiment import build
from gan_jax.run.results.same_run import check_same_switches, other_switches, write_config

SWITCHES = {
  "x64": [lambda: jax.enable_x64(True)],
  "rbg keys": [lambda: jax.default_prng_impl("rbg")],
  "draws of old": [lambda: jax.threefry_partitionable(False)],
  "strict dtypes": [lambda: jax.numpy_dtype_promotion("strict")],
  "debugging": [lambda: jax.debug_nans(True), lambda: jax.debug_infs(True), jax.checking_leaks],
}


def game():
  """One that draws, remembers and averages in most of the ways there are."""
  return two_player(
    MLPGenerator(shape=(2,), hidden=(4,)),
    MLPDiscriminator(hidden=(4,)),
    loss=losses.relativistic_average,
    regularizers={
      "gradient_penalty": (0.1, regularizers.gradient_penalty()),
      "lecam": (0.1, regularizers.lecam()),
      "consistency": (
        0.1,
        every(2, regularizers.consistency(transform=losses.jitter(scale=1))),
      ),
    },
    optimizers={"discriminator": optax.adam(1e-3), "generator": optax.rmsprop(1e-3)},
    latent=truncated(3),
    averages={"generator": half_life(100)},
    views=(gaussian_noise(0.1),),
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
  return jax.tree.map(
    np.asarray, (state.replace(key=jax.random.key_data(state.key)), metrics, drawn)
  )


@pytest.fixture(scope="module")
def played():
  return play()


@pytest.mark.parametrize("name", SWITCHES)
def test_games_play_the_same_numbers_under_every_switch(name, played):
  with contextlib.ExitStack() as stack:
    for switch in SWITCHES[name]:
      stack.enter_context(switch())
    found = play()
  jax.tree.map(np.testing.assert_array_equal, found, played)  # the same program, so the same bits
  assert [x.dtype for x in jax.tree.leaves(found)] == [x.dtype for x in jax.tree.leaves(played)]


def test_whether_a_loss_couples_is_asked_where_nans_are_errors():
  with jax.debug_nans(True):
    assert losses.depends_on_others(lambda a, b: a - b.mean())
    assert not losses.depends_on_others(lambda a, b: a - b)


def test_keys_are_of_one_kind_whatever_the_default():
  seeded = jax.random.key_data(jax.random.split(make_key(3))[1])
  for kind in ("rbg", "unsafe_rbg"):
    with jax.default_prng_impl(kind):
      assert jax.random.key_impl(make_key(3)) == KEYS
      np.testing.assert_array_equal(jax.random.key_data(as_key(jax.random.key(3))), [0, 3])
  # As users split theirs: of the kind "rbg", a key of ours goes along in it.
  given = jax.random.split(jax.random.key(3, impl="rbg"))[1]
  np.testing.assert_array_equal(jax.random.key_data(as_key(given)), seeded)
  each = jax.random.key_data(example_keys(given, 2))
  np.testing.assert_array_equal(each, jax.random.key_data(example_keys(as_key(given), 2)))


def test_a_user_s_key_of_another_kind_starts_the_same_game(played):
  playing = game()
  spec = Batches(load("ring8"), batch_size=8, seed=0).spec(2)
  a, b = (init(playing, jax.random.key(3, impl=kind), spec) for kind in (KEYS, "rbg"))
  jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
  assert a.key == b.key


@pytest.fixture
def run(tmp_path):
  config = default_config()
  config.data, config.batch_size = "ring8", 8
  config.generator = network("mlp_generator", hidden=(4,))
  config.discriminator = network("mlp_discriminator", hidden=(4,))
  write_config(build(config), tmp_path)
  return tmp_path


def test_a_run_goes_on_under_the_switches_it_was_started_under(run):
  with jax.default_matmul_precision("highest"):  # nothing is saved that would go on
    check_same_switches(run)
  (run / "checkpoints/4").mkdir(parents=True)
  check_same_switches(run)
  with jax.default_matmul_precision("highest"):
    with pytest.raises(ValueError, match="JAX_DEFAULT_MATMUL_PRECISION: None there, highest here"):
      check_same_switches(run)
    check_same_switches(run, allow=True)
    remembered = json.loads((run / "config.json").read_text())
    remembered.pop("switches")  # as of a run that was started before it was remembered
    (run / "config.json").write_text(json.dumps(remembered))
    check_same_switches(run)
    check_same_switches(run / "none")


def test_a_run_tells_that_another_jax_plays_it(run):
  written = json.loads((run / "config.json").read_text())
  assert other_switches(run, "made_with") == ""
  written["made_with"]["jax"] = "0.1"
  (run / "config.json").write_text(json.dumps(written))
  assert other_switches(run, "made_with") == f"  jax: 0.1 there, {jax.__version__} here"


@pytest.mark.parametrize("guard", ["transfer_guard", "transfer_guard_host_to_device"])
def test_switches_under_which_nothing_runs_are_refused(guard):
  switches.check()
  before = getattr(jax.config, f"jax_{guard}")
  jax.config.update(f"jax_{guard}", "disallow")
  try:
    with pytest.raises(ValueError, match=f"JAX_{guard.upper()} forbids"):
      switches.check()
  finally:
    jax.config.update(f"jax_{guard}", before)
