"""What `--config=FILE.py` may be, and what overrides make of it."""

import sys

import pytest

from gan_jax.run.cli.config_flag import ConfigFileError, ConfigFileParser, load, overrides, rename
from gan_jax.run.config import default_config, optimizer

MADE = (
  "from gan_jax.run.config import default_config\ndef get_config({}): return default_config()\n"
)


@pytest.mark.parametrize(
  ("text", "argument", "told"),
  [
    (MADE.format(""), ":x", "takes no argument, and 'x' is given"),
    (MADE.format("kind"), "", r"get_config\(kind\) of .* needs an argument: --config=.*c.py:KIND"),
    ("def get_config():\n  return 1 / 0\n", "", "c.py, line 2: ZeroDivisionError: division by"),
    ("def get_config():\n  raise KeyError('a')\n", "", "c.py, line 2: KeyError: a"),
    ("import nope\n", "", "c.py, line 1: ModuleNotFoundError: No module named 'nope'"),
    ("def get_config(:", "", "c.py, line 1: invalid syntax"),
    ("x = 1", "", "c.py: the file defines no get_config()"),
    ("get_config = 3", "", "c.py: the file defines no get_config()"),
    (
      "import gan_jax as gj\ndef get_config():\n  return gj.config.network('dcgn_generator')\n",
      "",
      'c.py, line 3: unknown network .*Did you mean "dcgan_generator"',
    ),
    (
      MADE.format("").replace("return", "c =") + "  c.lss = 3\n",
      "",
      "c.py, line",
    ),
  ],
)
def test_a_file_that_fails_is_told_in_a_line_that_names_it(tmp_path, text, argument, told):
  (tmp_path / "c.py").write_text(text)
  with pytest.raises(ConfigFileError, match=told) as caught:
    load(f"{tmp_path / 'c.py'}{argument}")
  assert "\n" not in str(caught.value) and len(str(caught.value)) < 900  # every name of a network


def test_a_folder_or_nothing_is_no_file(tmp_path):
  for path, told in ((tmp_path, "is a folder"), (tmp_path / "no.py", "there is no file")):
    with pytest.raises(ConfigFileError, match=told):
      load(str(path))


def test_an_argument_reaches_get_config(tmp_path):
  (tmp_path / "c.py").write_text("def get_config(a, b='y'): return a + b\n")
  assert load(f"{tmp_path / 'c.py'}:x:z") == "x:zy"


def test_another_name_takes_its_own_defaults():
  config = default_config()
  config.generator.hidden = (3,)
  config.optimizers.generator = optimizer("adam", learning_rate=0.5, b1=0.5, clip_weights=0.1)
  told = rename(
    config, {"generator.name": "dcgan_generator", "optimizers.generator.name": "rmsprop"}
  )
  assert config.generator.to_dict() == {
    "name": "dcgan_generator", "width": 64, "norm": "batch", "output": "tanh", "dtype": "float32",
  }  # fmt: skip
  # What every optimizer has stays as the file says it.
  expected = optimizer("rmsprop", learning_rate=0.5, clip_weights=0.1)
  assert config.optimizers.generator.to_dict() == expected.to_dict()
  assert not config.optimizers.generator.is_type_safe  # a schedule may take a number's place
  assert config.optimizers.discriminator.name == "adam" and len(told) == 2
  assert rename(config, {"generator.name": "dcgan_generator", "latent.name": "uniform"}) == []
  with pytest.raises(ConfigFileError, match="unknown optimizer 'adm'.*Did you mean"):
    rename(config, {"optimizers.generator.name": "adm"})


def test_overrides_are_read_in_both_forms():
  words = ["train", "--config=c.py", "--config.k=5", "-config.loss", "hinge", "--k=3"]
  assert overrides(words) == {"k": "5", "loss": "hinge"}


@pytest.mark.parametrize(
  ("override", "told"),
  [
    (
      "lss=hinge",
      "config has no key 'lss'; its keys: augmentation, average, .*Did you mean \"loss\"",
    ),
    ("regularizers.r3=1", "config.regularizers has no key 'r3'"),
    ("gamma=1", r"no key 'gamma'; .*\. Here it is --config.regularizers.r1, of"),
    ("generator.hidden[0]=3", r'give all of it: --config.generator.hidden="\(128, 128, 128\)"'),
    ("generator=dcgan_generator", "its name is --config.generator.name=dcgan_generator"),
    ("mesh=3", "its keys: --config.mesh.data, --config.mesh.fsdp"),
    ("k.x=3", "config.k is 1 and has no keys; .*--config.k=.*'decay_steps': 9000"),
  ],
)
def test_an_override_that_cannot_be_is_told_in_a_line(tmp_path, monkeypatch, override, told):
  (tmp_path / "c.py").write_text(MADE.format(""))
  monkeypatch.setattr(sys, "argv", ["gan_jax", "train", f"--config.{override}"])
  with pytest.raises(ConfigFileError, match=told) as caught:
    ConfigFileParser().parse(str(tmp_path / "c.py"))
  assert "\n" not in str(caught.value)
