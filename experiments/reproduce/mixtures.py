"""Reproduces the mixtures of PacGAN's table 1, ring and grid, and sets our losses beside them.

Paper:    Lin et al. 2018 (arXiv:1712.04086) and its published code, whose protocol this is. The
          generator maps N(0, I₂) through four layers of 400 with batch norm and ReLU, the
          discriminator is maxout, three layers of 200 units of 5 pieces; weights start in
          N(0, 0.02²). Both move at once on the same draw, Adam at 1e-4 with β₁ = 0.8, on batches of
          100 packs. A run has a fixed table of 100,000 points and as many packs of m of them, drawn
          with replacement; an epoch is 1000 updates whatever m is, a run 400 epochs, a row 10 runs.
          Scored are 2500 samples of the last epoch, made with running statistics. `unrolled` is
          Metz et al. 2017 (arXiv:1611.02163); R1 and R2 are Mescheder et al. 2018
          (arXiv:1801.04406), with RpGAN R3GAN's (Huang et al. 2025, arXiv:2501.05441).
Command:  python -m experiments.reproduce.mixtures
          measured: --epochs=4 --seeds=3, and unrolled --epochs=1 --seeds=3
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     an update of one run of `gan` takes 18 ms of one core, of `relativistic_r1_r2` 24 ms, of
          `unrolled` 180 ms or more, so that a row of the protocol is 20 hours or more of one core;
          four runs at once take 15.7 ms each, under vmap as one after the other.
Score:    not the protocol: SHORTENED to 4 of 400 epochs (unrolled to 1) and 3 of 10 runs, where no
          row has converged. Modes, % of high quality, KL:
                                 ring8                            grid25
            GAN                  8.0±0.0  70.7±7.4   0.32±0.07     10.7±0.9  1.7±0.8   1.18±0.13
            PacGAN2              7.7±0.3  42.9±15.5  0.47±0.20     13.7±1.3  1.8±0.1   0.83±0.10
            PacGAN3              7.7±0.3  38.9±11.7  0.22±0.12     12.3±1.8  1.6±0.1   0.95±0.14
            PacGAN4              6.7±1.3  9.9±5.1    0.51±0.22     11.3±3.0  1.7±0.3   1.28±0.38
            Unrolled, 1 epoch    6.3±0.3  4.3±1.9    0.85±0.27     4.7±0.3   35.3±6.6  2.06±0.24
            GAN, R1              8.0±0.0  35.9±0.3   0.42±0.07     9.3±1.5   2.4±1.0   1.31±0.17
            LSGAN, R1            7.3±0.7  36.8±7.7   0.43±0.20     7.0±0.6   1.8±0.3   1.55±0.07
            RpGAN, R1 and R2     7.7±0.3  19.2±5.9   0.50±0.08     8.7±1.2   1.6±0.2   1.55±0.18
"""

import json
import pathlib
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from gan_jax import losses
from gan_jax.data import MIXTURES, Mixture
from gan_jax.files import save_arrays, write_json
from gan_jax.game.core import Game, State, Turn
from gan_jax.game.kinds.sides.turns import simultaneous
from gan_jax.game.kinds.two_player import Terms, two_player
from gan_jax.game.latents import normal
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.rules import unrolled
from gan_jax.game.views import packing
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.regularizers import r1, r2
from gan_jax.metrics import mode_coverage
from gan_jax.nets import NETWORKS
from gan_jax.plots import BLUE, ORANGE
from gan_jax.run.results.summary import machine

EPOCHS, SEEDS, POINTS = 400, 10, 100_000  # of the protocol
BATCH, SAMPLES = 100, 2500  # packs in an update, samples that are scored

Key = tuple[str, str]  # mixture and row
Result = Mapping[str, Any]  # what `play` returns and its file keeps
Results = dict[Key, Result]

FLAGS = flags.FLAGS


class Row(NamedTuple):
  """One row of the table: a game on the protocol's networks and data.

  Attributes:
    title: says in what it differs from the first row; a result is known by it.
    loss: of both players.
    penalties: of the discriminator, name -> (weight, term).
    packing: m, examples in a pack.
    turns: of a round.
    eps_root: of the discriminator's Adam, > 0 where a rule differentiates its steps.
  """

  title: str
  loss: AdversarialLoss = losses.non_saturating
  penalties: Terms | None = None
  packing: int = 1
  turns: tuple[Turn, ...] = simultaneous()
  eps_root: float = 0.0


GAMMA = 0.1  # as in experiments/ring.py, with other networks; not tuned on these scores
ONE, BOTH = {"r1": (GAMMA, r1)}, {"r1": (GAMMA, r1), "r2": (GAMMA, r2)}
ROWS = {
  "gan": Row("GAN"),
  "pacgan2": Row("PacGAN2", packing=2),
  "pacgan3": Row("PacGAN3", packing=3),
  "pacgan4": Row("PacGAN4", packing=4),
  "unrolled": Row("Unrolled GAN, 5 steps", turns=unrolled(simultaneous(), steps=5), eps_root=1e-12),
  "non_saturating_r1": Row(f"GAN, R1 of {GAMMA}", penalties=ONE),
  "least_squares_r1": Row(f"LSGAN, R1 of {GAMMA}", losses.least_squares, ONE),
  "relativistic_r1_r2": Row(f"RpGAN, R1 and R2 of {GAMMA}", losses.relativistic, BOTH),
}

PUBLISHED = {  # modes, % of high quality, KL: those figures of table 1 that could be checked
  ("ring8", "gan"): ("6.3 ± 0.5", "98.2", "0.45"),
  ("ring8", "pacgan2"): ("7.9", "", ""),
  ("grid25", "gan"): ("17.3 ± 0.8", "94.8", "0.70"),
  ("grid25", "pacgan2"): ("23.8", "", ""),
  ("grid25", "pacgan4"): ("24.8", "", "0.04"),
}
NOTES = """\
± is the standard error over runs. Published: Lin et al. 2018, table 1; left empty where the figure
could not be checked. Ours differs from the published code in this: the batch statistics of the
generator are over all 100 m fakes of an update, there over m batches of 100; the running variance
is averaged, there the running deviation; each run scores its own 2500 latents, there all the same.
The ring has radius 1 and deviation 0.01, the grid spacing 2 and deviation 0.05, as there. The
weight of R1 and R2 is that of experiments/ring.py, not tuned on these scores. Where the
discriminator is unrolled, its Adam adds 1e-12 under the root, which has no slope at 0.
"""


def main(argv: list[str]) -> None:
  """Plays the rows that are not there yet, and prints all that are beside the published ones."""
  del argv
  reproduce("mixtures", ROWS)


def reproduce(table: str, rows: Mapping[str, Row]) -> Results:
  """Plays the rows that the flags name and that are not there yet; prints and draws all that are.

  Args:
    table: name of the table and the picture, `table.md` and `table.png` of the folder.
    rows: by name.

  Returns:
    The results that are there.

  Raises:
    app.UsageError: for an unknown name, or a result that is there with other settings.
  """
  unknown = [*(set(FLAGS.rows) - set(rows)), *(set(FLAGS.mixtures) - set(MIXTURES))]
  if unknown:
    known = f"rows {', '.join(rows)}; mixtures {', '.join(MIXTURES)}"
    raise app.UsageError(f"unknown: {', '.join(unknown)}. Expected {known}")
  out = pathlib.Path(FLAGS.out)
  wanted = [(mixture, name) for name in FLAGS.rows or rows for mixture in FLAGS.mixtures]
  missing = [key for key in wanted if not _is_there(out, key, settings(rows[key[1]]))]
  for mixture, name in missing:
    result, samples = play(rows[name], mixture)
    save_arrays(_path(out, (mixture, name), ".npz"), {"samples": samples})
    write_json(_path(out, (mixture, name), ".json"), result)
    _write(out, table, rows)
  found = _write(out, table, rows)
  print("\n" + (out / f"{table}.md").read_text())
  return found


# --- one row ------------------------------------------------------------------------------------


def settings(row: Row) -> dict[str, Any]:
  """Returns the settings by which a result is known."""
  return {"row": row.title, "epochs": FLAGS.epochs, "seeds": FLAGS.seeds, "points": FLAGS.points}


def game_of(row: Row) -> Game:
  """Builds the game of a row."""
  adam = partial(optax.adam, 1e-4, b1=0.8)
  return two_player(
    NETWORKS["pacgan_generator"]((2,)),
    NETWORKS["pacgan_discriminator"](),
    loss=row.loss,
    optimizers={"discriminator": adam(eps_root=row.eps_root), "generator": adam()},
    latent=normal(2),
    regularizers=row.penalties,
    turns=row.turns,
    views=(packing(row.packing),),
  )


def draw_packs(key: jax.Array, mixture: Mixture, points: int, packing: int) -> jax.Array:
  """Draws a table of points, and as many packs of them with replacement: [points, m, 2]."""
  mode_key, noise_key, pack_key = jax.random.split(key, 3)
  modes = jax.random.randint(mode_key, (points,), 0, len(mixture.centers))
  x = jnp.asarray(mixture.centers)[modes] + mixture.std * jax.random.normal(noise_key, (points, 2))
  return x[jax.random.randint(pack_key, (points, packing), 0, points)]


class Run(NamedTuple):
  """What a seed needs beside its state: packs [points, m, 2], keys of their order and of scores."""

  packs: jax.Array
  order: jax.Array
  scores: jax.Array


def start(game: Game, mixture: Mixture, points: int, packing: int, seed: Any) -> tuple[State, Run]:
  """Starts the run of one seed."""
  state_key, packs_key, order_key, score_key = jax.random.split(jax.random.key(seed), 4)
  batch = {"x": jax.ShapeDtypeStruct((1, BATCH * packing, 2), jnp.float32)}
  packs = draw_packs(packs_key, mixture, points, packing)
  return init(game, state_key, batch), Run(packs, order_key, score_key)


def play_epoch(game: Game, state: State, run: Run) -> State:
  """Plays one round on each batch of packs, in an order of this epoch."""
  updates = len(run.packs) // BATCH
  key = jax.random.fold_in(run.order, state.round // updates)
  order = jax.random.permutation(key, len(run.packs))[: updates * BATCH]

  def one(state: State, places: jax.Array) -> tuple[State, None]:
    return play_round(game, state, {"x": run.packs[places].reshape(1, -1, 2)})[0], None

  return jax.lax.scan(one, state, order.reshape(updates, BATCH))[0]


# Runs keep step: their round and images are one number, so that lazy terms stay lazy under vmap.
_STATES = State(round=None, images=None, key=0, params=0, carried=0, opt=0, ema=0)


def play(row: Row, name: str) -> tuple[Result, np.ndarray]:
  """Plays all runs of a row at once.

  Args:
    row: the row.
    name: of the mixture.

  Returns:
    The result, with scores of every epoch and run, and the last samples [runs, 2500, 2].
  """
  game, mixture, began = game_of(row), MIXTURES[name], time.monotonic()
  begin = partial(start, game, mixture, FLAGS.points, row.packing)
  epoch = jax.vmap(partial(play_epoch, game), in_axes=(_STATES, 0), out_axes=_STATES)
  draw = jax.vmap(partial(sample, game, n=SAMPLES), in_axes=(_STATES, 0))
  epoch, draw = jax.jit(epoch, donate_argnums=0), jax.jit(draw)

  state, runs = jax.jit(jax.vmap(begin, out_axes=(_STATES, 0)))(jnp.arange(FLAGS.seeds))
  history = []
  for number in range(1, FLAGS.epochs + 1):
    state = epoch(state, runs)
    samples = np.asarray(draw(state, runs.scores))
    history.append([mode_coverage(x, mixture.centers, mixture.std) for x in samples])
    if number % max(1, FLAGS.epochs // 10) == 0 or number == FLAGS.epochs:
      told = "  ".join(f"{key} {shown(history[-1], key)}" for key in history[-1][0])
      seconds = time.monotonic() - began
      print(f"{name}, {row.title}: epoch {number}, {seconds:.0f} s:  {told}", flush=True)
  return {
    "settings": settings(row),
    "scores": history[-1],
    "history": history,
    "seconds": time.monotonic() - began,
    "machine": machine(),
  }, samples


# --- tables -------------------------------------------------------------------------------------


def shown(scores: Iterable[Mapping[str, float]], name: str, scale: float = 1.0) -> str:
  """Formats the mean of a score over runs with its standard error."""
  values = scale * np.array([float(score[name]) for score in scores])  # JSON says "inf"
  digits = 1 if name == "modes" or scale > 1 else 2
  if not np.isfinite(values).all():
    return f"none in {np.sum(~np.isfinite(values))} of {len(values)}"
  error = f" ± {spread(values):.{digits}f}" if len(values) > 1 else ""
  return f"{values.mean():.{digits}f}{error}"


def spread(values: np.ndarray) -> float:
  """Returns the standard error of a mean over runs."""
  return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def label(results: Iterable[Result]) -> str:
  """Formats whether results are the protocol's, or how they were shortened."""
  results, short = list(results), []
  for key, full in (("epochs", EPOCHS), ("seeds", SEEDS), ("points", POINTS)):
    found = sorted({result["settings"][key] for result in results})
    if found[0] < full:
      short.append(f"{' or '.join(f'{n:,}' for n in found)} {key} of {full:,}")
  if short:
    return f"SHORTENED, not the protocol: {'; '.join(short)}."
  return f"The protocol: {EPOCHS} epochs of {POINTS // BATCH} updates, {SEEDS} seeds a row."


def markdown(name: str, results: Mapping[str, Result]) -> str:
  """Writes the results of one mixture, by row, beside the published ones."""
  lines = [
    f"{label(results.values())}\n",
    f"| {name} | epochs x runs | modes | high quality, % | KL | published: modes | % | KL |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for row, result in results.items():
    title, epochs, seeds = (result["settings"][key] for key in ("row", "epochs", "seeds"))
    ours = [shown(result["scores"], *key) for key in (("modes",), ("high_quality", 100), ("kl",))]
    theirs = PUBLISHED.get((name, row), ("", "", ""))
    lines.append(f"| {' | '.join([title, f'{epochs} x {seeds}', *ours, *theirs])} |")
  return "\n".join(lines) + "\n"


def _write(out: pathlib.Path, table: str, rows: Mapping[str, Row]) -> Results:
  """Writes table and picture of all that is there; returns it."""
  keys = [(mixture, row) for mixture in MIXTURES for row in rows]
  found = {key: _read(out, key) for key in keys if _path(out, key, ".json").exists()}
  tables = []
  for name in MIXTURES:
    mine = {row: result for (mixture, row), result in found.items() if mixture == name}
    tables += [markdown(name, mine)] if mine else []
  (out / f"{table}.md").write_text("\n".join([*tables, NOTES]))
  _draw(out, table, found)
  return found


def _draw(out: pathlib.Path, table: str, found: Results) -> None:
  """Draws samples of the first run of every result, over the centers of the modes."""
  from matplotlib.figure import Figure

  names, rows = (list(dict.fromkeys(part)) for part in zip(*found, strict=True))
  figure = Figure(figsize=(2.4 * len(rows) + 2, 2.5 * len(names) + 0.3), layout="constrained")
  figure.suptitle(label(found.values()), fontsize=8)
  axes = figure.subplots(len(names), len(rows), squeeze=False)
  for panel in axes.flat:
    panel.set_axis_off()
  for key, result in found.items():
    panel, centers = axes[names.index(key[0]), rows.index(key[1])], MIXTURES[key[0]].centers
    with np.load(_path(out, key, ".npz"), allow_pickle=False) as file:
      samples = file["samples"][0]
    panel.scatter(*centers.T, s=30, facecolors="none", edgecolors=BLUE, linewidths=0.7)
    panel.scatter(*samples.T, s=1, color=ORANGE, alpha=0.4, linewidths=0)
    edge = 1.25 * np.abs(centers).max()
    panel.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    panel.set_title(result["settings"]["row"], fontsize=7)
  figure.savefig(out / f"{table}.png", dpi=110)


# --- files --------------------------------------------------------------------------------------


def _path(out: pathlib.Path, key: Key, suffix: str) -> pathlib.Path:
  return out / key[0] / f"{key[1]}{suffix}"


def _read(out: pathlib.Path, key: Key) -> Result:
  return json.loads(_path(out, key, ".json").read_text())


def _is_there(out: pathlib.Path, key: Key, asked: Mapping[str, Any]) -> bool:
  """Checks whether a result is there; refuses to write over one of other settings."""
  if not (path := _path(out, key, ".json")).exists():
    path.parent.mkdir(parents=True, exist_ok=True)
    return False
  if (kept := _read(out, key)["settings"]) != asked:
    raise app.UsageError(f"{path} was made with {kept}, not {asked}: choose another --out")
  return True


def define_flags() -> None:
  """Defines the flags of this command; not on import, since flags of absl are global."""
  flags.DEFINE_integer("seeds", SEEDS, "Runs of each row.", lower_bound=1, flag_values=FLAGS)
  flags.DEFINE_integer(
    "epochs", EPOCHS, "Of each run.", lower_bound=1, upper_bound=EPOCHS, flag_values=FLAGS
  )
  flags.DEFINE_integer(
    "points",
    POINTS,
    "In the table of a run.",
    lower_bound=100,
    upper_bound=POINTS,
    flag_values=FLAGS,
  )
  flags.DEFINE_list("mixtures", ["ring8", "grid25"], "Which mixtures.", flag_values=FLAGS)
  flags.DEFINE_list("rows", [], "Which rows; none named means all.", flag_values=FLAGS)
  flags.DEFINE_string(
    "out", "runs/mixtures", "Folder of results; rows that are there are kept.", flag_values=FLAGS
  )


if __name__ == "__main__":
  define_flags()
  app.run(main)
