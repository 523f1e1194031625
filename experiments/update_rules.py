"""Update rules on the ring of eight Gaussians: one game, each player moved by another rule.

Paper:    see `gan_jax.rules` for each; the ring is that of Metz et al. 2017 (arXiv:1611.02163).
Command:  python -m experiments.update_rules
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     4 min 5 s
Score:    modes of 8, % of high quality and KL, mean ± standard error of 4 seeds after 4,000 rounds:
            simultaneous            2.2 ± 1.1   16.3 ± 15.8   inf in 1 of 4
            alternating             4.8 ± 0.5   55.4 ± 11.4   0.95 ± 0.08
            5 discriminator steps   1.0 ± 0.0   68.5 ± 20.3   2.08 ± 0.00
            optimistic              5.0 ± 0.7   10.8 ±  1.9   1.09 ± 0.17
            extragradient           2.0 ± 0.4   20.8 ±  8.4   1.61 ± 0.16
            consensus               8.0 ± 0.0   56.9 ±  6.1   0.03 ± 0.01
            unrolled 5 steps        4.2 ± 0.6   51.5 ±  3.8   1.01 ± 0.15
            lookahead 20 rounds     5.0 ± 0.4   17.3 ±  4.0   0.78 ± 0.05

No rule was given settings of its own: all share the networks, the loss without a penalty, the batch
and the learning rate, so the table shows what a rule does to this game, not how well it can do.
"""

import functools
import pathlib
from typing import NamedTuple

import numpy as np
import optax
from absl import app, flags

from experiments.population import mean_and_error, samples_of
from gan_jax import games, losses, rules
from gan_jax.data import RING8, load
from gan_jax.game import Game, Turn
from gan_jax.metrics import mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.report import write_json

FLAGS = flags.FLAGS
flags.DEFINE_string("out", "runs/update_rules", "Folder for the numbers.")
flags.DEFINE_integer("rounds", 4000, "Rounds of a run.", lower_bound=1)
flags.DEFINE_integer("seeds", 4, "Runs of each rule, played at once.", lower_bound=2)

BATCH, SAMPLES, RATE = 128, 2500, 1e-3
adam = functools.partial(optax.adam, RATE, b1=0.5, b2=0.99)


class Rule(NamedTuple):
  """How players move.

  Attributes:
    turns: of a round.
    optimizer: of both.
  """

  turns: tuple[Turn, ...]
  optimizer: optax.GradientTransformation = adam()


both = games.simultaneous()
RULES = {
  "simultaneous": Rule(both),
  "alternating": Rule(games.alternating()),
  "5 discriminator steps": Rule(games.alternating(5)),
  "optimistic": Rule(both, optax.optimistic_adam_v2(RATE, b1=0.5, b2=0.99)),
  "extragradient": Rule(rules.extragradient(both)),
  "consensus": Rule(rules.consensus(both, weight=1.0)),
  "unrolled 5 steps": Rule(rules.unrolled(both, steps=5), adam(eps_root=1e-8)),
  "lookahead 20 rounds": Rule(both, rules.lookahead(adam(), every=20)),
}
flags.DEFINE_multi_enum("rule", list(RULES), list(RULES), "Rules to play; may be repeated.")


def main(argv: list[str]) -> None:
  """Plays the ring by each rule and prints a table."""
  del argv
  source, found = load("ring8"), {}
  settings = {"rounds": FLAGS.rounds, "seeds": FLAGS.seeds}
  print(f"ring8, {FLAGS.seeds} seeds of {FLAGS.rounds} rounds; ± is a standard error")
  print(f"{'rule':24}{'modes of 8':>14}{'high quality, %':>18}{'KL':>16}")
  for name in FLAGS.rule:
    made = samples_of(game_of(RULES[name]), source, **settings, batch_size=BATCH, samples=SAMPLES)
    found[name] = [mode_coverage(x, RING8.centers, RING8.std) for x in made]
    print(line(name, found[name]), flush=True)
  out = pathlib.Path(FLAGS.out)
  out.mkdir(parents=True, exist_ok=True)
  write_json(out / "update_rules.json", {"settings": settings, "scores": found})
  print(f"wrote {out}/update_rules.json")


def game_of(rule: Rule) -> Game:
  """Makes the game that all rules play."""
  return games.two_player(
    MLPGenerator(shape=(2,), hidden=(64, 64)),
    MLPDiscriminator(hidden=(64, 64)),
    loss=losses.non_saturating,
    optimizers={"discriminator": rule.optimizer, "generator": rule.optimizer},
    latent=games.normal(8),
    turns=rule.turns,
  )


def line(name: str, scores: list[dict[str, float]]) -> str:
  """Formats a row."""
  column = lambda key: np.array([score[key] for score in scores])
  modes, high, kl = column("modes"), 100 * column("high_quality"), column("kl")
  missed = int(np.isinf(kl).sum())  # runs without one sample of high quality
  return f"{name:24}{shown(modes, 1):>14}{shown(high, 1):>18}" + (
    f"{f'inf in {missed} of {len(kl)}':>16}" if missed else f"{shown(kl, 2):>16}"
  )


def shown(values: np.ndarray, digits: int) -> str:
  """Formats a mean over runs with its standard error."""
  mean, error = mean_and_error(values)
  return f"{mean:.{digits}f} ± {error:.{digits}f}"


if __name__ == "__main__":
  app.run(main)
