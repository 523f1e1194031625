"""What `--help` says, which flags a command takes, and how errors name them."""

import itertools

import pytest

from gan_jax.game.views import AUGMENTATIONS
from gan_jax.nets import NETWORKS
from gan_jax.run.cli import commands, usage
from gan_jax.run.config import augmentation, network, reference


def test_every_flag_says_whose_it_is_with_an_example():
  for name, help in usage._helps().items():
    uses = usage._uses(help)
    assert "" not in uses, f"--{name}: its help begins with no command"
    for command, flag in uses.items():
      assert flag.meaning and "--" in flag.example, f"--{name} of {command} has no example"
      assert name in flag.example


def test_help_of_a_command_has_its_flags_alone():
  told = usage.of_command(commands.sample)
  assert "--out_dir=samples/" in told and "--noema" in told and "Draws examples" in told
  for other in ("--grace_seconds", "--sort", "--coordinator", "--fake"):
    assert other not in told
  assert (
    usage.takers("num") == ["directions", "project", "sample", "walk"]
    and usage.takers("verbosity") == []
  )


@pytest.mark.parametrize("command", ["train", "ablate"])
def test_help_lists_the_keys_of_a_config(command):
  told = usage.of_command(commands.COMMANDS[command])
  found = reference.lines()[command]
  assert found and all(f"--config.{key}=" in told for key, _, _ in found)


def test_every_key_has_a_meaning_and_the_written_tables_are_up_to_date():
  networks = reference.option_lines(NETWORKS, network).values()
  augmentations = reference.option_lines(AUGMENTATIONS, augmentation).values()
  for key, _, meaning in itertools.chain(*reference.lines().values(), *networks, *augmentations):
    assert meaning.strip(), (
      f"{key} has no meaning in gan_jax/run/config/config.py, or in the docstring it is of"
    )
  remedy = "run python -m gan_jax.run.config.reference"
  assert reference.TABLE.read_text(encoding="utf-8") == reference.table(), remedy
  assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), remedy


@pytest.mark.parametrize(
  ("command", "message", "told"),
  [
    ("train", "Pass image_size=... to crop", "Pass --config.data_options.image_size=... to crop"),
    ("score", "Pass image_size=... to crop", "Pass --image_size=... to crop"),
    ("train", "channels is 4: expected", "--config.data_options.channels is 4: expected"),
    ("train", "it has 3 channels is true", "it has 3 channels is true"),
    ("train", "seed is -1: expected", "--config.seed is -1: expected"),
    ("train", "use flip=False", "use --config.data_options.flip=False"),
    ("train", "a conditional game needs them", "a conditional game needs them"),
    ("train", "config.k = 0: expected", "--config.k = 0: expected"),
    ("train", "use --config.k=1", "use --config.k=1"),
    ("train", "runs/a/config.json is damaged", "runs/a/config.json is damaged"),
    ("train", "config.json and a/image_size/x.png", "config.json and a/image_size/x.png"),
    ("train", "ask for real='test'", "ask for --config.evaluation.real='test'"),
    ("evaluate", "ask for real='test'", "ask for --real='test'"),
    ("score", "config.evaluation.metrics is ()", "--metrics is ()"),
    (
      "train",
      "from gan_jax.run.config.default_config()",
      "from gan_jax.run.config.default_config()",
    ),
  ],
)
def test_errors_name_flags(command, message, told):
  assert usage.named_by_flags(message, command) == told
