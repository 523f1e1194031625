"""Update rules on the ring of eight Gaussians: one game, each player moved by another rule.

Paper:    see `gan_jax.rules` for each; the ring is that of Metz et al. 2017 (arXiv:1611.02163).
Command:  python -m experiments.update_rules
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     TIME
Score:    SCORE

No rule was given settings of its own: all share the networks, the loss without a penalty, the batch
and the learning rate, so the table shows what a rule does to this game, not how well it can do.
"""

import functools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from gan_jax import games, losses, rules
from gan_jax.data import RING8, load
from gan_jax.data.source import Source
from gan_jax.game import Game, State, Turn, init, minibatches, play_round, sample
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
  print(f"ring8, {FLAGS.seeds} seeds of {FLAGS.rounds} rounds; ± is a standard error")
  print(f"{'rule':24}{'modes of 8':>13}{'high quality, %':>18}{'KL':>16}")
  for name in FLAGS.rule:
    found[name] = play(game_of(RULES[name]), source, FLAGS.rounds, FLAGS.seeds)
    print(line(name, found[name]), flush=True)
  out = pathlib.Path(FLAGS.out)
  out.mkdir(parents=True, exist_ok=True)
  settings = {"rounds": FLAGS.rounds, "seeds": FLAGS.seeds}
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


def play(game: Game, source: Source, rounds: int, seeds: int) -> list[dict[str, float]]:
  """Plays runs at once and scores each.

  Args:
    game: the game.
    source: endless data.
    rounds: of each run.
    seeds: how many runs; each has its own networks, data and noise.

  Returns:
    Scores of each run.
  """
  n = minibatches(game)
  draw, arrays = source.draw, source.arrays
  assert draw is not None

  def one(state: State, seed: jax.Array) -> State:
    first = state.round.astype(jnp.uint32) * n * BATCH
    positions = first + jnp.arange(n * BATCH, dtype=jnp.uint32)
    x = draw(arrays, positions, seed)["x"].reshape(n, BATCH, 2)
    return play_round(game, state, {"x": x})[0]

  def run(seed: jax.Array) -> jax.Array:
    batch = {"x": jax.ShapeDtypeStruct((n, BATCH, 2), jnp.float32)}
    state = init(game, jax.random.key(seed), batch)
    state, _ = jax.lax.scan(lambda s, _: (one(s, seed), None), state, length=rounds)
    return sample(game, state, jax.random.key(seed), SAMPLES)

  samples = np.asarray(jax.jit(jax.vmap(run))(jnp.arange(seeds, dtype=jnp.uint32)))
  return [mode_coverage(x, RING8.centers, RING8.std) for x in samples]


def line(name: str, scores: list[dict[str, float]]) -> str:
  """Formats a row."""
  column = lambda key: np.array([score[key] for score in scores])
  modes, high, kl = column("modes"), 100 * column("high_quality"), column("kl")
  missed = int(np.isinf(kl).sum())  # runs without one sample of high quality
  divergence = f"inf in {missed} of {len(kl)}" if missed else f"{kl.mean():.2f} ± {error(kl):.2f}"
  return (
    f"{name:24}{modes.mean():7.1f} ± {error(modes):.1f}{high.mean():11.1f} ± {error(high):4.1f}"
    f"{divergence:>16}"
  )


def error(values: np.ndarray) -> float:
  """Computes the standard error of a mean over runs."""
  return float(values.std(ddof=1) / np.sqrt(len(values)))


if __name__ == "__main__":
  app.run(main)
