"""A generator outside of its run draws what the run draws, in every format."""

import functools
import json
import pathlib
import subprocess
import sys
import types

import flax
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from first_states import untrained
from kinds import KINDS, VARIANTS, two_player
from made_runs import made_card
from PIL import Image
from safetensors.numpy import load_file

from gan_jax.data.example import Example
from gan_jax.game.core import Game, Sampler
from gan_jax.game.latents import truncate_styles
from gan_jax.game.random import example_keys
from gan_jax.run.cli.usage import UsageError
from gan_jax.run.evaluation.cards.card import protocol_hash
from gan_jax.run.evaluation.cards.files import read_card, save_card
from gan_jax.run.export import hub, web
from gan_jax.run.export.formats import FORMATS
from gan_jax.run.export.generator import generator_of, random_inputs
from gan_jax.run.export.onnx import unsupported
from gan_jax.run.export.stablehlo import serialized, usage
from gan_jax.run.export.weights import card_of, named_weights, without_folder, write_weights
from gan_jax.run.results.run import Run
from gan_jax.run.results.same_run import write_config

# In float32, of sums in another order than the run's own forms on CPU have them.
close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def run():
  return untrained(two_player())


@pytest.mark.parametrize("kind", [k for k in (KINDS | VARIANTS) if k != "domain_adversarial"])
def test_a_file_draws_what_the_run_draws_for_any_number_of_examples(kind):
  run = untrained((KINDS | VARIANTS)[kind]())
  generator = generator_of(run)
  opened = jax.export.deserialize(serialized(generator))
  assert set(opened.platforms) == {"cpu", "cuda", "tpu"}
  for n in (3, 5):
    inputs = random_inputs(generator, n)
    x, (z, *labels) = np.asarray(opened.call(*inputs)), inputs
    pixels = run.sampler.example.pixel_range  # None of points
    lo, hi = pixels or (0.0, 1.0)
    z = z * (hi - lo) + lo if run.sampler.translates else z
    own = run.sampler.generate(run.state, z, labels=labels[0] if labels else None, rounded=False)
    assert x.shape == (n, *generator.shape)
    close(x, own / 255 if pixels else own)


def test_a_key_draws_the_samples_of_its_seed(run):
  opened = jax.export.deserialize(serialized(generator_of(run), from_key=True))
  x = opened.call(jax.random.key(7), np.zeros(4, np.float32))
  own = run.sampler.generate(run.state, run.sampler.latents(4, 7), seed=7, rounded=False)
  close(x, own / 255)


def styled():
  """A run whose generator truncates its styles, scales them by labels, and is of points."""

  def generate(params, carried, inputs, labels):
    psi = getattr(inputs, "psi", jnp.ones(labels.shape))[:, None]
    return params["g"]["scale"] * psi * getattr(inputs, "z", inputs) + labels[:, None]

  latents = lambda key, n: jax.vmap(lambda k: jax.random.normal(k, (2,)))(example_keys(key, n))
  game = Game(lambda *_: ({}, {}), {"s": Sampler(generate, latents, truncate_styles)}, {}, ())
  params = {"g": {"scale": jnp.asarray(2.0)}, "unused": jnp.ones(3)}
  state = types.SimpleNamespace(params=params, carried={"g": {}, "unused": {}}, ema={})
  config = two_player().unlock()
  folder = types.SimpleNamespace(config=config, game=game, example=Example((2,), 3, None))
  return Run(folder, state, "last")


def test_labels_and_truncation_are_inputs_of_their_own():
  generator = generator_of(styled())
  assert list(generator.inputs) == ["z", "y", "psi"] and list(generator.variables) == ["g"]
  z, y, psi = np.ones((2, 2), np.float32), np.array([0, 2], np.int32), np.array([1, 0.5], "f")
  opened = jax.export.deserialize(serialized(generator))
  assert opened.call(z, y, psi).tolist() == [[2, 2], [3, 3]]
  drawn = jax.export.deserialize(serialized(generator, from_key=True))
  assert drawn.call(jax.random.key(0), y, np.zeros(2, "f")).tolist() == [[0, 0], [2, 2]]


ALONE = """
import sys
import numpy as np
{lines}
assert np.abs(x - np.load({expected!r})).max() < 1e-6, x
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(sorted(loaded & {{"flax", "optax", "orbax", "gan_jax", "ml_collections"}}))
"""


@pytest.mark.parametrize("from_key", [False, True])
def test_three_lines_and_jax_open_a_file(from_key, run, tmp_path):
  generator, file, expected = generator_of(run), tmp_path / "g.jax", tmp_path / "x.npy"
  file.write_bytes(serialized(generator, from_key=from_key))
  lines = usage(generator, str(file), from_key=from_key)
  assert len(lines.splitlines()) == 3
  key = jax.random.key(0)
  call = (key, jnp.zeros(64)) if from_key else (jax.random.normal(key, (64, 2)),)
  np.save(expected, (generator.draw if from_key else generator.generate)(*call))
  code = ALONE.format(lines=lines, expected=str(expected))
  command = [sys.executable, "-P", "-c", code]
  done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
  assert done.stdout == "[]\n", done.stderr


def test_weights_have_dotted_names_and_are_those_of_the_network(tmp_path):
  config = two_player()
  config.data_options.data_dir = "/home/someone"
  run = untrained(config, tmp_path / "run")
  write_config(run.experiment, tmp_path / "run")
  card = made_card(round=0)
  save_card(card, tmp_path / "run")
  generator = generator_of(run)
  written = write_weights(run, generator, tmp_path / "out")
  assert [path.name for path in written] == ["model.safetensors", "config.json", "card.json"]
  arrays = load_file(written[0])
  assert "generator.params.Dense_0.kernel" in arrays
  assert not any("discriminator" in name for name in arrays)
  variables = flax.traverse_util.unflatten_dict(arrays, sep=".")
  jax.tree.map(np.testing.assert_array_equal, variables, dict(generator.variables))
  assert "someone" not in written[1].read_text()
  assert json.loads(written[1].read_text())["config"]["generator"]["hidden"] == [8]
  assert json.loads(written[2].read_text())["scores"] == card.scores


def test_a_hub_reads_the_scores_of_a_folder(tmp_path):
  run = untrained(two_player(), tmp_path / "digits")
  write_config(run.experiment, tmp_path / "digits")
  save_card(made_card((0.25, 0.75), round=0), tmp_path / "digits")
  written = hub.publish(run, generator_of(run), tmp_path / "out")
  assert sorted(written) == sorted(map(str, (tmp_path / "out").iterdir()))
  with Image.open(tmp_path / "out" / "samples.png") as samples:
    assert samples.size[0] > 8 * 8
  text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
  _, head, body = text.split("---\n", 2)
  (model,) = yaml.safe_load(head)["model-index"]
  (result,) = model["results"]
  assert model["name"] == "digits" and result["dataset"]["name"] == "ring8"
  assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
    "modes": 8,
    "kl": 0.5,
  }
  assert "jax.export.deserialize(open('sampler.jax', 'rb').read())" in body
  assert "model-index" not in hub.metadata("digits", "mnist10k", None)
  (model,) = hub.metadata("digits", "mnist10k", made_card((float("nan"),)))["model-index"]
  assert [metric["type"] for metric in model["results"][0]["metrics"]] == ["modes"]


def test_a_published_folder_has_no_path_of_this_machine(tmp_path):
  """Of data, networks, other runs, and of the source files that a function was traced from."""
  config = two_player()
  config.start_from = f"{tmp_path}/other:generator"
  run = untrained(config, tmp_path / "digits")
  write_config(run.experiment, tmp_path / "digits")
  card = made_card(round=0)
  card.protocol["real"]["data"] = f"class:cat:idx:{tmp_path}/private/pets"
  save_card(card, tmp_path / "digits")
  folder = tmp_path / "out"
  hub.publish(run, generator_of(run), folder)
  places = (str(tmp_path), str(pathlib.Path(hub.__file__).parents[3]), jax.__path__[0])
  content = {path.name: path.read_bytes() for path in folder.iterdir()}
  for name, text in content.items():
    assert not [place for place in places if place.encode() in text], name
  assert json.loads(content["config.json"])["config"]["start_from"] == "other:generator"
  written = read_card(folder / "card.json")
  assert written.protocol["real"]["data"] == "class:cat:idx:pets"
  assert written.run["original"] == protocol_hash(card) != protocol_hash(written)
  readme = content["README.md"].decode()
  assert all(f"card {protocol_hash(each)}" in readme for each in (card, written))


def test_a_card_is_of_the_generator_that_it_goes_with(tmp_path):
  run = untrained(two_player(), tmp_path)
  save_card(made_card((0.25,), round=0), tmp_path)
  of = lambda averaged: card_of(run, generator_of(run)._replace(averaged=averaged))
  assert of(True) is not None and of(False) is None
  save_card(made_card((0.5,), round=0, ema=False, truncation=0.0), tmp_path)
  assert of(False) is None
  save_card(made_card((0.75,), round=0, ema=False), tmp_path)
  assert of(False).scores["kl"] == [0.75]
  for fact in ({"batch_norm": "standing statistics of 16 batches"}, {"sampler": "other"}):
    other = made_card((0.5,), round=0)
    save_card(other._replace(protocol={**other.protocol, **fact}), tmp_path)
  assert of(True).scores["kl"] == [0.25]


@pytest.mark.parametrize(
  ("data", "told"),
  [
    ("folder:/home/someone/photos", "folder:photos"),
    ("class:cat:zip:~/data/pets.zip", "class:cat:zip:pets.zip"),
    ("tfds:huggingface:cifar/10", "tfds:huggingface:cifar/10"),
    ("ring8", "ring8"),
    ("idx:/data|zip:/home/someone/a b/pets.zip", "idx:data|zip:pets.zip"),
    ("/home/someone/runs/digits:generator", "digits:generator"),
  ],
)
def test_what_is_published_says_no_folder_of_this_machine(data, told):
  assert without_folder(data) == told


def test_weights_of_one_number_have_no_axes():
  assert named_weights(generator_of(styled()))["g.params.scale"].shape == ()


def test_a_page_is_refused_before_the_model_is_converted(run, tmp_path, monkeypatch):
  monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
  (tmp_path / "onnxruntime-web-1.30.0.tgz").write_bytes(b"half of it")
  with pytest.raises(ValueError, match=r"onnxruntime-web-1.30.0.tgz is not .*, or is damaged"):
    web.check(run, generator_of(run))


def test_layers_that_onnx_has_not_are_named():
  def generate(z):
    with jax.named_scope("Generator"), jax.named_scope("Root_0"):
      return jax.jit(jnp.cbrt)(z)

  generator = generator_of(styled())._replace(generate=generate)
  generator = generator._replace(inputs={"z": generator.inputs["z"]})
  assert unsupported(generator, {"cbrt"}) == {}
  assert unsupported(generator, {"add"}) == {"Generator/Root_0": "cbrt"}


def test_random_numbers_are_found_where_a_translator_draws_while_it_samples():
  generator = generator_of(untrained(KINDS["pix2pix"]()), noise=False)
  every = type("Every", (), {"__contains__": lambda self, name: not name.startswith("random")})()
  assert unsupported(generator, every) == {"": "random_fold_in, random_seed"}


def test_formats_say_what_they_need():
  with pytest.raises(ModuleNotFoundError, match=r"nothing_of_this: (.|\n)*onnx/bin/pip install"):
    FORMATS["onnx"]._replace(packages=("nothing_of_this", "json")).check()
  FORMATS["jax"].check()


@pytest.mark.parametrize(
  ("command", "flags", "told"),
  [
    ("export", {"to": "gif"}, "--to=gif: expected one of jax, safetensors, onnx, web"),
    ("export", {"to": "jax"}, "export: expected --out=PATH"),
    ("export", {"to": "onnx", "out": "x.onnx", "from_key": True}, "--from_key: expected --to=jax"),
    ("publish", {}, "publish: expected --to=DIR"),
  ],
)
def test_wrong_flags_are_refused_before_any_work(command, flags, told, monkeypatch):
  from gan_jax.run.cli import commands

  given = {"to": None, "out": None, "from_key": False, **flags}
  monkeypatch.setattr(commands, "FLAGS", types.SimpleNamespace(**given))
  with pytest.raises(UsageError, match=f"^{told}"):
    commands.COMMANDS[command]("runs/none")
