"""Asks whether lazy R1 and R2 fail where modes are many, as R3GAN reports.

Paper:    Huang et al. 2025 (arXiv:2501.05441): RpGAN with R1 and R2. Lazy penalties are StyleGAN2's
          (Karras et al. 2019, arXiv:1912.04958): applied every 16 rounds, with 16 times the weight.
          Data, networks and scores are those of experiments/reproduce/mixtures.py, whose results
          and flags this shares.
Command:  python -m experiments.reproduce.lazy_penalties
          measured: --mixtures=ring8 --epochs=4 --seeds=3
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     28 minutes, on about a third of a core
Score:    not the protocol: SHORTENED to 4 of 400 epochs and 3 of 10 runs, on the ring. Eager 7.7 ±
          0.3 modes, 19.2 ± 5.9% high quality, KL 0.50 ± 0.08; lazy 7.3 ± 0.3, 23.5 ± 1.2%, 0.68 ±
          0.03. The failure is neither shown nor refuted; the grid has not been measured.
"""

import math

import numpy as np
from absl import app

from experiments.reproduce import mixtures
from gan_jax.objectives import every

ROUNDS = 16
EAGER, LAZY = "relativistic_r1_r2", f"relativistic_lazy_{ROUNDS}"
TOLERATED = {"modes": 1.0, "high_quality": 0.05}  # a loss below this is none
ROWS = {
  EAGER: mixtures.ROWS[EAGER],
  LAZY: mixtures.ROWS[EAGER]._replace(
    title=f"{mixtures.ROWS[EAGER].title}, every {ROUNDS} rounds",
    penalties={
      name: (weight, every(ROUNDS, term)) for name, (weight, term) in mixtures.BOTH.items()
    },
  ),
}


def main(argv: list[str]) -> None:
  """Plays both rows, prints them, and says what their difference shows."""
  del argv
  found = mixtures.reproduce("lazy_penalties", ROWS)
  for name in mixtures.FLAGS.mixtures:
    if {(name, EAGER), (name, LAZY)} <= found.keys():
      print(verdict(name, found[name, EAGER], found[name, LAZY]))


def verdict(name: str, eager: mixtures.Result, lazy: mixtures.Result) -> str:
  """Says whether lazy penalties lose modes, or samples of high quality.

  Args:
    name: of the mixture.
    eager, lazy: results.

  Returns:
    One line: "shown" if either loss is above 0 by two standard errors, "refuted" if neither can be
    above `TOLERATED` within two, and otherwise neither.
  """
  if min(len(result["scores"]) for result in (eager, lazy)) < 2:
    return f"{name}: one run of each shows nothing; take at least two --seeds."
  losses = {key: lost(key, eager, lazy) for key in TOLERATED}
  shown = any(mean - 2 * error > 0 for mean, error in losses.values())
  refuted = all(mean + 2 * error < TOLERATED[key] for key, (mean, error) in losses.items())
  said = "shown" if shown else "refuted" if refuted else "neither shown nor refuted"
  (modes, modes_error), (good, good_error) = losses.values()
  return (
    f"{name}: lazy penalties lose {modes:.1f} ± {modes_error:.1f} modes and {100 * good:.1f} ± "
    f"{100 * good_error:.1f}% of the samples; that they fail is {said} here. "
    f"{mixtures.label([eager, lazy])}"
  )


def lost(key: str, eager: mixtures.Result, lazy: mixtures.Result) -> tuple[float, float]:
  """Returns by how much a score is lower, and the standard error of that."""
  a, b = (np.array([scores[key] for scores in result["scores"]]) for result in (eager, lazy))
  return a.mean() - b.mean(), math.hypot(mixtures.spread(a), mixtures.spread(b))


if __name__ == "__main__":
  mixtures.FLAGS.set_default("mixtures", ["grid25"])
  app.run(main)
