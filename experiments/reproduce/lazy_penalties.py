"""Asks whether lazy R1 and R2 fail where modes are many, as R3GAN reports.

Paper:    Huang et al. 2025 (arXiv:2501.05441): RpGAN with R1 and R2. Lazy penalties are StyleGAN2's
          (Karras et al. 2019, arXiv:1912.04958): applied every 16 rounds, with 16 times the weight.
          Data, networks and scores are those of experiments/reproduce/mixtures.py, whose results
          and flags this shares.
Command:  python -m experiments.reproduce.lazy_penalties
"""

import numpy as np
from absl import app

from experiments.reproduce import mixtures
from gan_jax.objectives import every

ROUNDS = 16
EAGER, LAZY = "relativistic_r1_r2", f"relativistic_lazy_{ROUNDS}"
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
  """Says what two standard errors of the difference allow: modes lost, less than one lost, or both.

  Args:
    name: of the mixture.
    eager, lazy: results.

  Returns:
    One line.
  """
  modes = [np.array([score["modes"] for score in result["scores"]]) for result in (eager, lazy)]
  if min(map(len, modes)) < 2:
    return f"{name}: one run of each shows nothing; take at least two --seeds."
  lost = modes[0].mean() - modes[1].mean()
  error = float(np.hypot(*map(mixtures.spread, modes)))
  shown, refuted = lost - 2 * error > 0, lost + 2 * error < 1
  said = "shown" if shown else "refuted" if refuted else "neither shown nor refuted"
  return (
    f"{name}: lazy penalties lose {lost:.1f} ± {error:.1f} modes; that they fail is {said} here. "
    f"{mixtures.label([eager, lazy])}"
  )


if __name__ == "__main__":
  mixtures.FLAGS.set_default("mixtures", ["grid25"])
  app.run(main)
