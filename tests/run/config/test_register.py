"""What a config file registers of its own: it trains, and is found again where it is given."""

import hashlib
import json
import re
import runpy

import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.data.registry import KINDS, Kind, load
from gan_jax.losses import regularizers
from gan_jax.nets import NETWORKS, MLPGenerator
from gan_jax.run.config import default_config, network
from gan_jax.run.config.register import (
  TABLES,
  change_of_source,
  check_registered,
  own,
  read_source,
  register,
  source_of,
)
from gan_jax.run.config.sections.kinds.games import GAMES
from gan_jax.run.config.stored import config_values
from gan_jax.run.experiment import build
from gan_jax.run.report.reproduce import config_file
from gan_jax.run.results.same_run import write_config

FILE = """
import jax.numpy as jnp
from flax import linen as nn
from gan_jax import losses
from gan_jax.run.config import default_config, network
from gan_jax.data.registry import KINDS, Kind, load
from gan_jax.nets import NETWORKS
from gan_jax.run.config.register import register


class Mine(nn.Module):
  shape: tuple[int, ...]
  hidden: int = 8
  num_classes: int | None = None

  @nn.compact
  def __call__(self, z, y=None, *, train):
    return nn.Dense(self.shape[0])(nn.tanh(nn.Dense(self.hidden)(z)))


register("network", "mine", Mine)
register("loss", "my_loss", losses.hinge._replace(generator=lambda a, b: jnp.exp(-b)))
register("regularizer", "mine", lambda scale=1.0: lambda match: scale * match.real_logits**2)
KINDS["my_ring"] = Kind("my_ring", lambda name, split, options: load("ring8", split))


def get_config():
  config = default_config()
  config.update(data="my_ring", loss="my_loss", rounds=4, batch_size=8, num_fake=50, num_samples=4)
  config.generator = network("mine", hidden=4)
  config.discriminator = network("mlp_discriminator", hidden=(4,))
  config.regularizers.mine = 0.1
  config.latent.dim = 2
  config.sample_every = 0
  return config
"""


def test_a_run_of_ones_own_is_trained_sampled_scored_resumed_and_reported(gan_jax, tmp_path):
  file, run = tmp_path / "mine.py", tmp_path / "run"
  file.write_text(FILE)
  flag, where = f"--config={file}", f"--workdir={run}"
  gan_jax("train", flag, where)
  first = source_of(str(file))
  assert read_source(run) == first == {"path": str(file), "sha256": first["sha256"]}
  lacks = rf"network 'mine' of {re.escape(str(file))} \(sha256 {first['sha256'][:12]}\), which is "
  lacks += rf"not registered here; give {re.escape(flag)}\n"
  for command in (["sample", f"--out={tmp_path}/a.png"], ["evaluate"], ["train"]):
    assert re.search(lacks, gan_jax(command[0], where, *command[1:], code=1))
  told = gan_jax("report", run, f"--out={tmp_path}/report.html")  # shows what is there
  assert "wrote" in told and f"runpy.run_path({str(file)!r})" in _text(tmp_path / "report.html")
  told = gan_jax("sample", where, flag, f"--out={tmp_path}/a.png")
  assert "warning" not in told and (tmp_path / "a.png").is_file()
  assert "modes" in gan_jax("evaluate", where, flag, "--checkpoint=last")

  file.write_text(FILE.replace("rounds=4", "rounds=6"))
  told = gan_jax("sample", where, flag, f"--out={tmp_path}/b.png")
  assert re.search(rf"warning: {re.escape(flag)} \(sha256 .*\) is not the file that", told)
  assert read_source(run) == first  # sampling changes nothing
  assert "is not the file that" in gan_jax("train", where, flag, "--allow_config_change")
  assert read_source(run) == source_of(str(file)) != first
  assert json.loads((run / "summary.json").read_text())["rounds"] == 6


def _text(page):
  import html

  return html.unescape(page.read_text())


def test_without_a_file_the_refusal_says_what_is_missing(tmp_path, unregistered):
  """As of a run that was trained from Python."""
  file = tmp_path / "mine.py"
  file.write_text(FILE)
  config = runpy.run_path(str(file))["get_config"]()
  write_config(build(config), tmp_path)
  check_registered(tmp_path)  # all of it is here
  assert own(config) == ["network mine", "loss my_loss", "regularizer mine", "data my_ring"]
  assert "# Run here the file that registers network mine, loss" in config_file(
    "mine", config_values(config)
  )
  for kind, name in (("data", "my_ring"), ("regularizer", "mine"), ("loss", "my_loss")):
    del TABLES[kind][name]
    missing = rf"with the {kind} '{name}', which is not registered here; give --config=FILE.py"
    with pytest.raises(ValueError, match=missing):
      check_registered(tmp_path)


def test_what_is_ours_is_no_ones_own():
  config = default_config()
  assert own(config) == own(config_values(config)) == []
  for name in KINDS:
    assert own({"data": f"stacked:{name}:x"}) == []
  for name in losses.LOSSES:
    assert own({"loss": name}) == []
  config.generator = network("dcgan_generator")
  assert own(config) == []


OF_EXAMPLES = "distribution_matching"


class Bare(nn.Module):
  """A generator without labels."""

  shape: tuple[int, ...] = ()


class Unshaped(nn.Module):
  num_classes: int | None = None


@pytest.mark.parametrize(
  ("kind", "name", "value", "told"),
  [
    ("net", "mine", MLPGenerator, "kind is 'net': expected one of 'network', 'loss'"),
    ("network", "mlp_generator", Unshaped, "is one of gan_jax: choose another name"),
    ("loss", "hinge", losses.hinge, "'hinge' is one of gan_jax"),
    ("data", "mnist10k", Kind("mnist10k", load), "'mnist10k' is one of gan_jax"),
    ("network", "a:b", MLPGenerator, "name is 'a:b': expected a word"),
    ("network", "mine", MLPGenerator(shape=(2,)), "expected a class of linen modules"),
    ("network", "mine", Bare, "add `num_classes: int . None = None`"),
    ("loss", "mine", losses.f_gan, "the function f_gan: expected an AdversarialLoss"),
    ("regularizer", "mine", regularizers.r1, "no default of 'match'.*`lambda: term`"),
    ("regularizer", "mine", 1.0, "is 1.0: expected what makes a term"),
    ("data", "mine", load, r"expected Kind\('mine:<file>', open\)"),
    ("data", "mine", Kind("other:<file>", load), r"expected Kind\('mine:<file>', open\)"),
    ("game", "mine", load, r"expected config.Kind\(keys, build, ...\)"),
    ("game", "mine", GAMES["drift"]._replace(build=lambda config: None), r"\(config, example\) ->"),
    (
      *("game", "mine", GAMES[OF_EXAMPLES]._replace(build=lambda config, example: None)),
      r"expected a function of \(config, example, batches\) -> Game, as of_examples is True",
    ),
  ],
)
def test_what_cannot_be_registered_is_refused(kind, name, value, told):
  before = {kind: dict(table) for kind, table in TABLES.items()}
  with pytest.raises(ValueError, match=told):
    register(kind, name, value)
  assert before == TABLES


def test_a_network_that_is_no_generator_is_refused_as_one(unregistered):
  register("network", "mine", Unshaped)
  register("network", "mine", Unshaped)  # a file may be run again
  config = default_config()
  config.data = "ring8"
  config.generator = network("mine")
  with pytest.raises(
    ValueError, match="'mine' cannot be made with num_classes, shape, which a con"
  ):
    build(config)
  assert NETWORKS["mine"] is Unshaped


def test_a_run_knows_its_file_and_tells_when_it_has_changed(tmp_path):
  file = tmp_path / "mine.py"
  file.write_text("one")
  first = source_of(f"{file}:small")
  hashed = hashlib.sha256(b"one").hexdigest()
  assert first == {"path": f"{file}:small", "sha256": hashed}
  (tmp_path / "config.json").write_text(json.dumps({"source": first}))
  assert read_source(tmp_path) == first and change_of_source(tmp_path, str(file)) is None
  file.write_text("another")
  told = change_of_source(tmp_path, f"{file}:small")
  assert f"is not the file that {tmp_path} was trained with, {file}:small" in told
  assert hashed[:12] in told and hashlib.sha256(b"another").hexdigest()[:12] in told


@pytest.mark.parametrize("text", ["[]", '{"config": 3}', '{"config": {"data": 1}, "source": 2}'])
def test_a_damaged_config_is_no_traceback(tmp_path, text):
  (tmp_path / "config.json").write_text(text)
  assert read_source(tmp_path) is None
  check_registered(tmp_path)  # `runs.load` says what is wrong with it
