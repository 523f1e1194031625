"""The Dirac-GAN: which games find their equilibrium, which circle around it.

Paper:    Mescheder, Geiger, Nowozin 2018 (arXiv:1801.04406), sections 2 to 4: data at 0, fakes at
          theta, D(x) = psi x. Consensus optimisation: Mescheder et al. 2017 (arXiv:1705.10461).
Command:  python -m experiments.dynamics --out=runs/dynamics
Hardware: 2 cores of an AMD EPYC, jax 0.10.2
Time:     92 s of CPU, of 52 games
Score:    all 11 verdicts of the papers that are in the table are found: GAN, WGAN, clipped WGAN,
          WGAN-GP and RpGAN do not converge; R1, R2, instance noise, consensus, and RpGAN with R1,
          or R1 and R2 (R3GAN, arXiv:2501.05441) do. R1 has the eigenvalues
          of lemma 4.1 and approaches fastest at weight 1. The non-saturating loss alone comes
          nearer, more slowly than at any rate.

The field is that of simultaneous gradient descent, with the rule of the row: (J - 1)/rate, J being
the Jacobian of a round. Penalties on |g| have a kink at the equilibrium, where it says nothing.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags

from gan_jax import losses, plots
from gan_jax.files import write_json
from gan_jax.game import rules
from gan_jax.game.core import Game, State, minibatches
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.optimizers import clip_weights, lookahead
from gan_jax.game.play import init, play_round
from gan_jax.game.views import gaussian_noise
from gan_jax.losses import regularizers
from gan_jax.losses.adversarial import LOSSES
from gan_jax.losses.objectives import Match
from gan_jax.theory import dynamics
from gan_jax.theory import rounds as closed_form
from gan_jax.theory.toys import dirac, dirac_batch

FLAGS = flags.FLAGS

START = 1.0  # of theta and of psi
NEAR = 0.05  # of the distance at the start; noise keeps a game from coming nearer
GEOMETRIC = 0.5  # of the distance half way: what approaches more slowly has no rate of convergence


class Row(NamedTuple):
  """One game of the table.

  Attributes:
    loss: both players'.
    options: further arguments of `dirac`.
    turns: what the order of turns is made into, an update rule.
    optimizer: what SGD is made into.
    published: whether it converges according to the paper; None where it says nothing.
    batch: examples in a batch; one is as good as many where nothing is drawn.
    bias: whether the discriminator has a constant beside its slope.
  """

  loss: losses.AdversarialLoss
  options: Mapping[str, Any] = MappingProxyType({})
  turns: Callable[..., Any] = lambda turns: turns
  optimizer: Callable[[float], optax.GradientTransformation] = optax.sgd
  published: bool | None = None
  batch: int = 1
  bias: bool = False


def penalty(weight: float, term: Any) -> dict[str, Any]:
  return {"regularizers": {"penalty": (weight, term)}}


def clipped(rate: float) -> optax.GradientTransformation:
  return optax.chain(optax.sgd(rate), clip_weights(1.0))


def r1_and_r2(match: Match) -> Any:
  return regularizers.r1(match) + regularizers.r2(match)


def approximate(match: Match) -> Any:
  terms = regularizers.r1_approximate(), regularizers.r2_approximate().value
  return terms[0](match) + terms[1](match, {})[0]


adamw = functools.partial(optax.adamw, b1=0.0, b2=0.9)
gan, wgan, rpgan = losses.non_saturating, losses.wasserstein, losses.relativistic
PUBLISHED = {"minimax": False, "wasserstein": False, "relativistic": False}
ROWS: dict[str, Row] = {
  **{name: Row(loss, published=PUBLISHED.get(name)) for name, loss in LOSSES.items()},
  "wasserstein clipped to ±1": Row(wgan, optimizer=clipped, published=False),
  "wasserstein + gradient penalty": Row(
    wgan, penalty(1.0, regularizers.gradient_penalty(target=0.3)), published=False
  ),
  "wasserstein + R1": Row(wgan, penalty(1.0, regularizers.r1)),
  "wasserstein + one-sided penalty": Row(
    wgan, penalty(1.0, regularizers.gradient_penalty(target=0.3, one_sided=True))
  ),
  "GAN + R1": Row(gan, penalty(1.0, regularizers.r1), published=True),
  "GAN + R2": Row(gan, penalty(1.0, regularizers.r2), published=True),
  "GAN + R1 + R2": Row(gan, penalty(0.5, r1_and_r2)),
  "relativistic + R1": Row(rpgan, penalty(1.0, regularizers.r1), published=True),
  "relativistic + R1 + R2": Row(rpgan, penalty(0.5, r1_and_r2), published=True),
  "relativistic + approximate R1 + R2": Row(rpgan, penalty(0.5, approximate), batch=64),
  "relativistic + centering": Row(rpgan, penalty(1.0, regularizers.centering)),
  "relativistic + R1 + R2, with bias": Row(rpgan, penalty(0.5, r1_and_r2), bias=True),
  "the same + centering": Row(
    rpgan,
    {"regularizers": {"penalty": (0.5, r1_and_r2), "sum": (0.1, regularizers.centering)}},
    bias=True,
  ),
  "relativistic + R1 + R2, AdamW b1 = 0": Row(rpgan, penalty(0.5, r1_and_r2), optimizer=adamw),
  "GAN + zero-centred penalty": Row(gan, penalty(0.5, regularizers.gradient_penalty(target=0.0))),
  "GAN + gradient penalty": Row(gan, penalty(1.0, regularizers.gradient_penalty())),
  "GAN + DRAGAN": Row(gan, penalty(1.0, regularizers.dragan())),
  "GAN + LeCam": Row(gan, penalty(1.0, regularizers.lecam())),
  "GAN + consistency under jitter": Row(
    gan,
    penalty(1.0, regularizers.consistency(transform=losses.jitter(scale=0.5))),
    batch=1024,
  ),
  "GAN + instance noise": Row(gan, {"views": (gaussian_noise(0.7),)}, published=True, batch=1024),
  "GAN by consensus": Row(
    gan, turns=functools.partial(rules.consensus, weight=1.0), published=True
  ),
  "wasserstein by consensus": Row(wgan, turns=functools.partial(rules.consensus, weight=1.0)),
  "GAN by extragradient": Row(gan, turns=rules.extragradient),
  "wasserstein by extragradient": Row(wgan, turns=rules.extragradient),
  "GAN, optimistic": Row(gan, optimizer=optax.optimistic_gradient_descent),
  "wasserstein, optimistic": Row(wgan, optimizer=optax.optimistic_gradient_descent),
  "GAN, unrolled 5 steps": Row(gan, turns=functools.partial(rules.unrolled, steps=5)),
  "GAN, lookahead 20": Row(
    gan, optimizer=lambda rate: lookahead(optax.sgd(rate), every=20, share=0.5)
  ),
}
ONLY_AT_ONCE = (rules.extragradient, rules.consensus)


class Found(NamedTuple):
  """What became of a game.

  Attributes:
    eigenvalues: of the field at the equilibrium, complex [n]; None where the optimizer remembers.
    paths: trajectories of (psi, theta) by order of turns, [rounds + 1, 2]; of (bias, psi, theta) of
      a discriminator with a bias.
  """

  eigenvalues: np.ndarray | None
  paths: dict[str, np.ndarray]


def main(argv: list[str]) -> None:
  """Plays every game, prints the table and draws the portraits."""
  del argv
  rows = {name: ROWS[name] for name in FLAGS.row}
  out, found = pathlib.Path(FLAGS.out), {}
  out.mkdir(parents=True, exist_ok=True)
  print(HEADER)
  for name, row in rows.items():
    found[name] = study(row, FLAGS.rate, FLAGS.rounds)
    print(line(name, row, found[name]), flush=True)
  verdicts = [(converges(found[n]), row.published) for n, row in rows.items()]
  said = [ours == theirs for ours, theirs in verdicts if theirs is not None]
  print(f"\n{sum(said)} of the {len(said)} verdicts that the paper gives are found here.\n")
  print(critical_table(critical_penalties(FLAGS.rate)))
  print(rounds_table(FLAGS.rate))
  write_json(out / "dynamics.json", {name: numbers(found[name]) for name in rows})
  portraits(out / "portraits.png", found, FLAGS.rate)
  print(f"\nwrote dynamics.json and portraits.png to {out}")


def study(row: Row, rate: float, rounds: int) -> Found:
  """Computes the spectrum at the equilibrium, and plays from (1, 1) in each order of turns."""
  orders = {"simultaneous": simultaneous(), "alternating": alternating()}
  if getattr(row.turns, "func", row.turns) in (rules.extragradient, rules.consensus):
    del orders["alternating"]
  paths = {
    name: path(*at(row, turns, rate, START, START), rounds) for name, turns in orders.items()
  }
  return Found(spectrum(row, rate), paths)


def spectrum(row: Row, rate: float) -> np.ndarray | None:
  """Computes eigenvalues of the field at the equilibrium, in which time is rounds times rate."""
  if row.optimizer not in (optax.sgd, clipped):
    return None
  of_round = dynamics.round_jacobian(*at(row, simultaneous(), rate, 0.0, 0.0))
  return dynamics.eigenvalues((of_round - jnp.eye(len(of_round))) / rate)


def at(row: Row, turns: Any, rate: float, theta: float, psi: float) -> tuple[Game, State, Any]:
  """Builds a game at a point: the game, its state and its data."""
  optimizers = {"discriminator": row.optimizer(rate), "generator": optax.sgd(rate)}
  if row.optimizer is not clipped:
    optimizers["generator"] = row.optimizer(rate)
  turns = row.turns(turns)
  where = {"theta": theta, "psi": psi, "bias": psi if row.bias else None}
  game = dirac(row.loss, optimizers=optimizers, turns=turns, **where, **row.options)
  batch = dirac_batch(minibatches(game), row.batch)
  return game, init(game, jax.random.key(0), batch), batch


def path(game: Game, state: State, batch: Any, rounds: int) -> np.ndarray:
  """Plays rounds and returns every (psi, theta), [rounds + 1, 2]."""
  where = lambda state: dynamics.flatten(game, state)[0]

  @jax.jit
  def play(state: State) -> jax.Array:
    one = lambda state, _: (play_round(game, state, batch)[0], where(state))
    last, before = jax.lax.scan(one, state, length=rounds)
    return jnp.concatenate([before, where(last)[None]])

  return np.asarray(play(state))


def distance(path: np.ndarray, end: float = 1.0) -> float:
  """Measures how far from (0, 0) a path is in the last tenth of a part of it, of 1 at the start."""
  away = np.linalg.norm(path, axis=1)
  last = int(end * len(away))
  return float(away[last - len(away) // 10 : last].mean() / away[0])


def converges(found: Found) -> bool:
  """Checks whether play arrives, or approaches at a rate, in every order of turns."""
  arrives = lambda path: distance(path) < max(NEAR, GEOMETRIC * min(1.0, distance(path, 0.5)))
  return all(arrives(path) for path in found.paths.values())


HEADER = (
  f"{'':35}{'eigenvalues of the field':>28}  {'':10}  {'distance left, of 1':^20}   converges\n"
  f"{'game':35}{'at the equilibrium':>28}  {'':10}  {'at once':>9} {'in turns':>10}   here  paper"
)


def line(name: str, row: Row, found: Found) -> str:
  """Formats a row."""
  mark = {True: "yes", False: "no", None: "-"}
  left = [
    f"{distance(found.paths[order]):.2g}" if order in found.paths else "-"
    for order in ("simultaneous", "alternating")
  ]
  kind = "" if found.eigenvalues is None else dynamics.classify(found.eigenvalues, tolerance=1e-5)
  return (
    f"{name:35}{shown(found.eigenvalues):>28}  {kind:10}  {left[0]:>9} {left[1]:>10}   "
    f"{mark[converges(found)]:>4}  {mark[row.published]:>5}"
  )


def shown(eigenvalues: np.ndarray | None) -> str:
  """Formats eigenvalues; rounding does not decide about a sign of zero."""
  if eigenvalues is None:
    return "-"
  part = lambda x: f"{round(float(x), 3) + 0.0:+.3f}"
  return " ".join(f"{part(v.real)}{part(v.imag)}i" for v in eigenvalues)


def numbers(found: Found) -> dict[str, Any]:
  """Lists what a row says."""
  values = found.eigenvalues
  return {
    "eigenvalues": None if values is None else [[v.real, v.imag] for v in values],
    "distance": {order: distance(path) for order, path in found.paths.items()},
    "converges": converges(found),
  }


def critical_penalties(rate: float) -> dict[float, tuple[np.ndarray | None, float]]:
  """Computes, for weights of R1, the spectrum and the rate at which play approaches (0, 0)."""
  found = {}
  for gamma in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0):
    row = Row(gan, penalty(gamma, regularizers.r1))
    played = path(*at(row, simultaneous(), rate, START, START), 200)
    away = np.linalg.norm(played, axis=1)
    approach = float(np.log(away[100] / away[200]) / (100 * rate))
    found[gamma] = spectrum(row, rate), approach
  return found


def critical_table(found: dict[float, tuple[np.ndarray | None, float]]) -> str:
  """Formats them: below the critical weight it spirals in, above it creeps."""
  lines = [
    "GAN + R1 near its critical weight, which is 1 (lemma 4.1):",
    f"{'weight':>6}{'eigenvalues':>30}{'approach, 1/time':>20}",
  ]
  lines += [f"{gamma:6.2f}{shown(v):>30}{rate:20.3f}" for gamma, (v, rate) in found.items()]
  return "\n".join(lines)


def rounds_table(rate: float) -> str:
  """Formats which weights of R1 are stable at this rate, and radii of rounds that are played."""
  lines = [
    f"\nGAN + R1, rounds at rate {rate:g} (gan_jax/theory/rounds.py):",
    f"{'order':10}{'stable for':>24}{'critical':>10}{'radius':>9}{'played':>9}",
  ]
  for name, turns in (("at once", simultaneous()), ("in turns", alternating())):
    order = {"alternating": name == "in turns"}
    low, high = closed_form.stable_weights(rate, **order)
    weight = closed_form.critical_weight(rate, **order)
    radius = closed_form.spectral_radius(closed_form.round_matrix(rate, weight, **order))
    found = at(Row(gan, penalty(weight, regularizers.r1)), turns, rate, 0.0, 0.0)
    played = closed_form.spectral_radius(dynamics.round_jacobian(*found))
    lines.append(f"{name:10}{low:10.4f} < γ < {high:7.3f}{weight:10.4f}{radius:9.4f}{played:9.4f}")
  optimistic = closed_form.spectral_radius(closed_form.optimistic_eigenvalues(rate))
  lines.append(f"wasserstein, optimistic: radius {optimistic:.5f}; stable below 0.577, best at 0.5")
  return "\n".join(lines)


PORTRAITS = {
  "non_saturating": "GAN",
  "wasserstein": "WGAN",
  "wasserstein clipped to ±1": "WGAN, clipped",
  "wasserstein + gradient penalty": "WGAN-GP",
  "GAN + R1": "GAN + R1",
  "GAN + R2": "GAN + R2",
  "GAN + instance noise": "GAN + instance noise",
  "GAN by consensus": "consensus",
  "GAN by extragradient": "extragradient",
  "GAN, optimistic": "optimistic",
  "GAN, unrolled 5 steps": "unrolled",
  "GAN, lookahead 20": "lookahead",
}
REACH = 2.2  # of the axes


def portraits(file: pathlib.Path, found: dict[str, Found], rate: float) -> None:
  """Draws fields of simultaneous gradient descent and the trajectories through them."""
  drawn = {}
  for name, title in PORTRAITS.items():
    if name in found:
      verdict = "converges" if converges(found[name]) else "does not"
      paths = {order: path[:, ::-1] for order, path in found[name].paths.items()}  # to (theta, psi)
      drawn[f"{title}: {verdict}"] = plots.PhasePortrait(paths, field_of(ROWS[name], rate))
  if drawn:
    plots.save(plots.phase_portraits(drawn, reach=REACH, columns=4), file, dpi=110)


def field_of(row: Row, rate: float) -> plots.Field:
  """Computes velocities of (theta, psi) on a grid."""
  ticks = np.linspace(-2, 2, 13, dtype=np.float32)
  game, state, batch = at(row, simultaneous(), rate, 0.0, 0.0)
  velocity = dynamics.field(game, state, jax.tree.map(lambda x: x[0], batch))
  places = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1)
  return plots.Field(ticks, ticks, jax.jit(jax.vmap(jax.vmap(velocity)))(places)[..., ::-1])


def define_flags() -> None:
  """Defines the flags of this command; not on import, since flags of absl are global."""
  flags.DEFINE_string("out", "runs/dynamics", "Folder for the table, its numbers and the figures.")
  flags.DEFINE_integer("rounds", 1000, "Rounds of a trajectory.", lower_bound=100)
  flags.DEFINE_float("rate", 0.1, "Learning rate of both players.", lower_bound=0.0)
  flags.DEFINE_multi_enum("row", list(ROWS), list(ROWS), "Games to play; may be repeated.")


if __name__ == "__main__":
  define_flags()
  app.run(main)
