"""Scores of runs, in the process that asks for them; the command line is in test_app.py."""

import time

import pytest

from gan_jax.config import default_config, network
from gan_jax.experiment import build
from gan_jax.lock import hold
from gan_jax.scoring import follow
from gan_jax.train import fit

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def test_a_run_is_followed_until_no_process_plays_it(tmp_path, monkeypatch):
  config = default_config()
  config.data, config.num_fake = "ring8", 50
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.rounds, config.checkpoint_every, config.sample_every = 20, 10, 0
  fit(build(config), tmp_path)
  (tmp_path / "summary.json").unlink()  # as if it had been killed

  class WaitedError(Exception):
    pass

  def wait(seconds):
    raise WaitedError

  monkeypatch.setattr(time, "sleep", wait)
  rules = [card.made["checkpoint"] for card, _ in follow(tmp_path)]
  assert rules == ["asked for", "asked for", "last"]
  with hold(tmp_path), pytest.raises(WaitedError):
    list(follow(tmp_path))
