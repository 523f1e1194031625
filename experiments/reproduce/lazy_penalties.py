"""Asks whether lazy R1 and R2 fail where modes are many, as R3GAN reports.

Paper:    Huang et al. 2025 (arXiv:2501.05441): RpGAN with R1 and R2, which they say must not be
          lazy on toys of many modes. Lazy penalties are StyleGAN2's (Karras et al. 2019,
          arXiv:1912.04958): applied every so many rounds, with as many times the weight. Under
          Adam, which is used here, that is weaker than the weight says: where the penalty
          dominates, parameters move at about a quarter of the speed if it is applied every 16
          rounds (see `objectives.every`), so rows of one weight do not have one strength. The data
          are the grid of 25 modes; networks and optimizers are those of experiments/ring.py.
Command:  python -m experiments.reproduce.lazy_penalties
          python -m experiments.reproduce.lazy_penalties --weight=1.0 --every=1 --every=16
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     10 minutes of one core, of the rows of weight 0.1; 4 of the others
Score:    modes of 25, % of high quality and KL after 10,000 rounds, ± standard error over 3 seeds:
            weight 0.1, every round        25.0 ± 0.0   82.4 ± 1.0   0.010 ± 0.001
            weight 0.1, every 4 rounds     25.0 ± 0.0   79.9 ± 1.4   0.010 ± 0.002
            weight 0.1, every 16 rounds    25.0 ± 0.0   83.6 ± 0.8   0.008 ± 0.000
            weight 1.0, every round        25.0 ± 0.0   84.9 ± 1.6   0.009 ± 0.002
            weight 1.0, every 16 rounds    25.0 ± 0.0   85.4 ± 0.8   0.008 ± 0.004
          The failure is not found here: lazy penalties lose no mode. Under the paper's own
          networks, on stacked digits, it is: experiments/ablations/lazy_stacked.py. 0.1 is the
          weight of experiments/ring.py.
"""

import pathlib

import jax
import numpy as np
import optax
from absl import app, flags

from experiments.means import lost, mean_and_error
from gan_jax import losses
from gan_jax.data import GRID25, Batches, Source, load
from gan_jax.files import write_json
from gan_jax.game.core import Game
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal
from gan_jax.game.play import sample
from gan_jax.game.schedules import decay
from gan_jax.losses.objectives import every
from gan_jax.losses.regularizers import r1, r2
from gan_jax.metrics import mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.run.population import Population, member, player, start

FLAGS = flags.FLAGS

BATCH, SAMPLES = 256, 2500
Scores = dict[str, np.ndarray]  # by name, one number a run


def main(argv: list[str]) -> None:
  """Plays eager and lazy penalties of each weight, and says what their difference shows."""
  del argv
  if 1 not in FLAGS.every:
    raise app.UsageError("--every: expected 1 among them, the eager penalty that lazy is held to")
  source, found = load("grid25"), {}
  settings = {"rounds": FLAGS.rounds, "seeds": FLAGS.seeds}
  print(f"grid25, {FLAGS.seeds} seeds of {FLAGS.rounds} rounds; ± is a standard error")
  print(f"{'weight':>6}{'every':>7}{'modes of 25':>16}{'high quality, %':>18}{'KL':>16}")
  for weight in FLAGS.weight:
    for rounds in sorted(FLAGS.every):
      game = game_of(weight, rounds, FLAGS.rounds)
      made = samples_of(game, source, **settings, batch_size=BATCH, samples=SAMPLES)
      scores = [mode_coverage(x, GRID25.centers, GRID25.std) for x in made]
      found[weight, rounds] = {key: np.array([s[key] for s in scores]) for key in scores[0]}
      print(line(weight, rounds, found[weight, rounds]), flush=True)
  for (weight, rounds), scores in found.items():
    if rounds > 1:
      print(verdict(weight, rounds, found[weight, 1], scores))
  out = pathlib.Path(FLAGS.out)
  out.mkdir(parents=True, exist_ok=True)
  rows = {f"weight {w}, every {k}": scores for (w, k), scores in found.items()}
  write_json(out / "lazy_penalties.json", {"settings": settings, "scores": rows})
  print(f"wrote {out}/lazy_penalties.json")


def game_of(weight: float, rounds: int, length: int) -> Game:
  """Builds RpGAN with R1 and R2, applied every so many rounds."""
  adam = optax.adam(optax.cosine_decay_schedule(2e-3, length), b1=0.0, b2=0.99)
  return two_player(
    MLPGenerator(shape=(2,), hidden=(128, 128, 128)),
    MLPDiscriminator(hidden=(128, 128, 128)),
    loss=losses.relativistic,
    regularizers={
      name: (weight, term if rounds == 1 else every(rounds, term))
      for name, term in (("r1", r1), ("r2", r2))
    },
    optimizers={"discriminator": adam, "generator": adam},
    latent=normal(8),
    averages={"generator": decay(0.995)},
  )


def samples_of(
  game: Game, source: Source, *, rounds: int, seeds: int, batch_size: int, samples: int
) -> np.ndarray:
  """Trains runs of the seeds 0, 1, ... and samples from each: [seeds, samples, ...]."""
  people = Population(lambda numbers: game, np.arange(seeds))
  batches = Batches(source, batch_size, seed=0)
  states, _ = player(people, batches)(start(people, batches), rounds)
  draw = lambda i: sample(game, member(states, i), jax.random.key(i), samples)
  return np.stack([draw(i) for i in range(seeds)])


def line(weight: float, rounds: int, scores: Scores) -> str:
  """Formats a row."""
  part = lambda values, digits: "{:.{d}f} ± {:.{d}f}".format(*mean_and_error(values), d=digits)
  return (
    f"{weight:6}{rounds:7}{part(scores['modes'], 1):>16}"
    f"{part(100 * scores['high_quality'], 1):>18}{part(scores['kl'], 3):>16}"
  )


def verdict(weight: float, rounds: int, eager: Scores, lazy: Scores) -> str:
  """Formats whether lazy penalties lose modes or samples of high quality."""
  modes, error, fewer = lost(eager["modes"], lazy["modes"])
  share, share_error, poorer = lost(100 * eager["high_quality"], 100 * lazy["high_quality"])
  said = "it fails, by more than two standard errors" if fewer or poorer else "not shown to fail"
  return (
    f"weight {weight}, every {rounds} rounds: loses {modes:.1f} ± {error:.1f} modes and "
    f"{share:.1f} ± {share_error:.1f}% of high quality; {said}"
  )


def define_flags() -> None:
  """Defines the flags of this command; not on import, since flags of absl are global."""
  flags.DEFINE_string("out", "runs/lazy_penalties", "Folder for the numbers.")
  flags.DEFINE_integer("rounds", 10_000, "Rounds of a run.", lower_bound=1)
  flags.DEFINE_integer("seeds", 3, "Runs of each row, played at once.", lower_bound=2)
  flags.DEFINE_multi_float("weight", [0.1], "Of R1 and of R2; may be repeated.")
  flags.DEFINE_multi_integer(
    "every", [1, 4, 16], "Rounds from one penalty to the next; 1 is eager."
  )


if __name__ == "__main__":
  define_flags()
  app.run(main)
