"""Trains discriminators to the optimum that theory gives, where both densities are known.

Paper:    Goodfellow et al. 2014 (arXiv:1406.2661): Algorithm 1, proposition 1, theorem 1, figure 1.
          Data are a mixture of two Gaussians on the line, and a bent Gaussian in the plane; the
          generator is a map of the same family, D a perceptron. `play_round` plays minimax with k
          moves of D, and D is compared with D* = p/(p+q) on a grid when they end.
Command:  python -m experiments.optimal_discriminator --out=runs/optimal_discriminator
Hardware: 2 cores of an AMD EPYC, jax 0.10.2
Time:     55 s
Score:    Worst of 30 inner loops, on the line and in the plane: mean |D - D*| 0.0053 and 0.0072,
          |V - V*| 0.0006 and 0.0015. At the end |V + log 4| is 0.00001 and 0.000003. Seed 0; with
          seeds 1 and 2 the worst mean |D - D*| are 0.0061 and 0.0084, 0.0071 and 0.0084. D, k,
          rates and where G starts were tuned on seed 0.
"""

import functools
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image
from scipy.special import expit as sigmoid

from gan_jax import losses, plots, theory
from gan_jax.files import write_json
from gan_jax.game.core import Game, Params, State
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import Latent, normal, uniform
from gan_jax.game.play import init, play_round
from gan_jax.nets import MLPDiscriminator
from gan_jax.plots import BLUE, ORANGE
from gan_jax.plots.discriminator import LINES
from gan_jax.theory.densities import BentGaussian, Mixture

FLAGS = flags.FLAGS

DISCRIMINATOR = MLPDiscriminator(hidden=(64, 64), activation="gelu")
LOG_4 = math.log(4)


class Problem(NamedTuple):
  """Data, and a generator that can make them.

  Attributes:
    data, generator: modules of one family, which differ in where they start.
    latent: of both.
    rate: of the generator's optimizer.
    axes: the grid to integrate on, coordinates [n] for each dimension.
  """

  data: nn.Module
  generator: nn.Module
  latent: Latent
  rate: float
  axes: tuple[np.ndarray, ...]

  @property
  def grid(self) -> np.ndarray:
    """Its points, [cells, d]."""
    mesh = np.meshgrid(*self.axes, indexing="ij")
    return np.stack(mesh, -1).reshape(-1, len(self.axes)).astype(np.float32)

  @property
  def cell(self) -> float:
    """The volume of a cell."""
    return math.prod(float(x[1] - x[0]) for x in self.axes)


PROBLEMS = {
  "1d": Problem(
    data=Mixture(mean=(-1.5, 1.3), std=(0.5, 0.8), weight=0.57),
    generator=Mixture(mean=(-0.2, 2.2), std=(0.7, 0.7)),
    latent=uniform(1),
    rate=0.2,
    axes=(np.linspace(-8, 8, 3201),),
  ),
  "2d": Problem(
    data=BentGaussian(kernel=((1.0, 0.3), (0.0, 0.55)), bias=(0.0, -0.8), bend=0.6),
    generator=BentGaussian(bias=(0.4, 0.0)),
    latent=normal(2),
    rate=0.07,
    axes=(np.linspace(-6, 6, 193), np.linspace(-6, 14, 321)),
  ),
}


class Look(NamedTuple):
  """What there is to see when an inner loop ends: D at its best for a G that has not moved since.

  Attributes:
    round: moves of G before it.
    numbers: by name.
    p, q: densities of data and fakes on the grid, of the shape of the grid.
    d, best: D and D* = p/(p+q) there.
    z, x: latents in order, and what G makes of them.
  """

  round: int
  numbers: Mapping[str, float]
  p: np.ndarray
  q: np.ndarray
  d: np.ndarray
  best: np.ndarray
  z: np.ndarray
  x: np.ndarray


# What is to be met: (what, its number for a look, the worst of which looks, bound).
GOALS = (
  ("mean |D - D*|, after every inner loop", "mean |D - D*|", slice(None), 0.01),
  ("|V - V*|, after every inner loop", "|V - V*|", slice(None), 0.005),
  ("|V + log 4|, at the end", "|V + log 4|", slice(-1, None), 0.01),
)


def main(argv: list[str]) -> None:
  """Plays both games, draws them, and says which goals are met."""
  del argv
  out, told, missed = pathlib.Path(FLAGS.out), {}, []
  for name, problem in PROBLEMS.items():
    looks = list(train(problem, FLAGS.k, FLAGS.rounds, FLAGS.batch, FLAGS.seed))
    print(f"\n{name}: {FLAGS.rounds} rounds of k = {FLAGS.k} moves of D, then one of G\n")
    print(table([looks[i] for i in chosen(looks, 8)]), "\n")
    for goal in GOALS:
      line, met = judge(looks, *goal)
      print(line)
      missed += [] if met else [f"{name}: {goal[0]}"]
    draw(out, name, problem, looks)
    told[name] = [{"round": seen.round, **seen.numbers} for seen in looks]
  settings = {flag: FLAGS[flag].value for flag in ("seed", "k", "rounds", "batch")}
  write_json(out / "numbers.json", {**settings, **told, "missed": missed})
  print(f"\nfigures and numbers are in {out}")
  if missed:
    raise SystemExit("missed: " + "; ".join(missed))


# --- the games ------------------------------------------------------------------------------------


def train(problem: Problem, k: int, rounds: int, batch: int, seed: int) -> Iterator[Look]:
  """Plays all rounds, and looks at each when its inner loop has ended."""
  game = make_game(problem, k, rounds)
  draw = game.samplers["generator"].inputs
  assert draw is not None
  key = jax.random.key(seed)
  truth = jax.jit(lambda key: problem.data.init(key, draw(key, 1), train=False))(key)

  @functools.partial(jax.jit, donate_argnums=0)
  def play(state: State) -> State:
    z = draw(jax.random.fold_in(state.key, -1 - state.round), k * batch)
    x = problem.data.apply(truth, z, train=False).reshape(k, batch, -1)
    return play_round(game, state, {"x": x})[0]

  see = jax.jit(functools.partial(on_grid, problem))
  points = jnp.asarray(problem.grid)
  state = init(game, key, {"x": jnp.zeros((k, batch, len(problem.axes)))})
  for round in range(rounds):
    before = jax.tree.map(jnp.copy, state.params["generator"])
    state = play(state)
    params = {**state.params, "generator": before, "data": truth["params"]}
    yield look(problem, round, *see(points, params))


def make_game(problem: Problem, k: int, rounds: int) -> Game:
  """Plays minimax by Algorithm 1; D's rate falls to 0 in each inner loop, G's over all rounds."""
  within = optax.cosine_decay_schedule(0.01, k)
  return two_player(
    problem.generator,
    DISCRIMINATOR,
    loss=losses.minimax,
    optimizers={
      "discriminator": optax.adam(lambda moves: within(moves % k), b1=0.9, b2=0.999),
      "generator": optax.adam(optax.cosine_decay_schedule(problem.rate, rounds), b1=0.5, b2=0.9),
    },
    latent=problem.latent,
    turns=alternating(k),
  )


def on_grid(problem: Problem, points: jax.Array, params: Params) -> tuple[jax.Array, ...]:
  """Evaluates logits, log p and log q at points, and G at latents in order."""
  density = lambda net, p: net.apply({"params": p}, points, method="log_density")
  z = jnp.tile(jnp.linspace(-0.99, 0.99, 23)[:, None], (1, len(problem.axes)))
  return (
    DISCRIMINATOR.apply({"params": params["discriminator"]}, points, train=False),
    density(problem.data, params["data"]),
    density(problem.generator, params["generator"]),
    z,
    problem.generator.apply({"params": params["generator"]}, z, train=False),
  )


def look(problem: Problem, round: int, *seen: jax.Array) -> Look:
  """Compares D with D*, and V with its optimum -log 4 + 2 JSD, by quadrature in float64."""
  logits, log_p, log_q, z, x = (np.asarray(a, np.float64) for a in seen)
  p, q, d, best = np.exp(log_p), np.exp(log_q), sigmoid(logits), sigmoid(log_p - log_q)
  mass = (p + q) / 2 * problem.cell
  order = np.argsort(mass)
  bulk = order[np.searchsorted(np.cumsum(mass[order]), 0.01) :]  # all but 1% of the mass
  value = theory.value(logits, p * problem.cell, q * problem.cell)
  best_value = -LOG_4 + 2 * theory.jensen_shannon(p, q, problem.cell)
  numbers = {
    "V": value,
    "V*": best_value,
    "|V - V*|": abs(value - best_value),
    "|V + log 4|": abs(value + LOG_4),
    "mean |D - D*|": np.sum(mass * np.abs(d - best)),
    "max |D - D*|": np.max(np.abs(d - best)[bulk]),
    "mean |D - 1/2|": np.sum(mass * np.abs(d - 0.5)),
  }
  shape = [len(axis) for axis in problem.axes]
  p, q, d, best = (a.reshape(shape) for a in (p, q, d, best))
  return Look(round, {name: float(a) for name, a in numbers.items()}, p, q, d, best, z, x)


# --- numbers --------------------------------------------------------------------------------------


def chosen(looks: Sequence[Look], n: int) -> list[int]:
  """Picks up to n looks, the first ones closer together, as most happens there."""
  return sorted({round((len(looks) - 1) * (i / (n - 1)) ** 2) for i in range(n)})


def table(looks: Sequence[Look]) -> str:
  """Formats the numbers of looks: means over (p+q)/2, the maximum where 99% of that is."""
  names = list(looks[0].numbers)
  lines = [" round  " + "  ".join(f"{name:>14}" for name in names)]
  for seen in looks:
    values = "  ".join(f"{seen.numbers[name]:14.5f}" for name in names)
    lines.append(f"{seen.round:6d}  {values}")
  return "\n".join(lines)


def judge(
  looks: Sequence[Look], what: str, name: str, which: slice, bound: float
) -> tuple[str, bool]:
  """Measures one goal: (a line that says it, whether it is met)."""
  worst = float(np.max([seen.numbers[name] for seen in looks[which]]))  # NaN is the worst
  met = worst < bound
  return f"  {what:40}{worst:9.5f}   goal < {bound:<6}  {'met' if met else 'MISSED'}", met


# --- pictures -------------------------------------------------------------------------------------

JUDGED = LinearSegmentedColormap.from_list("judged", [ORANGE, "white", BLUE])
IN_THE_PLANE: dict[str, dict[str, Any]] = {
  "model": LINES["model"],
  "data": {"color": "black", **LINES["data"]},
  "D = 1": dict(color=BLUE, linestyle="none", marker="s"),
  "D = 0": dict(color=ORANGE, linestyle="none", marker="s"),
}


def draw(out: pathlib.Path, name: str, problem: Problem, looks: Sequence[Look]) -> None:
  """Writes NAME.png, four rounds side by side; frames/NAME_*.png, all of them; and NAME.gif."""
  frames = out / "frames"
  frames.mkdir(parents=True, exist_ok=True)
  drawn(problem, [looks[i] for i in chosen(looks, 4)]).savefig(out / f"{name}.png", dpi=200)
  with Image.open(out / f"{name}.png") as image:  # 256 colours are enough, and a third of the size
    image.convert("RGB").quantize(256).save(out / f"{name}.png", optimize=True)
  paths = [frames / f"{name}_{seen.round:03d}.png" for seen in looks]
  for path, seen in zip(paths, looks, strict=True):
    drawn(problem, [seen]).savefig(path, dpi=120)
  images = [Image.open(path).convert("RGB").quantize(128) for path in paths]
  duration = [800, *[250] * (len(images) - 2), 2500][: len(images)]  # milliseconds
  images[0].save(
    out / f"{name}.gif", save_all=True, append_images=images[1:], duration=duration, loop=0
  )


def drawn(problem: Problem, looks: Sequence[Look]) -> Figure:
  """Draws looks side by side."""
  titles = {}
  for seen in looks:
    values = f"V = {seen.numbers['V']:.3f}, V* = {seen.numbers['V*']:.3f}"
    titles[f"round {seen.round}\n{values}".replace("-", "−")] = seen
  width = 2.0 if len(looks) > 1 else 3.2
  if len(problem.axes) > 1:
    return in_the_plane(problem, titles, (width, 1.2 * width))
  return plots.discriminator_curves(
    {title: on_the_line(problem, seen) for title, seen in titles.items()},
    limits=(-3.8, 3.8),
    size=(width, 1.0 + width),
  )


def on_the_line(problem: Problem, seen: Look) -> plots.DiscriminatorPlot:
  """Picks what `plots.discriminator_curves` draws: densities, discriminators, and G from z to x."""
  found = {"D*": seen.best, "D": seen.d}
  return plots.DiscriminatorPlot(
    problem.axes[0], seen.p, seen.q, found, (seen.z[:, 0], seen.x[:, 0])
  )


def in_the_plane(problem: Problem, looks: Mapping[str, Look], size: tuple[float, float]) -> Figure:
  """Draws D above D* as colours, and both densities as contours."""
  titles = [*looks, *(f"D* of {title}" for title in looks)]
  with plots.style():
    figure, panels = plots.panels(titles, len(looks), size)
    for (title, axes), seen in zip(panels.items(), [*looks.values()] * 2, strict=True):
      best = title not in looks
      shade(axes, problem, seen, seen.best if best else seen.d)
      axes.set_title("" if best else title, fontsize=8.5)
      axes.set_ylabel("D*" if best else "D")
      axes.label_outer()
    plots.legend(figure)
  return figure


def shade(axes: Any, problem: Problem, seen: Look, field: np.ndarray) -> None:
  """Draws a discriminator and the densities around the data."""
  window = (-3.3, 3.3), (-3.2, 4.6)
  part = tuple(
    slice(*np.searchsorted(axis, ends)) for axis, ends in zip(problem.axes, window, strict=True)
  )
  x, y = problem.axes[0][part[0]], problem.axes[1][part[1]]
  axes.pcolormesh(x, y, field[part].T, cmap=JUDGED, vmin=0, vmax=1, shading="gouraud")
  for label, density in (("model", seen.q), ("data", seen.p)):
    style = IN_THE_PLANE[label]
    lines = {"colors": style["color"], "linestyles": [style["linestyle"]]}
    axes.contour(x, y, density[part].T, levels=[0.01, 0.04, 0.1], linewidths=1.3, **lines)
  for label, style in IN_THE_PLANE.items():
    axes.plot([], [], label=label, **style)
  axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xticks=[], yticks=[])


def define_flags() -> None:
  """Defines the flags of this command; not on import, since flags of absl are global."""
  flags.DEFINE_string("out", "runs/optimal_discriminator", "Folder for figures and numbers.")
  flags.DEFINE_integer("seed", 0, "Of networks, data and noise.", lower_bound=0)
  flags.DEFINE_integer("k", 500, "Moves of D for each of G.", lower_bound=1)
  flags.DEFINE_integer("rounds", 30, "Moves of G.", lower_bound=1)
  flags.DEFINE_integer("batch", 1024, "Real examples, and fakes, of a move.", lower_bound=1)


if __name__ == "__main__":
  define_flags()
  app.run(main)
