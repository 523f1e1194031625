"""The same numbers however the work is laid out on eight devices, and what is sent meanwhile.

Draws are equal to the bit. Parameters differ by rounding, as means are summed in another order: a
round adds about 1e-7 of the largest parameter, and 1e-5 leaves room for how games amplify it. SGD,
momentum and lookahead are linear in gradients. Adam and RMSProp divide by their root mean square,
so that rounding alone would move a parameter by the learning rate where its gradient is zero but
for rounding, as that of biases before a batch norm; here no such parameter meets them.
"""

import functools
import pathlib
import re
import socket

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from patience import HANG

from experiments.bench import layouts
from experiments.bench.scaling import collectives
from gan_jax import data, parallel
from gan_jax.game import rules
from gan_jax.game.play import init, play_round
from gan_jax.game.random import example_keys
from gan_jax.losses.objectives import Term
from gan_jax.parallel import mesh as mesh_module
from gan_jax.parallel import sharding
from gan_jax.run.config import default_config, network
from gan_jax.run.experiment import build
from gan_jax.run.training.rounds import _batch_maker, jit_rounds

ROOT = pathlib.Path(__file__).parents[2]
TOLERANCE = 1e-5
COUPLED = {  # games whose moves look across the batch; all of all is in experiments/bench/layouts
  "relativistic average, R1 and R2": "pmap",
  "hinge, LeCam, DRAGAN": "shard_map",
  "batch norm, joint, packed": "data 8",
  "joint, dropout": "pmap",
}


@pytest.fixture
def all_split(monkeypatch):
  """Splits whatever can be, however small."""
  monkeypatch.setattr(sharding, "SMALL", 1)


@functools.cache
def on_one_device(name):
  game = layouts.GAMES[name]()
  given = layouts.batches(game, 20)
  state = init(game, jax.random.key(0), jax.tree.map(lambda x: x[0], given))
  return game, state, given, layouts.one(game, state, given)


def check(name, layout):
  game, state, given, (want, _) = on_one_device(name)
  got, _ = layouts.LAYOUTS[layout](game, state, given)
  assert layouts.state_difference(want, got) < TOLERANCE
  check_alike(got.carried)
  assert layouts.state_difference(state, want) > 100 * TOLERANCE  # they have moved


def check_alike(carried):
  """What every device is said to have a copy of is the same on all of them."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(carried):
    copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
    for copy in copies[1:]:
      np.testing.assert_array_equal(copy, copies[0], err_msg=jax.tree_util.keystr(path))


ELSEWHERE = (  # in test_rules.py; alike to others, in the bench alone
  *("extragradient", "consensus"),
  *("non-saturating", "batch norm", "momentum", "RMSProp"),
)


@pytest.mark.parametrize("name", [name for name in layouts.GAMES if name not in ELSEWHERE])
def test_every_game_is_the_same_on_a_mesh_that_splits_all(name, all_split):
  check(name, "data 4, fsdp 2")


def test_games_are_the_same_on_two_processes(tmp_path):
  """Of four devices each, that split batches by four and what is large by two.

  One that looks across the batch; the bench has all of them.
  """
  name = "batch norm, joint, packed"
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"
  shared = {"GAN_JAX_COORDINATOR": address, "GAN_JAX_NUM_PROCESSES": "2"}
  running = []
  for index in ("0", "1"):
    (told := tmp_path / index).touch()
    environment = {**shared, "GAN_JAX_PROCESS_ID": index, "JAX_NUM_CPU_DEVICES": "4"}
    command = ["--processes=2", "--games", name]
    module = "experiments.bench.layouts"
    running.append(commands.start(command, environment, ROOT, told, module))
  for process in running:
    process.join(HANG)
  told = (tmp_path / "0").read_text()
  assert [process.exitcode for process in running] == [0, 0], told
  ((found, difference),) = re.findall(r"\| (.+) \| (\S+) \|", told)
  assert found == name and float(difference) < TOLERANCE


@pytest.mark.parametrize(("name", "layout"), COUPLED.items())
def test_what_looks_across_the_batch_is_the_same_on_every_layout(name, layout):
  check(name, layout)


def remembering(join=None):
  """The smallest logit of a real example that was seen, by a term that looks at its own alone."""
  value = lambda match, least: (match.real_logits, jnp.minimum(least, jnp.min(match.real_logits)))
  term = Term(value, jnp.zeros(()), join=join)
  return layouts.make(regularizers={"least": (0.0, term)})


@pytest.mark.parametrize("layout", ["data 4, fsdp 2", "shard_map", "pmap"])
def test_memory_that_devices_make_of_their_own_examples_is_joined(layout):
  """It was declared to be the same everywhere, and was not."""
  game = remembering(join=lambda stacked: jnp.min(stacked, axis=0))
  given = layouts.batches(game, 2)
  state = init(game, jax.random.key(0), jax.tree.map(lambda x: x[0], given))
  want, got = (play(game, state, given)[0] for play in (layouts.one, layouts.LAYOUTS[layout]))
  check_alike(got.carried)
  name = "discriminator.least"
  np.testing.assert_allclose(got.carried[name], want.carried[name], rtol=TOLERANCE)
  with pytest.raises(ValueError, match="'discriminator.least' does not say how"):
    layouts.LAYOUTS[layout](remembering(), state, given)


# --- in parts, and again --------------------------------------------------------------------------


def microbatched(game, count):
  return game._replace(turns=rules.microbatches(game.turns, count))


WHOLE = (
  "least squares, consistency, lazy",
  "relativistic, simultaneous, conditional",
  "spectral norm, dropout, noise, orthogonal",
)


@pytest.mark.parametrize("name", WHOLE)
def test_microbatches_give_the_numbers_of_the_whole_batch(name):
  game, state, given, (want, told) = on_one_device(name)
  got, same = layouts.one(microbatched(game, 4), state, given)
  assert layouts.state_difference(want, got) < TOLERANCE
  shown = {"D_fake", "V", "margin"} & told.keys()  # which of them is the loss's matter
  for metric in ("discriminator/loss", "generator/gradient_norm", *shown):
    np.testing.assert_allclose(same[metric], told[metric], rtol=1e-4, atol=1e-6)


def test_microbatches_on_a_mesh_give_the_same_as_well():
  game, state, given, (want, _) = on_one_device(WHOLE[-1])
  got, _ = layouts.LAYOUTS["data 8"](microbatched(game, 2), state, given)
  assert layouts.state_difference(want, got) < TOLERANCE


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("relativistic average, R1 and R2", "looks across the batch"),
    ("hinge, LeCam, DRAGAN", "looks across the batch"),
    ("batch norm", "the generator has batch norm"),
    ("batch norm, joint, packed", "packing = 2"),
  ],
)
def test_what_has_no_parts_is_refused_by_microbatches(name, message):
  game = layouts.GAMES[name]()
  given = jax.tree.map(lambda x: x[0], layouts.batches(game, 1))
  state = jax.eval_shape(lambda: init(game, jax.random.key(0), given))
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(functools.partial(play_round, microbatched(game, 2)), state, given)


def test_data_in_64_bits_are_played_in_32():
  """Labels too, without a warning; warnings are errors here."""
  game = layouts.GAMES["relativistic, simultaneous, conditional"]()
  narrow = jax.tree.map(lambda x: np.asarray(x[0]), layouts.batches(game, 1))
  wide = {"x": narrow["x"].astype(np.float64), "y": narrow["y"].astype(np.int64)}
  play = jax.jit(functools.partial(play_round, game))
  want = play(init(game, jax.random.key(0), narrow), narrow)[0].params
  with jax.enable_x64(True):
    got = play(init(game, jax.random.key(0), wide), wide)[0].params
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_microbatches_that_do_not_fit_are_refused():
  game, state, given, _ = on_one_device("non-saturating")
  with pytest.raises(ValueError, match="microbatches = 3 does not divide a device's 32 examples"):
    layouts.one(microbatched(game, 3), state, given)
  with pytest.raises(ValueError, match="go with plain gradients"):
    rules.microbatches(layouts.GAMES["extragradient"]().turns, 2)
  with pytest.raises(ValueError, match="one part or more"):
    rules.microbatches(game.turns, 0)


def test_networks_that_are_run_again_give_the_same_and_take_less_memory():
  """Deep networks on a large batch: activations are what there is most of.

  XLA takes the barriers out on CPU, finds the same computation twice and does it once; compiled as
  it is for accelerators, with the barriers left in, it takes less memory on CPU too.
  """
  barriers = {"xla_disable_hlo_passes": "cse_barrier_expander"}

  def step(**changes):
    config = default_config()
    config.data, config.batch_size = "ring8", 2048
    config.generator = network("mlp_generator", hidden=(64,) * 5)
    config.discriminator = network("mlp_discriminator", hidden=(64,) * 5)
    config.update_from_flattened_dict(changes)
    experiment = build(config)
    spec = experiment.batches.spec(1)
    like = jax.eval_shape(lambda: init(experiment.game, jax.random.key(0), spec))
    lowered = jax.jit(functools.partial(play_round, experiment.game)).lower(like, spec)
    return experiment, lowered.compile(compiler_options=barriers)

  (experiment, plain), (_, again), (_, parts) = step(), step(remat=True), step(microbatches=4)
  memory = lambda compiled: compiled.memory_analysis().temp_size_in_bytes
  assert memory(again) < 0.75 * memory(plain) and memory(parts) < 0.3 * memory(plain)
  given = {"x": jax.random.normal(jax.random.key(1), (1, 2048, 2)), "y": jnp.zeros((1, 2048), int)}
  state = init(experiment.game, jax.random.key(0), given)
  want = plain(state, given)[0]
  for other in (again, parts):
    assert layouts.state_difference(want, other(state, given)[0]) < TOLERANCE


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fsdp", [1, 2])
def test_keys_of_examples_are_the_same_to_the_bit(fsdp):
  mesh, key = parallel.make_mesh(32, fsdp=fsdp), jax.random.key(3)
  one = lambda key: jax.random.key_data(example_keys(key, 4, parallel.AXES))
  spec = PartitionSpec(parallel.AXES)
  apart = jax.shard_map(one, mesh=mesh, in_specs=PartitionSpec(), out_specs=spec, check_vma=False)
  np.testing.assert_array_equal(apart(key), jax.random.key_data(example_keys(key, 32)))


@pytest.mark.parametrize(("fsdp", "resident"), [(1, True), (2, True), (2, False)])
def test_batches_are_the_same_to_the_bit(fsdp, resident, monkeypatch):
  """In order and flips, of a table that every device has, of one in parts, and of a stream."""
  batches = data.Batches(data.load("mnist10k"), 32, 5, flip=True, resident=resident)
  mesh, t = parallel.make_mesh(32, fsdp=fsdp), np.array([7, 400], np.uint32)
  whole = data.Batches(batches.source, 32, 5, flip=True)
  want = [jax.jit(whole.at)(whole.arrays, i) for i in t]
  for limit in (2**26, 0) if resident else (0,):
    monkeypatch.setattr(mesh_module, "SMALL_TABLE", limit)
    table = parallel.put_table(batches.arrays, mesh)
    assert all(bool(x.sharding.spec) == (limit == 0) for x in table.values())
    raw = None
    if not resident:
      raw = jax.tree.map(lambda *x: np.stack(x), *(batches.read(int(i)) for i in t))
      raw = parallel.split(raw, mesh, axis=1)
    got = jax.jit(_batch_maker(batches, mesh, table))(table, raw, t)
    assert got["x"].sharding.is_equivalent_to(parallel.batch_sharding(mesh, axis=1), 5)
    for i in range(2):
      np.testing.assert_array_equal(got["x"][i], want[i]["x"])
      np.testing.assert_array_equal(got["y"][i], want[i]["y"])


# --- what is sent ---------------------------------------------------------------------------------


MLP = {
  "generator": network("mlp_generator", hidden=(32, 32)),
  "discriminator": network("mlp_discriminator", hidden=(32, 32)),
}
OF_D, OF_G = 2 * 32 + 32 + 32 * 32 + 32 + 32 + 1, 64 * 32 + 32 + 32 * 32 + 32 + 32 * 2 + 2


def sent(fsdp=1, networks=MLP, **changes):
  """Compiles a dispatch of rounds as training does; lists its collectives."""
  config = default_config()
  config.data = "ring8"
  config.batch_size = 64
  config.generator, config.discriminator = networks["generator"], networks["discriminator"]
  config.update_from_flattened_dict(changes)
  experiment = build(config)
  mesh = parallel.make_mesh(64, fsdp=fsdp)
  rounds = jit_rounds(experiment.game, experiment.batches, mesh)
  raw = None
  return collectives(rounds.play.lower(rounds.like, rounds.table, raw, 4).compile().as_text())


def kinds(found):
  return sorted(sent.kind for sent in found)


def sizes(found, kind):
  return sorted(sent.numbers for sent in found if sent.kind == kind)


def test_a_move_sends_its_gradients_once_and_nothing_else():
  """One all-reduce a player, of gradients and metrics together; one number more, of a ratio."""
  found = sent(**{"regularizers.r1": 1.0})
  assert kinds(found) == ["all-reduce"] * 3
  ratio, of_d, of_g = sizes(found, "all-reduce")
  assert ratio == 1 and 0 <= of_d - OF_D < 20 and 0 <= of_g - OF_G < 20


def test_a_loss_that_couples_examples_sends_its_logits_as_well():
  """Of two moves, real and fake: gathered, and their gradients brought back."""
  found = sent(loss="relativistic_average")
  assert sizes(found, "all-gather") == [64] * 4
  assert sizes(found, "reduce-scatter") == [8] * 3  # none of real examples to the generator
  assert len(found) == 3 + 4 + 3


def test_batch_norm_sends_its_statistics_as_well():
  """Those of the generator in both moves and back in its own, 2 x 32; one joins D's gradients."""
  networks = {
    "generator": network("pacgan_generator", hidden=(32,)),
    "discriminator": network("pacgan_discriminator", hidden=(8,)),
  }
  found = sent(networks=networks)
  assert kinds(found) == ["all-reduce"] * 5
  assert sizes(found, "all-reduce")[1:3] == [64, 64]


def test_parameters_in_parts_are_gathered_and_nothing_else_is_moved(all_split):
  """Both networks in the move of the discriminator, which alone changes before the generator's.

  Gradients are brought to the device that keeps them; what is left for all are the sums of norms,
  metrics, and the bias of a logit, which cannot be divided.
  """
  found = sent(fsdp=8)
  assert set(kinds(found)) == {"all-gather", "reduce-scatter", "all-reduce"}
  assert sum(sizes(found, "all-gather")) == 2 * (OF_D - 1) + OF_G - 2
  assert 8 * sum(sizes(found, "reduce-scatter")) == OF_D - 1 + OF_G - 2
  assert max(sizes(found, "all-reduce")) < 40  # there are some 25 metrics
