"""Update rules on the ring of eight Gaussians: one game, each player moved by another rule.

No rule has settings of its own: all share the networks, the loss without a penalty, the batch and
the learning rate, so this shows what a rule does to this game, not how well it can do.

Paper:    see `gan_jax.game.rules` for each; the ring is that of Metz et al. 2017 (arXiv:1611.02163)
Command:  launch/run ablate --config=experiments/ablations/update_rules.py --workdir=runs/rules
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     14 min for 40 runs in eight programs
Score:    modes of 8 after 4,000 rounds, five seeds: alternating 4.2 ± 0.4; consensus is better, 8.0
          ± 0.0 (p = 0.004); five discriminator steps are worse, 1.2 ± 0.2 (p = 0.015); simultaneous
          5.0 ± 1.4, optimistic 5.4 ± 0.2, extragradient 2.2 ± 0.4, unrolled by five steps 5.0 ± 0.3
          and lookahead of 20 rounds 4.4 ± 0.2 cannot be told apart from it.
"""

from typing import Any

from ml_collections import ConfigDict

from gan_jax.run.ablation import Axis, ablation
from gan_jax.run.config import from_file, network, optimizer


def both(name: str = "adam", **options: Any) -> dict[str, ConfigDict]:
  """Builds the options of an optimizer for both players."""
  make = lambda: optimizer(name, learning_rate=1e-3, b1=0.5, b2=0.99, **options)
  return {f"optimizers.{player}": make() for player in ("discriminator", "generator")}


RULES = {
  "simultaneous": {"simultaneous": True},
  "alternating": {},
  "5 discriminator steps": {"k": 5},
  "optimistic": {"simultaneous": True, **both("optimistic_adam_v2")},
  "extragradient": {"simultaneous": True, "rule.name": "extragradient"},
  "consensus": {"simultaneous": True, "rule.name": "consensus"},
  "unrolled 5 steps": {"rule.name": "unrolled", **both(eps_root=1e-8)},
  "lookahead 20 rounds": {"simultaneous": True, **both(lookahead=20)},
}


def get_config() -> ConfigDict:
  base = from_file("../ring.py", __file__)
  base.batch_size = 128
  base.rounds = 4000
  base.generator = network("mlp_generator", hidden=(64, 64))
  base.discriminator = network("mlp_discriminator", hidden=(64, 64))
  base.regularizers.r1 = 0.0
  for key, made in both().items():
    base.optimizers[key.split(".")[1]] = made
  base.average.name = "none"
  return ablation(
    base,
    [Axis("rule", RULES)],
    baseline={"rule": "alternating"},
    score="modes",
    collapse="modes<4",
  )
