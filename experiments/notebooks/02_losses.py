# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ablating a loss by hand
#
# A new loss, written in a cell, against five known ones: the slope it leaves the generator when the
# discriminator is sure, and what becomes of it on a ring of eight Gaussians, with and without a
# penalty, over several seeds. A game is data and a round is a pure function, so all seeds and
# weights of one loss play in one compiled program.

# %%
# On Colab, a TPU VM or any fresh machine: installs the package, and does nothing where it is there.
import importlib.util
import subprocess
import sys

SOURCE = "../.."  # a clone of the repository, or "git+https://..." of one
EXTRAS = "notebooks"  # "notebooks,tpu" on a bare TPU VM, "notebooks,cuda" beside an NVIDIA GPU
if importlib.util.find_spec("gan_jax") is None:
  wanted = f"{SOURCE}[{EXTRAS}]" if SOURCE[0] in "./" else f"gan_jax[{EXTRAS}] @ {SOURCE}"
  subprocess.run([sys.executable, "-m", "pip", "install", "-q", wanted], check=True)

# %%
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

import gan_jax as gj

gj.keep_programs()  # compiled programs, in ~/.cache/gan_jax; without this line none are kept

SEEDS, ROUNDS, LOOKS = 3, 800, 8  # for results to keep: 10, 10_000 and 20
R1, MOVES = (0.0, 0.1), 300

# %% [markdown]
# ## 1. A loss is two functions of logits
#
# Of the logits of real examples and of fakes, to what each player minimises, example by example.
# The idea to try: a discriminator that spends little on what it already tells apart will be less
# sure of itself, and leave the generator more to go by. The focal loss (Lin et al. 2017,
# [arXiv:1708.02002](https://arxiv.org/abs/1708.02002)), made for detecting objects, weighs the
# cross-entropy of an example by the square of its error.

# %%
sigmoid, softplus = jax.nn.sigmoid, jax.nn.softplus

focal = gj.AdversarialLoss(
  discriminator=lambda a, b: sigmoid(-a) ** 2 * softplus(-a) + sigmoid(b) ** 2 * softplus(b),
  generator=lambda a, b: softplus(-b),
  probability=True,  # logits are log-odds to it, so D(x) is shown
)

known = ("minimax", "non_saturating", "least_squares", "hinge", "relativistic")
LOSSES = {"focal": focal, **{name: gj.losses.LOSSES[name] for name in known}}

# %% [markdown]
# ## 2. What the generator is left with when D is sure
#
# On paper it is the slope of the generator's loss in the logit of a fake. At D(G(z)) near 0, that
# of `minimax` is gone, and those of the others are not. Lines lie on each other: `focal` leaves the
# generator's side of `non_saturating` as it is, and beside a real logit of 0 that of `relativistic`
# is the same.

# %%
logits = jnp.linspace(-7, 7, 141)
slope = lambda loss: jax.vmap(jax.grad(lambda b: loss.generator(0.0, b)))(logits)
slopes = {name: np.abs(slope(loss)) for name, loss in LOSSES.items()}
gj.plots.curves(
  {"|slope| of the generator's loss": slopes},
  sigmoid(logits),
  log=["|slope| of the generator's loss"],
  xlabel="D(G(z)), what D takes a fake for",
  size=(6, 3),
)

# %% [markdown]
# In play it is a gradient of networks. Here the generator stands still while D learns to tell its
# fakes apart, and after every move of D the generator's gradient is taken. `minimax` and
# `non_saturating` have one D, so that their gradients can be compared; that of `focal` is another.


# %%
def game(loss, r1=None):
  return gj.two_player(
    gj.nets.MLPGenerator(shape=(2,), hidden=(64, 64)),
    gj.nets.MLPDiscriminator(hidden=(64, 64)),
    loss=loss,
    regularizers={} if r1 is None else {"r1": (r1, gj.regularizers.r1)},
    optimizers={p: optax.adam(2e-3, b1=0.0, b2=0.99) for p in ("discriminator", "generator")},
    latent=gj.latents.normal(8),
    averages={"generator": gj.schedules.decay(0.99)},
  )


ring = gj.data.Mixture(gj.data.RING8.centers, std=0.05)
batches = gj.data.Batches(gj.data.mixture_source("ring", ring), batch_size=64, seed=0)


def learn_and_look(loss, state, t):
  """One move of D, then what the generator's gradient is."""
  playing, batch = game(loss), batches.at({}, t)
  only_d = playing._replace(turns=(gj.Turn(("discriminator",)),))
  state, metrics = gj.play_round(only_d, state, jax.tree.map(lambda x: x[None], batch))
  context = gj.game.StepContext(jax.random.fold_in(state.key, t), state.clock, None)
  own = {"generator": playing.players["generator"]}
  found, _ = gj.game.gradients(own, state.params, state.carried, batch, context)
  return state, (metrics["D_fake"], optax.tree.norm(found))


@jax.jit
def stand_still(state):
  look = lambda name: functools.partial(learn_and_look, LOSSES[name])
  return {name: jax.lax.scan(look(name), state, jnp.arange(MOVES))[1] for name in COMPARED}


COMPARED = ("focal", "minimax", "non_saturating")
found = stand_still(gj.init(game(focal), jax.random.key(0), batches.spec(1)))
d_fake, norms = ({name: found[name][i] for name in COMPARED} for i in range(2))
gj.plots.curves(
  {"D(G(z))": d_fake, "norm of the generator's gradient": norms},
  log=["norm of the generator's gradient", "D(G(z))"],
  xlabel="moves of D, the generator standing still",
  size=(4.5, 3),
)

# %%
for name in COMPARED:
  sure, norm = (float(np.mean(x[name][-MOVES // 10 :])) for x in (d_fake, norms))
  print(f"{name:15} D(G(z)) = {sure:.3f}, norm of the generator's gradient {norm:.2f}")

# %% [markdown]
# ## 3. Play
#
# A `Population` is seeds and numbers of one game. The weight of R1 is a number, so the seeds with
# and without the penalty are members of one population; another loss is another program. All
# losses start from the same networks and see the same data.

# %%
seeds, weights = np.tile(np.arange(SEEDS), len(R1)), np.repeat(R1, SEEDS)
seen = {name: {"high quality": [], "KL over modes": [], "G's gradient": []} for name in LOSSES}
points = {name: [] for name in LOSSES}
make = lambda loss, numbers: game(loss, **numbers)
people = {
  name: gj.population.Population(functools.partial(make, loss), seeds, {"r1": weights})
  for name, loss in LOSSES.items()
}
first = gj.population.start(people["focal"], batches)
draw = functools.partial(
  gj.population.samples, people["focal"], n=1000
)  # as all have one generator

with tqdm(total=len(LOSSES) * LOOKS) as bar:
  for name in LOSSES:
    bar.set_description(name)
    state = jax.tree.map(jnp.copy, first)  # as playing gives it away
    several = {"rounds": ROUNDS, "every": ROUNDS // LOOKS}
    for _, states, metrics in gj.population.play(people[name], batches, state, **several):
      points[name].append(draw(states))
      scores = [gj.metrics.mode_coverage(x, *ring) for x in points[name][-1]]
      seen[name]["high quality"].append([score["high_quality"] for score in scores])
      seen[name]["KL over modes"].append([score["kl"] for score in scores])
      seen[name]["G's gradient"].append(metrics["generator/gradient_norm"].mean(axis=0))
      bar.update()

# %% [markdown]
# Lines are means over seeds, bands their standard errors. Samples within three standard deviations
# of a mode are of high quality; the KL divergence says how unevenly these lie over the modes.

# %%
members = {
  f"R1 {weight}" if weight else "no penalty": slice(i * SEEDS, (i + 1) * SEEDS)
  for i, weight in enumerate(R1)
}
panels = {
  f"{what}, {title}": {name: np.array(seen[name][what])[:, which] for name in LOSSES}
  for title, which in members.items()
  for what in seen["focal"]
}
rounds = ROUNDS // LOOKS * (1 + np.arange(LOOKS))
gj.plots.curves(panels, rounds, log=[title for title in panels if "gradient" in title], columns=3)

# %% [markdown]
# The end of it as a matrix: means, and their 95% bootstrap intervals over seeds.

# %%
last = np.array([seen[name]["high quality"][-1] for name in LOSSES]).reshape(
  len(LOSSES), len(R1), SEEDS
)
estimate = gj.ablation.outcomes.estimate
mean, _, low, high = np.moveaxis(np.apply_along_axis(estimate, -1, last), -1, 0)
gj.plots.matrix(
  mean,
  low,
  high,
  rows=list(LOSSES),
  columns=list(members),
  title=f"share of high quality after {ROUNDS} rounds, {SEEDS} seeds",
)

# %% [markdown]
# ## 4. Where the samples are
#
# The first seed of each, at the end; and two of them as they move.

# %%
truth = gj.data.take(batches.source, 1000)["x"]
final = {
  f"{name}\n{title}": points[name][-1][which.start]
  for title, which in members.items()
  for name in LOSSES
}
gj.plots.scatter_density(final, real=truth, columns=len(LOSSES), size=1.9)

# %%
gj.plots.animation(
  gj.plots.scatter_density(
    {f"{name}, {round}": points[name][look][SEEDS] for name in ("focal", "non_saturating")},
    real=truth,
    limits=((-1.6, 1.6), (-1.6, 1.6)),
    size=2,
  )
  for look, round in enumerate(rounds)
)

# %%
order = np.argsort(mean[:, 0])
print("without a penalty, from the least:", *(list(LOSSES)[i] for i in order))
assert np.isfinite(mean).all() and list(LOSSES)[order[0]] == "minimax"

# %% [markdown]
# ## For results to keep
#
# Sizes are such that a change is tried in a minute; so few seeds and rounds do not tell two good
# losses apart, and where bands overlap nothing has been shown. Raise `SEEDS`, `ROUNDS` and `LOOKS`
# in the cell of imports. A grid of losses and penalties with paired tests over seeds, that can be
# stopped and resumed, is one command:
# `gan_jax ablate --config=experiments/ablations/losses_ring.py --workdir=runs/losses_ring`. To keep
# the new loss, add its value and its line of `LOSSES` to `gan_jax/losses/adversarial.py`; the tests
# of all losses then hold it to their contract.
