"""A small ablation: two losses under two weights of a penalty and none, on the ring."""

import pytest

from gan_jax.run.ablation import Axis, ablation, axis
from gan_jax.run.config import default_config, network


def tiny(**options):
  """Twelve runs of three programs a loss... of four rounds each."""
  base = default_config()
  base.data, base.batch_size, base.rounds, base.num_fake = "ring8", 8, 4, 50
  base.latent = {"name": "normal", "dim": 2}
  base.generator = network("mlp_generator", hidden=(8,))
  base.discriminator = network("mlp_discriminator", hidden=(8,))
  base.evaluate_every = 2
  given = {"seeds": (0, 1), "score": "high_quality", "collapse": "modes<8"} | options
  axes = given.pop(
    "axes",
    [
      axis("loss", ["non_saturating", "hinge"]),
      Axis(
        "r1", {"none": {}, "weak": {"regularizers.r1": 0.1}, "strong": {"regularizers.r1": 1.0}}
      ),
    ],
  )
  baseline = given.pop("baseline", {"loss": "non_saturating", "r1": "none"})
  return ablation(base, axes, baseline=baseline, **given)


@pytest.fixture
def asked():
  """The ablation as it is."""
  return tiny()
