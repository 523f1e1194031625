"""Runs made of files, and runs that start from others: the same arrays, and what does not fit."""

import json

import jax
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict
from kinds import two_player
from torch_files import tensors, written

import gan_jax as gj
from gan_jax.data.example import Example
from gan_jax.game.core import minibatches
from gan_jax.game.optimizers import freeze
from gan_jax.game.play import init
from gan_jax.nets.published import files, layout, stylegan2
from gan_jax.run.config import complete, network, optimizer, replaced
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.config.sections.optimizers import build_optimizer
from gan_jax.run.weights import kinds
from gan_jax.run.weights.importing import import_run
from gan_jax.run.weights.start_from import parse, start_from
from gan_jax.torch_file import read_torch

EXAMPLE = Example((8, 8, 1), None, (-1.0, 1.0))
ARRAY = np.ones(1, np.float32)


def first_state(config, seed=0, example=EXAMPLE):
  game = build_game(complete(config), example)
  return game, init(game, jax.random.key(seed), example.batch(minibatches(game), 8))


def assert_same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  """A run made of a state dict in PyTorch's layout, and the arrays that it has here."""
  folder = tmp_path_factory.mktemp("plain")
  _, state = first_state(two_player(), seed=5)
  leaves = flatten_dict(state.params["generator"])
  theirs = {
    f"layer{i}.{path[-1]}": np.asarray(leaf).T for i, (path, leaf) in enumerate(leaves.items())
  }
  names = dict(zip(theirs, (".".join(("generator", *path)) for path in leaves), strict=True))
  (folder / "names.json").write_text(json.dumps(names))
  content = written({"state_dict": tensors({**theirs, "extra": np.ones(2)}), "epoch": 3}, "zip")
  (folder / "g.pth").write_bytes(content)
  options = {"config": two_player(), "names": folder / "names.json"}
  lines = import_run("torch", [folder / "g.pth"], folder / "run", **options)
  return folder, state.params["generator"], lines, options


def test_a_state_dict_becomes_a_run_that_samples_and_goes_on(plain):
  folder, params, lines, _ = plain
  assert "discriminator" in lines[2] and "extra" in lines[3]
  run = gj.load(folder / "run")
  assert_same(run.state.params["generator"], params)
  assert_same(run.state.ema["generator"].params, params)
  assert run.sample(3).shape == (3, 8, 8, 1)
  origin = json.loads((folder / "run/config.json").read_text())["origin"]
  assert origin["kind"] == "torch" and origin["files"][0]["name"] == "g.pth"
  config = two_player()
  config.rounds = 2
  gj.fit(gj.build(config), folder / "run")
  after = gj.load(folder / "run").state
  assert int(after.round) == 2
  assert json.loads((folder / "run/config.json").read_text())["origin"] == origin
  # Two moves of Adam: no further than twice its rate of 2e-4, and its rounding.
  far = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.params["generator"], params)
  assert 0 < max(jax.tree.leaves(far)) < 5e-4


def test_a_state_dict_that_does_not_fit_is_refused(plain, tmp_path):
  folder, _, _, options = plain
  names = json.loads((folder / "names.json").read_text())
  file, path = folder / "g.pth", tmp_path / "names.json"
  first, *others = names
  for changed, why in (
    ({name: names[name] for name in others}, f"nothing is said to be {names[first]}"),
    ({**names, first: "generator.Dense_9.kernel"}, "Dense_9.kernel, which there is not"),
    ({**names, first: names[others[1]]}, f"{first} has shape"),
    ({**names, first: 3}, "maps names to something else"),
    ({**names, "extra": names[first]}, "extra is to be .*, which another array is already"),
  ):
    path.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=why):
      import_run("torch", [file], tmp_path / "run", **{**options, "names": path})
  assert not (tmp_path / "run").exists()
  with pytest.raises(ValueError, match="g.pth cannot be read as netG and netD of mimicry"):
    import_run("mimicry", [file], tmp_path / "run")
  (tmp_path / "none.pth").write_bytes(written({"epoch": 3}, "zip"))
  with pytest.raises(ValueError, match="none.pth cannot be read as a state dict: it holds no tens"):
    import_run("torch", [tmp_path / "none.pth"], tmp_path / "run", **options)


def test_a_reader_that_stumbles_over_a_file_is_no_traceback(tmp_path, monkeypatch):
  """Weights of other networks have other numbers of axes, and damaged files anything."""
  file = tmp_path / "G.pth"
  file.write_bytes(written(tensors({"linear.weight": np.ones(2)}), "zip"))
  kind = kinds.KINDS["mimicry"]._replace(read=lambda files, most: np.ones(2).shape[1])
  monkeypatch.setitem(kinds.KINDS, "mimicry", kind)
  with pytest.raises(ValueError, match=r"G.pth cannot be read as .* another network \(IndexError"):
    import_run("mimicry", [file], tmp_path / "run")


def test_a_file_of_an_average_is_told_by_its_name(monkeypatch):
  read = lambda arrays: layout.Network("g", {"width": 1}, (8, 8, 1), {"of": int(arrays["n"][0])})
  monkeypatch.setattr(files.biggan, "generator", read)
  tree = lambda n: read_torch(
    written(tensors({"n": np.ones(1) * n, "a.stored_mean": ARRAY}), "zip")
  )
  for names in (("cinema_G.pth", "cinema_G_ema.pth"), ("model=G-1.pth", "model=G_ema-1.pth")):
    weights = files.read_biggan([(name, tree(n)) for n, name in enumerate(names)], 1 << 20)
    assert weights.networks["generator"].variables == {"of": 0}
    assert weights.averages["generator"] == {"of": 1}


def test_arguments_of_a_snapshot_are_shown_and_followed_within_bounds():
  """A few bytes nest lists without end, and say of any number of layers that they are there."""
  arrays, nested = {"synthesis.b4.const": ARRAY}, []
  for _ in range(10):
    nested = [nested, nested]
  with pytest.raises(ValueError, match=r"with odd=\[{7}\.\.\."):
    stylegan2.generator(arrays, {"odd": nested})
  with pytest.raises(ValueError, match="mapping_layers is 65: expected at most 64"):
    stylegan2.generator(arrays, {"mapping_kwargs": {"num_layers": 65}})


def test_a_published_network_becomes_a_run_without_data(tmp_path, monkeypatch):
  """Its average is what is sampled; without data it is not scored, and other data are refused."""
  config = replaced(two_player(), {"conditional": True})
  _, state = first_state(config, seed=5, example=EXAMPLE._replace(num_classes=3))
  params = state.params["generator"]
  own = {"latent": 2, "classes": 3, "unused": ("fc.u",)}
  net = layout.Network("mlp_generator", {"hidden": (8,)}, (8, 8, 1), {"params": params}, **own)
  twice = {"generator": {"params": jax.tree.map(lambda x: 2 * x, params)}}
  missing = {"discriminator": ("mlp_discriminator", {"hidden": (8,)})}
  weights = layout.Weights({"generator": net}, twice, missing)
  kind = kinds.KINDS["biggan-pytorch"]._replace(read=lambda files, most: weights)
  monkeypatch.setitem(kinds.KINDS, "biggan-pytorch", kind)
  file, run = tmp_path / "G.pth", tmp_path / "run"
  file.write_bytes(written(tensors({"a": np.ones(2)}), "zip"))
  lines = import_run("biggan-pytorch", [file], run)
  assert "its average" in lines[1] and "at random: discriminator" in lines[2] and "fc.u" in lines[3]
  loaded = gj.load(run)
  assert_same(loaded.state.params["generator"], params)
  assert_same(loaded.state.ema["generator"].params, twice["generator"]["params"])
  assert loaded.sample(2).shape == (2, 8, 8, 1)
  with pytest.raises(ValueError, match="no data are named"):
    loaded.experiment  # noqa: B018
  with pytest.raises(ValueError, match=r"of 3 classes, and digits8x8 has \[8, 8, 1\] of 10"):
    gj.load(run, changes={"data": "digits8x8"}).experiment  # noqa: B018
  stranger = {"generator": {"params": params, "batch_stats": {"mean": np.ones(2)}}}
  odd = kind._replace(read=lambda files, most: weights._replace(averages=stranger))
  monkeypatch.setitem(kinds.KINDS, "mimicry", odd)
  with pytest.raises(ValueError, match="of the file's average does not fit: batch_stats.mean"):
    import_run("mimicry", [file], tmp_path / "other")
  with pytest.raises(ValueError, match=r"digits8x8 has images .* 10 classes.* of 3 classes: name"):
    import_run("biggan-pytorch", [file], tmp_path / "other", data="digits8x8")


def test_a_run_starts_from_networks_of_another(plain):
  folder, _, _, _ = plain
  source = gj.load(folder / "run", at=0).state
  game, state = first_state(two_player(), seed=9)
  taken = start_from(game, state, f"{folder / 'run'}:generator")
  newest = gj.load(folder / "run").state
  assert_same(taken.params["generator"], newest.params["generator"])
  assert_same(taken.ema["generator"].params, newest.ema["generator"].params)
  assert_same(taken.params["discriminator"], state.params["discriminator"])
  assert int(taken.round) == 0 and source.params.keys() == taken.params.keys()
  every = start_from(game, state, str(folder / "run"))
  assert_same(every.params, newest.params)
  wide = two_player()
  wide.generator = network("mlp_generator", hidden=(9,))
  game, state = first_state(wide)
  start_from(game, state, f"{folder / 'run'}:discriminator")
  with pytest.raises(
    ValueError,
    match=r"the generator of the run in .* does not fit: Dense_0.bias is \[8\] there and \[9\]",
  ):
    start_from(game, state, str(folder / "run"))
  with pytest.raises(ValueError, match="no network 'encoder' in that run: expected some of"):
    start_from(game, state, f"{folder / 'run'}:encoder")
  with pytest.raises(ValueError, match="expected networks after the colon"):
    start_from(game, state, f"{folder / 'run'}:")
  with pytest.raises(FileNotFoundError, match="no run in"):
    start_from(game, state, str(folder / "nowhere"))
  assert parse("runs/a:b,c")[1] == ("b", "c")


def test_a_run_that_cannot_start_from_another_leaves_no_folder(plain, tmp_path):
  config = replaced(two_player(), {"start_from": str(plain[0] / "run")})
  config.generator = network("mlp_generator", hidden=(9,))
  with pytest.raises(ValueError, match="does not fit"):
    gj.fit(gj.build(config), tmp_path / "runs/new")
  assert not list(tmp_path.iterdir())


def test_optimizers_that_remember_where_they_started_start_from_those(plain):
  folder, _, _, _ = plain
  config = two_player()
  config.optimizers.generator = optimizer("adam", lookahead=2)
  game, state = first_state(config, seed=9)
  taken = start_from(game, state, str(folder / "run"))
  assert_same(taken.opt["generator"].slow["generator"], taken.params["generator"])


def test_frozen_layers_stay_and_others_move_as_without():
  """By hand for SGD; the state of Adam is that of Adam."""
  params = {"d": {"b32": {"conv": np.float32([1, 2])}, "b16": {"conv": np.float32([3])}}}
  gradient = jax.tree.map(np.ones_like, params)
  for names in (["b32"], ["d.b32"], ["b32.conv"]):
    made = freeze(optax.sgd(0.5), names)
    updates, _ = made.update(gradient, made.init(params), params)
    np.testing.assert_array_equal(updates["d"]["b32"]["conv"], [0, 0])
    np.testing.assert_array_equal(updates["d"]["b16"]["conv"], [-0.5])
  with pytest.raises(ValueError, match=r"no layer 'b8' to freeze: layers are d\.b16, d\.b32"):
    freeze(optax.sgd(0.5), ["b8"]).init(params)
  built = build_optimizer(optimizer("adamw", freeze="b32", clip_norm=1.0, weight_decay=0.1), 1)
  free = build_optimizer(optimizer("adamw", clip_norm=1.0, weight_decay=0.1), 1)
  state = built.init(params)
  assert jax.tree.structure(state) == jax.tree.structure(free.init(params))
  updates, _ = built.update(gradient, state, params)
  np.testing.assert_array_equal(updates["d"]["b32"]["conv"], [0, 0])
  # Frozen gradients are no part of the norm: that of the others is 1, and is not clipped.
  own = {"d": {"b16": params["d"]["b16"]}}
  alone, _ = free.update({"d": {"b16": gradient["d"]["b16"]}}, free.init(own), own)
  np.testing.assert_array_equal(updates["d"]["b16"]["conv"], alone["d"]["b16"]["conv"])
  with pytest.raises(ValueError, match="freeze is 3: expected names of layers"):
    config = two_player()
    config.optimizers.discriminator.freeze = 3
    complete(config)


def test_an_ablation_says_that_it_starts_anew():
  from gan_jax.run.ablation import play

  config = complete(replaced(two_player(), {"start_from": "runs/a"}))
  with pytest.raises(ValueError, match="start_from is of runs that train alone"):
    play.check([type("Run", (), {"name": "base", "config": config})])
