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
# # Beyond two players
#
# Two generators of one step, both written in cells. The first has no opponent: its samples follow
# a field, which is checked against its closed form before anything is trained. The second has one
# as usual, and a term that says which of all maps to the data it should be; on a line the best map
# is known, so that both can be compared with it.

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
from jax.scipy.special import logsumexp
from scipy.special import ndtr, ndtri

import gan_jax as gj

gj.keep_programs()  # compiled programs, in ~/.cache/gan_jax; without this line none are kept

SEEDS, ROUNDS, BATCH = 2, 1500, 256  # of the drift; for results to keep: 10, 20_000 and 1024
FLOW_SEEDS, FLOW_ROUNDS, FLOW_BATCH = 4, 1600, 128  # of the flow
LOOKS = 5

# %% [markdown]
# ## 1. A field instead of a discriminator
#
# Drifting (2026, [arXiv:2602.04770](https://arxiv.org/abs/2602.04770)) moves a sample $x$ to the
# data around it, and off the samples around it. With a kernel $k$ of bandwidth $h$, data $p$ and
# samples $q$,
#
# $$V_{pq}(x) = \frac{\mathbb{E}_{y \sim p}\, k(x, y)\, y}{\mathbb{E}_{y \sim p}\, k(x, y)}
# - \frac{\mathbb{E}_{y \sim q}\, k(x, y)\, y}{\mathbb{E}_{y \sim q}\, k(x, y)},$$
#
# and where $q = p$ nothing moves. That is all there is of it:


# %%
def mean_shift(x, points, h):
  """From x [n, 2] to the mean of points [m, 2], weighted by a Gaussian kernel around x."""
  square = jnp.sum((x[:, None] - points[None]) ** 2, axis=-1)
  return jax.nn.softmax(-square / (2 * h**2), axis=1) @ points - x


def field(x, data, fakes, h):
  """Attraction to the data, less that to the fakes."""
  return mean_shift(x, data, h) - mean_shift(x, fakes, h)


# %% [markdown]
# ## 2. What the field is
#
# The gradient of $\log \mathbb{E}_{y} k(x, y)$ is the mean shift over $h^2$. So with this kernel
# $V / h^2$ is a difference of two scores, those of data and fakes, both smoothed by the kernel
# ([arXiv:2603.09936](https://arxiv.org/abs/2603.09936)). Of Gaussians these are known in closed
# form, and we need not believe the cell above. First what holds for any points: $V_{pq} = -V_{qp}$,
# and $V_{pp} = 0$.

# %%
ring = gj.data.Mixture(gj.data.RING8.centers, std=0.05)  # p
blob = gj.data.Mixture(np.array([[0.3, 0.0]], np.float32), std=0.6)  # q
WIDTHS, KEYS = np.array([0.05, 0.3, 1.0], np.float32), jax.random.split(jax.random.key(0), 8)


def draw(key, mixture, n):
  mode, noise = jax.random.split(key)
  centers = jax.random.choice(mode, mixture.centers, (n,))
  return centers + mixture.std * jax.random.normal(noise, centers.shape)


p, q, x = (draw(*of) for of in zip(KEYS[:3], (ring, blob, blob), (256, 256, 64), strict=True))
for h in WIDTHS:
  odd, zero = field(x, p, q, h) + field(x, q, p, h), field(x, p, p, h)
  print(f"h = {h:.2f}: largest |V_pq + V_qp| = {abs(odd).max()}, |V_pp| = {abs(zero).max()}")
  assert (odd == 0).all() and (zero == 0).all()

# %% [markdown]
# Then the closed form. A bandwidth below the distance between modes sees the mode that is nearest
# and the shape of it, and not how many samples each mode has; a large one sees that alone.


# %%
def log_density(x, mixture, h):
  """Of the mixture, smoothed by a Gaussian of deviation h, but for a constant: x [2]."""
  square = jnp.sum((x - mixture.centers) ** 2, axis=1)
  return logsumexp(-square / (2 * (mixture.std**2 + h**2)))


def exact(x, p, q, h):
  score = lambda mixture: jax.vmap(jax.grad(lambda x: log_density(x, mixture, h)))(x)
  return h**2 * (score(p) - score(q))


ticks = np.linspace(-1.5, 1.5, 16)
places = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
with gj.plots.style("light"):
  figure, panels = gj.plots.panels([f"V, h = {h:.2f}" for h in WIDTHS], size=(2.7, 2.9))
  for h, axes in zip(WIDTHS, panels.values(), strict=True):
    axes.scatter(*np.asarray(p).T, s=9, color=gj.plots.BLUE, alpha=0.35, label="data", linewidths=0)
    axes.scatter(*np.asarray(q).T, s=4, color=gj.plots.ORANGE, alpha=0.5, label="fakes")
    v = exact(places, ring, blob, h)
    axes.quiver(
      *places.T, *v.T, angles="xy", scale_units="xy", scale=2, color="#404040", width=0.004
    )
    axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xticks=[], yticks=[], aspect="equal")
  gj.plots.legend(figure, markerscale=2)
figure

# %% [markdown]
# A batch has other points than the law. What is left of V at $p = q$ is noise, which falls with the
# square root of the batch size, and so does the error of a field that is wide enough. That of a
# narrow one does not: between data and fakes the nearest point of a batch decides, and more points
# are slow to change which that is.

# %%
SIZES = 4 ** np.arange(3, 7)


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None))
@functools.partial(jax.vmap, in_axes=(None, 0))
def errors(key, h):
  """Root mean squares at 64 fakes, of batches of each size."""
  laws = (ring, ring, ring, blob, blob)
  draws = [draw(*of, SIZES[-1]) for of in zip(jax.random.split(key, 5), laws, strict=True)]
  size = lambda v: jnp.sqrt(jnp.mean(v**2))
  of_size = lambda p, fakes, others, q, x: {
    "V less its closed form": size(field(x[:64], p, q, h) - exact(x[:64], ring, blob, h)),
    "V at p = q": size(field(fakes[:64], p, others, h)),
  }
  return [of_size(*(points[:n] for points in draws)) for n in SIZES]


found = jax.tree.map(lambda *x: np.array(x), *errors(KEYS, WIDTHS))  # [sizes, keys, widths]
gj.plots.curves(
  {title: {f"h = {h:.2f}": e[..., i] for i, h in enumerate(WIDTHS)} for title, e in found.items()},
  np.log2(SIZES),
  log=list(found),
  xlabel="log₂ of the batch size",
)

# %%
wide = {title: e[..., WIDTHS >= 0.3].mean(axis=(1, 2)) for title, e in found.items()}
power = {title: np.polyfit(np.log(SIZES), np.log(e), 1)[0] for title, e in wide.items()}
print("of the wide ones:", *(f"{title} falls as n^{slope:.2f}," for title, slope in power.items()))
assert all(-0.65 < slope < -0.35 for slope in power.values())

# %% [markdown]
# ## 3. A game of one player
#
# A generator follows: its loss is the squared distance of its samples from where the field would
# move them, a target without gradient. A game is a value, and one of one player is made of the same
# parts as any other: what is computed of a batch, the loss, who owns which network, whose turn it
# is. The fakes that repel are drawn anew, so that no sample is pushed off itself. The bandwidth is
# a function of the clock, and falls from one number to another by half of the rounds.

# %%
net, latent = gj.nets.MLPGenerator(shape=(2,), hidden=(128, 128, 128)), gj.latents.normal(16)


def generate(params, carried, z, labels):
  return net.apply({"params": params["generator"]}, z, train=False)


def first(key, batch):
  z = latent(jax.random.split(key, len(batch["x"])))
  return {"generator": net.init(key, z, train=False)["params"]}, {}


def forward(params, carried, batch, context):
  latents = lambda key: latent(context.example_keys(key, len(batch["x"])))
  fakes, others = (
    generate(params, {}, latents(key), None) for key in jax.random.split(context.key)
  )
  return (batch["x"], fakes, others), {}


def drift(begin, end):
  def value(points, params, carried, context):
    data, fakes, others = points
    x, others = jax.lax.stop_gradient((fakes, others))
    h = begin * (end / begin) ** jnp.minimum(2 * context.clock.round / ROUNDS, 1)
    v = field(x, data, others, h)
    loss = jnp.mean(jnp.sum((fakes - (x + v)) ** 2, axis=1))
    return loss, ({}, {"length of V": jnp.sqrt(jnp.mean(v**2))})

  objective = gj.game.Objective(forward, value)
  return gj.Game(
    init=first,
    samplers={"generator": gj.Sampler(generate, lambda key, n: latent(jax.random.split(key, n)))},
    players={"generator": gj.Player(("generator",), objective, optax.adam(1e-3))},
    turns=(gj.Turn(("generator",)),),
  )


# %% [markdown]
# So it is trained as any other is. Three plans of the bandwidth, of a few seeds each, are members
# of one population, which plays in one program.

# %%
PLANS = {"narrow, 0.05": (0.05, 0.05), "wide, 0.3": (0.3, 0.3), "from 0.5 to 0.05": (0.5, 0.05)}
begin, end = np.repeat(list(PLANS.values()), SEEDS, axis=0).T
people = gj.population.Population(
  lambda numbers: drift(**numbers),
  np.tile(np.arange(SEEDS), len(PLANS)),
  {"begin": begin, "end": end},
)
batches = gj.data.Batches(gj.data.mixture_source("ring", ring), batch_size=BATCH, seed=0)
start, rounds, seen = gj.population.start(people, batches), [], []
for at, states, metrics in gj.population.play(
  people, batches, start, rounds=ROUNDS, every=ROUNDS // LOOKS
):
  points = gj.population.samples(people, states, 1000)
  scores = [gj.metrics.mode_coverage(x, *ring) for x in points]
  rounds.append(at)
  seen.append(
    {
      "share within 3 deviations of a mode": [score["high_quality"] for score in scores],
      "KL over modes": [score["kl"] for score in scores],
      "length of V": metrics["length of V"].mean(axis=0),
    }
  )

of_plan = lambda values: np.reshape(values, (-1, len(PLANS), SEEDS))  # [looks, plans, seeds]
drifted = {name: of_plan([look[name] for look in seen]) for name in seen[0]}
gj.plots.curves(
  {name: {plan: values[:, i] for i, plan in enumerate(PLANS)} for name, values in drifted.items()},
  rounds,
)

# %% [markdown]
# The narrow field puts samples onto modes at once, and to many on the few that were nearest to its
# start; those stay empty that no sample is near. The wide one shares them out, and leaves them
# around the modes, since it does not see how narrow these are. One that is wide first and narrow
# then does both. The length of V does not tell which is best: for most of the time that of the
# narrow field is the least.

# %%
gj.plots.scatter_density(
  {plan: points[i * SEEDS] for i, plan in enumerate(PLANS)},
  real=gj.data.take(batches.source, 1000)["x"],
  limits=((-1.6, 1.6), (-1.6, 1.6)),
  size=2.6,
)

# %% [markdown]
# ## 4. An adversarial flow
#
# A GAN asks that the law of $G(z)$ be that of the data, and does not ask which $z$ goes where. An
# adversarial flow model (Lin et al. 2025, [arXiv:2511.22475](https://arxiv.org/abs/2511.22475))
# asks for the map of least transport as well, and so has one solution and not many. In one step,
# from noise of the data's own shape, it is the game of two players with a term more; the penalties
# are R1 and R2 by finite differences, and the logits of a pair are centred, as there.


# %%
def transport(match):
  """How far the generator carries each latent, squared: [B]."""
  return jnp.mean((match.fake - match.latents) ** 2, axis=1)


def flow(weight):
  r1, r2 = (
    penalty(convention="afm", epsilon=0.01)
    for penalty in (gj.regularizers.r1_approximate, gj.regularizers.r2_approximate)
  )
  return gj.two_player(
    gj.nets.MLPGenerator(shape=(1,), hidden=(64, 64, 64)),
    gj.nets.MLPDiscriminator(hidden=(64, 64, 64)),
    loss=gj.losses.LOSSES["relativistic"],
    latent=gj.latents.normal(1),
    regularizers={
      "r1": (0.01, r1),
      "r2": (0.01, r2),
      "centering": (0.01, gj.regularizers.centering),
    },
    generator_regularizers={
      "transport": (lambda clock: weight * (1 - clock.round / FLOW_ROUNDS), transport)
    },
    optimizers={p: optax.adam(1e-3, b1=0.0, b2=0.9) for p in ("discriminator", "generator")},
    averages={"generator": gj.schedules.decay(0.99)},
  )


# %% [markdown]
# On a line the map of least transport is known: it is the one that is monotone, $F_p^{-1}(F_q(z))$
# with the distribution functions of data and noise. The Wasserstein distance to the data, W2,
# compares samples in their order, and the distance to the optimal map compares them where they are;
# where both are equal, all that is wrong is the law.

# %%
WEIGHTS = {"without transport": 0.0, "with transport": 0.1}
z = ndtri((np.arange(2000) + 0.5) / 2000)  # quantiles of N(0, 1)
x = np.linspace(-2, 2, 40_001)
line = gj.data.LINE4  # four Gaussians
distribution = ndtr((x[:, None] - line.centers[:, 0]) / line.std).mean(axis=1)
best = np.interp(ndtr(z), distribution, x)
size = lambda v: np.sqrt(np.mean(v**2, axis=-1))

people = gj.population.Population(
  lambda numbers: flow(**numbers),
  np.tile(np.arange(FLOW_SEEDS), len(WEIGHTS)),
  {"weight": np.repeat([*WEIGHTS.values()], FLOW_SEEDS)},
)
batches = gj.data.Batches(gj.data.load("line4"), batch_size=FLOW_BATCH, seed=0)
inputs = jnp.asarray(z[:, None], jnp.float32)
carry = jax.jit(
  jax.vmap(lambda state: gj.sample(flow(0.0), state, KEYS[0], len(z), inputs=inputs)[:, 0])
)
start, rounds, seen = gj.population.start(people, batches), [], []
for at, states, _ in gj.population.play(
  people, batches, start, rounds=FLOW_ROUNDS, every=FLOW_ROUNDS // LOOKS
):
  maps = np.asarray(carry(states), np.float64)  # [members, latents]
  rounds.append(at)
  seen.append([size(np.sort(maps) - best), size(maps - best)])

carried = np.reshape(seen, (LOOKS, 2, len(WEIGHTS), FLOW_SEEDS))
gj.plots.curves(
  {
    title: {name: carried[:, i, j] for j, name in enumerate(WEIGHTS)}
    for i, title in enumerate(("W2 to the data", "distance to the optimal map"))
  },
  rounds,
  log=["distance to the optimal map"],
)

# %% [markdown]
# Where the law alone is asked for, it is up to the seed which map comes out; with transport, seeds
# agree. The steps between the modes are the steep parts, which take longest.

# %%
gj.plots.curves(
  {
    name: {
      **{f"seed {seed}": maps[i * FLOW_SEEDS + seed] for seed in range(FLOW_SEEDS)},
      "optimal": best,
    }
    for i, name in enumerate(WEIGHTS)
  },
  z,
  xlabel="noise",
)

# %% [markdown]
# ## 5. What came of it

# %%
share, kl = (drifted[name][-1].mean(axis=1) for name in list(drifted)[:2])
shared = [f"{100 * share[i]:.0f}% of its samples on modes, KL {kl[i]:.2f}" for i in range(3)]
(w2, off), between = carried[-1], lambda x: f"{x.min():.2f} to {x.max():.2f}"
print(
  f"On the ring one player ends with {shared[2]} where the bandwidth falls, with {shared[0]} where "
  f"it is narrow, and with {shared[1]} where it is wide (means of {SEEDS} seeds); on the line a "
  f"flow ends {between(off[1])} from the optimal map with transport and {between(off[0])} without "
  f"it, at {between(w2[1])} and {between(w2[0])} from the data ({FLOW_SEEDS} seeds)."
)
assert kl[2] < kl[0] and share[2] > share[1]
assert 2 * off[1].max() < off[0].max()

# %% [markdown]
# ## For results to keep
#
# Raise the numbers in the cell of imports. In configs these are the kinds of game `drift`, which
# has the published fields and monitors of a start that is stuck, and `adversarial_flow`, of one
# step or several, with the published normalisation of the gradient: `experiments/ring_drift.py`
# and `experiments/flow_1d.py` are trained by `gan_jax train --config=...`.
