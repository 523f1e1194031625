"""One-step generators of points side by side: games of one player, and of two.

A method is a row of `METHODS`, of any kind of game. All share the generator, the latents, the batch
and the rounds; a drift has no discriminator to train beside. `published` is the temperature of the
notebook, at which the modes of grid25 are 40 temperatures apart; the others fall from a quarter of
the extent of the data (toy), or half of it (gaussian), to three standard deviations of a mode by
half time. Nothing else was tuned.

Paper:    Drifting, arXiv:2602.04770; R3GAN, arXiv:2501.05441; R1, arXiv:1801.04406
Command:  launch/run ablate --config=experiments/ablations/one_step.py --workdir=runs/one_step/ring8
          The grid: --config=experiments/ablations/one_step.py:grid25 --workdir=runs/one_step/grid25
          Both in a figure: python -m experiments.ablations.one_step runs/one_step one_step.png
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     8 and 9 min for 25 runs in five programs each
Score:    share of samples within 3 std of a mode, and modes, after 2,000 rounds, five seeds. Ring:
          RpGAN + R1 + R2 0.410 ± 0.016 and non-saturating + R1 0.410 ± 0.009, both 8.0; the drifts
          are worse (p of 0.0011 or less): published 0.156 ± 0.013, 8.0; annealed 0.215 ± 0.018,
          8.0; Gaussian 0.235 ± 0.005, 7.8. Grid: 0.025 ± 0.002, 21.2 modes; 0.027 ± 0.001, 20.4;
          published 0.958 ± 0.005, but 1.0 mode; annealed 0.019 ± 0.001, 21.0; Gaussian 0.028 ±
          0.005, 22.0. None has all 25.
"""

import pathlib
import sys
from typing import Any

from ml_collections import ConfigDict

from gan_jax import plots
from gan_jax.run.ablation import Axis, ablation, outcomes, results
from gan_jax.run.config import from_file, network, optimizer, schedule

ROUNDS = 2000
SPREAD = {"ring8": 2.0, "grid25": 8.0}  # sides of the data
STD = {"ring8": 0.01, "grid25": 0.05}  # of a mode


def drift(field: str, temperature: float, start: float = 0.0, **changes: Any) -> dict[str, Any]:
  """Builds a drift at one temperature, or of one that falls to it, by half time, from a start."""
  given = {"game.name": "drift", "field": field, "temperatures": (temperature,), **changes}
  if start:
    factor = start / temperature
    given["annealing.factor"] = schedule(
      "exponential_decay",
      init_value=factor,
      transition_steps=ROUNDS // 2,
      decay_rate=1 / factor,
      end_value=1.0,
    )
  return given


def methods(data: str) -> dict[str, dict[str, Any]]:
  """Lists the methods, with settings for data of this size."""
  r1, both = {"regularizers.r1": 0.1}, {"regularizers.r1": 0.1, "regularizers.r2": 0.1}
  adam = {"optimizers.generator": optimizer("adam", learning_rate=1e-3), "average.name": "none"}
  side, end = SPREAD[data], 3 * STD[data]
  return {
    "RpGAN + R1 + R2": {"loss": "relativistic", **both},
    "non-saturating + R1": r1,
    "drift, published": drift("toy", 0.05, **adam),
    "drift, annealed": drift("toy", end, start=side / 4),
    "Gaussian drift, annealed": drift("gaussian", end, start=side / 2),
  }


def get_config(data: str = "ring8") -> ConfigDict:
  base = from_file("../ring.py", __file__)
  base.data = data
  base.batch_size = 128
  base.rounds = ROUNDS
  base.generator = network("mlp_generator", hidden=(64, 64, 64))
  base.discriminator = network("mlp_discriminator", hidden=(64, 64, 64))
  base.regularizers.r1 = 0.0
  for player in ("discriminator", "generator"):
    falling = schedule("cosine_decay_schedule", init_value=2e-3, decay_steps=ROUNDS)
    base.optimizers[player] = optimizer("adam", learning_rate=falling, b1=0.0, b2=0.99)
  base.average.decay = 0.99
  base.evaluate_every = ROUNDS // 4
  return ablation(
    base,
    [Axis("method", methods(data))],
    baseline={"method": "non-saturating + R1"},
    score="high_quality",
    collapse="modes<8" if data == "ring8" else "modes<25",
  )


def main(folder: str, out: str) -> None:
  """Draws the share of samples of high quality of all methods, on both sets of data."""
  found = [results.read(pathlib.Path(folder) / data) for data in SPREAD]
  rows = [*zip(*(outcomes.outcomes(each, "high_quality") for each in found), strict=True)]
  each = lambda field: [[getattr(cell.last, field) for cell in row] for row in rows]
  figure = plots.matrix(
    each("mean"),
    each("low"),
    each("high"),
    rows=[*methods("ring8")],
    columns=[*SPREAD],
    title="share of samples within 3 std of a mode",
    notes=[[f"{cell.collapsed} of {cell.runs} lost modes" for cell in row] for row in rows],
  )
  plots.save(figure, pathlib.Path(out))


if __name__ == "__main__":
  main(*sys.argv[1:])
