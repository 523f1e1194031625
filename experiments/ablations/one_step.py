"""One-step generators side by side: games of one player, of two, and of three.

A method is a row of `methods`, of any kind of game. On points all share the width of the networks,
the batch, the rounds and the size of latents, which is that of the data; a drift has no
discriminator to train beside, AFM embeds times, and DMD2's critic and discriminator move five times
a round. GANs are those of `ring.py`. `published` is the temperature of the notebook, at which the
modes of grid25 are 40 temperatures apart; the other drifts are those of `ring_drift.py`, and W-Flow
has their optimizer. AFM and DMD2 have all else from the experiments that they are of; lengths of
DMD2's noise are in units of the data. On digits all share the generator of `mnist_dcgan.py` and
about the time, hence not the rounds; AFM has no network for images here, and takes dense layers, as
DMD2's critic does; DMD2 is that of `mnist_distillation.py`, whose settings were chosen with seed 0.

Paper:    Drifting, arXiv:2602.04770; W-Flow, arXiv:2605.11755; AFM, arXiv:2511.22475; DMD2,
          arXiv:2405.14867; R3GAN, arXiv:2501.05441; R1, arXiv:1801.04406
Command:  launch/run ablate --config=experiments/ablations/one_step.py --workdir=runs/one_step/ring8
          And of grid25 and digits: --config=experiments/ablations/one_step.py:DATA, to
          --workdir=runs/one_step/DATA
          All in a figure: python -m experiments.ablations.one_step runs/one_step one_step.png
Hardware: one core of an AMD EPYC beside much other work, jax 0.10.2
Time:     of CPU 15 minutes on ring8 and on grid25 each, for 45 runs in nine programs, and 3 for
          AFM in any step, which was played again when `ring_flow.py` changed;
          552 s on digits for 25 runs in nine programs, and 112 s for DMD2
Score:    share of samples within 3 std of a mode, and modes, after 2,500 rounds, five seeds. Ring,
          8.0 modes unless said: RpGAN + R1 + R2 0.933 ± 0.009, non-saturating + R1 0.932 ± 0.013;
          AFM in one step 0.684 ± 0.025 (worse, p = 0.01), in any step 0.176 ± 0.014 (worse, p <
          0.001); DMD2 0.883 ± 0.017, drifts, published 0.889 ± 0.009, annealed 0.882 ± 0.009,
          Gaussian 0.826 ± 0.016; W-Flow 0.156 ± 0.032 (7.8; worse, p < 0.001). Grid, in that order:
          0.433 ± 0.032, 24.8 modes (better, p = 0.03); 0.277 ± 0.021, 24.0; 0.874 ± 0.019, 14.4
          (better, p < 0.001); 0.780 ± 0.023, 22.2 (better, p = 0.001); 0.323 ± 0.026, 24.2; 0.181 ±
          0.048, 12.2; 0.494 ± 0.053, 25.0; 0.632 ± 0.041, 25.0 (better, p = 0.01); 0.022 ± 0.001,
          21.2 (worse, p = 0.002). Digits, Fréchet distance, five seeds: non-saturating + R1
          22.9 ± 0.2; better is DMD2 16.4 ± 0.3 (p < 0.001), of a higher rate, which the GAN gains
          by, 18.1 (seed 0); worse are ImageNet drift 40.5 ± 1.1 (p < 0.001), RpGAN + R1 + R2
          42.6 ± 0.8 (p < 0.001), AFM in one step 55.7 ± 0.7 (p < 0.001) and W-Flow 76.7 ± 0.2 (p <
          0.001).
"""

import pathlib
import sys
from typing import Any

from ml_collections import ConfigDict

from gan_jax import plots
from gan_jax.run.ablation import Axis, ablation, outcomes, results
from gan_jax.run.config import GAMES, from_file, optimizer, replaced, schedule

ROUNDS = 2500  # as in `ring_distillation.py`
HIDDEN = (128, 128, 128)  # those of `ring.py`, `ring_flow.py` and `ring_distillation.py`
SPREAD = {"ring8": 2.0, "grid25": 8.0}  # sides of the data
STD = {"ring8": 0.01, "grid25": 0.05}  # of a mode
DATA_STD = {"ring8": 0.7, "grid25": 2.8}
PANELS = {  # of the figure: data, score, and the ends of its axis
  "ring8: share on a mode": ("ring8", "high_quality", (0, 1.02)),
  "ring8: modes": ("ring8", "modes", (0, 9)),
  "grid25: share on a mode": ("grid25", "high_quality", (0, 1.02)),
  "grid25: modes": ("grid25", "modes", (0, 26)),
  "digits: Fréchet distance": ("digits", "frechet_distance", (0, 90)),
}


def drift(field: str, temperature: float, start: float = 0.0) -> dict[str, Any]:
  """Builds a drift at one temperature, or of one that falls to it from a start."""
  falling = schedule("cosine_decay_schedule", init_value=3e-3, decay_steps=ROUNDS)
  given = {
    "game.name": "drift",
    "field": field,
    "temperatures": (temperature,),
    "optimizers.generator": optimizer("adam", learning_rate=falling, b2=0.99),
    "average.name": "none",
  }
  if start:
    factor = start / temperature
    given["annealing.factor"] = schedule(
      "exponential_decay",
      init_value=factor,
      transition_steps=int(0.7 * ROUNDS),
      decay_rate=1 / factor,
      end_value=1.0,
    )
  return given


def taken(file: str, changes: dict[str, Any]) -> dict[str, Any]:
  """Takes all keys of a kind of game but the latents from an experiment, with changes."""
  config = replaced(from_file(f"../{file}", __file__), changes)
  of_kind = GAMES[config.game.name].keys()
  return {"game.name": config.game.name, **{k: config[k] for k in of_kind if k != "latent"}}


def methods(data: str) -> dict[str, dict[str, Any]]:
  """Lists the methods that these data have, with settings for data of this size."""
  return of_digits() if data == "digits" else of_points(data)


def of_points(data: str) -> dict[str, dict[str, Any]]:
  """Lists the methods on a mixture of points."""
  r1, both = {"regularizers.r1": 0.1}, {"regularizers.r1": 0.1, "regularizers.r2": 0.1}
  start, end, side = SPREAD[data] / 4, 2 * STD[data], SPREAD[data]
  hidden = {f"{net}.hidden": HIDDEN for net in ("generator", "discriminator")}
  matching = {
    "levels.least": STD[data],
    "levels.largest": 1.5 * side,
    "data_std": DATA_STD[data],
  }
  return {
    "RpGAN + R1 + R2": {"loss": "relativistic", **both},
    "non-saturating + R1": r1,
    "AFM, one step": taken("flow_1d.py", hidden),
    "AFM, any step": taken("ring_flow.py", {"weights.transport.transition_steps": ROUNDS}),
    "DMD2, exact teacher": taken("ring_distillation.py", matching),
    "drift, published": drift("toy", 0.05),
    "drift, annealed": drift("toy", end, start),
    "Gaussian drift, annealed": drift("gaussian", end, start),
    "W-Flow": drift("sinkhorn", 0.05),
  }


def of_digits() -> dict[str, dict[str, Any]]:
  """Lists the methods on digits; fields are in a classifier's features, as in `mnist_drift.py`."""
  r2 = {"loss": "relativistic", "regularizers.r2": 1.0}
  sinkhorn = {"field": "sinkhorn", "temperatures": (0.05,)}
  dense = {
    f"{net}.{key}": value
    for net in ("generator", "discriminator")
    for key, value in (("hidden", (512, 512, 512)), ("example_code", 0))
  }
  # Rounds of 84, 52, 42, 60, 76 and 243 ms of one core: 18 s each.
  return {
    "RpGAN + R1 + R2": r2 | lasting(210),
    "non-saturating + R1": lasting(340),
    "AFM, one step": taken("flow_1d.py", dense) | lasting(430),
    "DMD2, exact teacher": taken("mnist_distillation.py", {}) | lasting(300),
    "ImageNet drift": taken("mnist_drift.py", {}) | lasting(235),
    "W-Flow": taken("mnist_drift.py", sinkhorn) | lasting(73),
  }


def lasting(rounds: int) -> dict[str, Any]:
  """Builds the length of a run that is scored at its end."""
  return {"rounds": rounds, "evaluate_every": rounds}


def get_config(data: str = "ring8") -> ConfigDict:
  axes = [Axis("method", methods(data))]
  baseline = {"method": "non-saturating + R1"}
  if data == "digits":
    base = from_file("../mnist_dcgan.py", __file__)
    # One run after another: convolutions of several are no faster together on a CPU.
    return ablation(base, axes, baseline=baseline, score="frechet_distance", at_once=1)
  base = from_file("../ring.py", __file__)
  base.data = data
  base.rounds = ROUNDS
  base.latent.dim = 2  # as the data; of 8 numbers fewer samples are on modes, see `ring_drift.py`
  base.regularizers.r1 = 0.0
  for player in ("discriminator", "generator"):
    falling = schedule("cosine_decay_schedule", init_value=2e-3, decay_steps=ROUNDS)
    base.optimizers[player] = optimizer("adam", learning_rate=falling, b1=0.0, b2=0.99)
  base.average.decay = 0.99
  base.evaluate_every = ROUNDS // 5
  return ablation(
    base,
    axes,
    baseline=baseline,
    score="high_quality",
    collapse="modes<8" if data == "ring8" else "modes<25",
  )


def main(folder: str, out: str) -> None:
  """Draws the scores of the methods on the data that were played, with their 95% intervals."""
  played = {data: pathlib.Path(folder) / data for data in (*SPREAD, "digits")}
  found = {data: results.read(path) for data, path in played.items() if path.is_dir()}
  names = list(dict.fromkeys(name for data in found for name in methods(data)))
  shown = {title: of for title, of in PANELS.items() if of[0] in found}
  with plots.style():
    figure, panels = plots.panels([*shown], columns=len(shown), size=(2.4, 3.2), sharey=True)
    for title, (data, score, ends) in shown.items():
      ended = [one for one in outcomes.outcomes(found[data], score) if one.runs > one.failed]
      rows = [names.index(one.variant["method"]) for one in ended]
      middle = [one.last.mean for one in ended]
      off = [(one.last.mean - one.last.low, one.last.high - one.last.mean) for one in ended]
      panels[title].errorbar(
        middle, rows, xerr=[*zip(*off, strict=True)], fmt="o", markersize=4, capsize=3
      )
      panels[title].set(xlim=ends)
      panels[title].grid(visible=True)
    first = panels[next(iter(shown))]
    first.set_yticks(range(len(names)), names)
    first.invert_yaxis()
  plots.save(figure, pathlib.Path(out))


if __name__ == "__main__":
  main(*sys.argv[1:])
