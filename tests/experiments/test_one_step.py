"""The ablation of one-step generators: each method is what its own experiment says."""

import pathlib

import pytest

from experiments.ablations import one_step
from gan_jax.files import flat
from gan_jax.run.ablation.plan import members
from gan_jax.run.config import GAMES, from_file

EXPERIMENTS = pathlib.Path(one_step.__file__).parents[1]
# Of a method that is taken from an experiment: keys that may differ, as networks have one size,
# noise is in units of the data, and what falls does so over these rounds.
OWN = {
  ("ring8", "AFM, one step", "flow_1d"): {"generator.hidden", "discriminator.hidden"},
  ("grid25", "AFM, any step", "ring_flow"): {"weights.transport.transition_steps"},
  ("ring8", "DMD2, exact teacher", "ring_distillation"): set(),
  ("ring8", "drift, annealed", "ring_drift"): {
    *("annealing.factor.transition_steps", "optimizers.generator.learning_rate.decay_steps"),
    "average.decay",  # of no average
  },
  ("digits", "AFM, one step", "flow_1d"): {
    *("generator.hidden", "discriminator.hidden"),
    *("generator.example_code", "discriminator.example_code"),
  },
  ("digits", "DMD2, exact teacher", "mnist_distillation"): set(),
  ("digits", "ImageNet drift", "mnist_drift"): set(),
  ("digits", "W-Flow", "mnist_drift"): {"field", "temperatures"},
}


def of(data):
  """Returns the config of each method."""
  asked = one_step.get_config(data)
  asked.seeds = (0,)
  return {run.labels["method"]: run.config for run in members(asked)}


@pytest.fixture(scope="module")
def configs():
  return {data: of(data) for data in ("ring8", "grid25", "digits")}


@pytest.mark.parametrize("given", OWN, ids="-".join)
def test_a_method_has_the_choices_of_its_experiment(configs, given):
  data, method, experiment = given
  config, like = configs[data][method], from_file(EXPERIMENTS / f"{experiment}.py")
  kind = GAMES[like.game.name].keys()
  ours, theirs = (flat({key: c.to_dict()[key] for key in kind}) for c in (config, like))
  differing = {key for key in ours if ours[key] != theirs.get(key, ours[key])}
  assert {key for key in differing if not key.startswith("latent.")} == OWN[given]
  assert config.game.name == like.game.name


@pytest.mark.parametrize("data", ["ring8", "grid25", "digits"])
def test_methods_share_data_batch_and_the_sizes_of_networks(configs, data):
  assert len({config.batch_size for config in configs[data].values()}) == 1
  assert {config.data for config in configs[data].values()} == {
    "mnist10k" if data == "digits" else data
  }
  nets = {
    str(config.generator.get("width", config.generator.get("hidden")))
    for method, config in configs[data].items()
    if (data, method) != ("digits", "AFM, one step")  # has no network for images
  }
  assert len(nets) == 1
