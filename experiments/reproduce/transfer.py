"""Images to a Fréchet distance on clothes, from nothing and from networks trained on digits.

  python -m experiments.reproduce.transfer RUN [--data=idx:DIR] [--seeds 0 1 2] [--rounds=2000]
    [--workdir=runs/transfer]

RUN is a run of mnist_dcgan.py. The games are those of fashion_dcgan.py, scored every 250 rounds:
with all networks at random, with both of RUN, with its discriminator alone, and with both and the
first layer of the discriminator frozen (Mo, Cho, Shin 2020, arXiv:2002.10964). Printed are the
distances of each run, and the images after which it is below each of LEVELS. docs/import.md has
what was measured.
"""

import argparse
import pathlib

from experiments import fashion_dcgan
from gan_jax.run.config import complete, replaced, switches
from gan_jax.run.experiment import build
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training.train import fit

LEVELS = (20.0, 10.0, 5.0)
STARTS = {
  "nothing": {},
  "both networks": {"start_from": "{run}"},
  "discriminator": {"start_from": "{run}:discriminator"},
  "both, first layer frozen": {
    "start_from": "{run}",
    "optimizers.discriminator.freeze": "StridedConv_0",
  },
}


def distances(workdir: pathlib.Path) -> dict[int, float]:
  """Reads the Fréchet distances of a run, by round."""
  name = "score/frechet_distance"
  return {row["round"]: row[name] for row in read_rows(workdir) if name in row}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("run")
  parser.add_argument("--data", default="tfds:fashion_mnist")
  parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
  parser.add_argument("--rounds", type=int, default=2000)
  parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("runs/transfer"))
  parser.add_argument("--starts", nargs="*", choices=STARTS, default=[*STARTS])
  options = parser.parse_args()

  switches.fix_all()
  course = {"data": options.data, "rounds": options.rounds, "evaluate_every": 250}
  for seed in options.seeds:
    for name in options.starts:
      given = {
        key: value.format(run=options.run) if isinstance(value, str) else value
        for key, value in STARTS[name].items()
      }
      config = complete(replaced(fashion_dcgan.get_config(), course | {"seed": seed} | given))
      workdir = options.workdir / f"{name.replace(' ', '_').replace(',', '')}_{seed}"
      fit(build(config), workdir)
      found = distances(workdir)
      below = {
        level: next((config.batch_size * n for n, x in found.items() if x < level), None)
        for level in LEVELS
      }
      shown = ", ".join(f"{n}: {x:.2f}" for n, x in found.items())
      print(f"{name}, seed {seed}: {shown}; images to {below}", flush=True)


if __name__ == "__main__":
  main()
