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
# # From the payoff to −log 4
#
# Two players. The discriminator says of every $x$ how likely it is to be data, $D(x)$; the
# generator makes the fakes. Goodfellow et al. 2014
# ([arXiv:1406.2661](https://arxiv.org/abs/1406.2661)) let them play for
#
# $$V(D, G) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{x \sim q} \log(1 - D(x)),$$
#
# which $D$ raises and $G$ lowers, $p$ being the density of the data and $q$ that of the fakes.
# Below, every statement about this game is computed, with the functions that the losses of this
# library are tested against. Nothing is drawn by hand: change a number in a cell and run it
# again.

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
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gan_jax as gj

gj.keep_programs()  # compiled programs, in ~/.cache/gan_jax; without this line none are kept

x = np.linspace(-9, 9, 901)
dx = x[1] - x[0]


def bell(mean, std):
  return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


p = 0.5 * bell(-1.5, 0.6) + 0.5 * bell(1.5, 0.8)  # the data
q = bell(0.5, 1.2)  # a generator that is not there yet

# %% [markdown]
# ## 1. The best discriminator
#
# For a fixed generator, each point is a little problem of its own: $p \log D + q \log(1 - D)$ is
# highest at $D^* = p/(p+q)$. As logits, which is what the networks of this library give, that is
# $\log p/q$. We need not believe it: give $D$ a free logit at every point and let it climb.

# %%
value = lambda logits: gj.theory.value(logits, jnp.asarray(p * dx), jnp.asarray(q * dx))
adam = optax.adam(0.1)


@jax.jit
def climb(logits, memory):
  slope = jax.grad(lambda logits: -value(logits))(logits)
  updates, memory = adam.update(slope, memory)
  return optax.apply_updates(logits, updates), memory


logits = jnp.zeros(len(x))
memory, seen = adam.init(logits), {}
for step in range(401):
  if step in (0, 10, 40, 400):
    seen[step] = np.asarray(logits)
  logits, memory = climb(logits, memory)

best = gj.theory.OPTIMA["minimax"].logits(p, q)
sigmoid = lambda v: 1 / (1 + np.exp(-v))
gj.plots.discriminator_curves(
  {
    f"D after {step} steps": gj.plots.DiscriminatorPlot(
      x, p, q, {"D*": sigmoid(best), "D": sigmoid(found)}
    )
    for step, found in seen.items()
  },
  limits=(-6, 6),
)

# %%
error = np.sum((p + q) / 2 * dx * np.abs(sigmoid(seen[400]) - sigmoid(best)))
print(f"mean |D - D*| = {error:.5f}")
assert error < 0.01

# %% [markdown]
# ## 2. What the game is then worth
#
# With $D^*$ the value is $-\log 4 + 2\,\mathrm{JSD}(p, q)$: a constant and a distance. Slide the
# fakes across the data and compare the two sides. The value touches $-\log 4 = -1.386$ where $p =
# q$, and nowhere else.

# %%
shifts = np.linspace(-4, 4, 81)
base = bell(0.0, 1.0)
worth, distance = [], []
for shift in shifts:
  fakes = bell(shift, 1.0)
  worth.append(
    gj.theory.value(gj.theory.OPTIMA["minimax"].logits(base, fakes), base * dx, fakes * dx)
  )
  distance.append(gj.theory.jensen_shannon(base, fakes, dx))
worth, distance = np.array(worth), np.array(distance)

low = ("−log 4", -math.log(4))
gj.plots.curves(
  {
    "V(D*, G), computed": {"": worth},
    "−log 4 + 2 JSD(p, q)": {"": -math.log(4) + 2 * distance},
  },
  shifts,
  xlabel="mean of the fakes; that of the data is 0",
  lines={"V(D*, G), computed": low, "−log 4 + 2 JSD(p, q)": low},
)

# %%
print(f"lowest value {worth.min():.6f}, -log 4 = {-math.log(4):.6f}")
assert np.abs(worth - (-math.log(4) + 2 * distance)).max() < 1e-3

# %% [markdown]
# ## 3. Two losses with one fixed point, and two gradients
#
# Far out in that picture the curve is flat: where $D$ is sure, sliding the fakes changes nothing.
# On the side of the logit $b = D(G(z))$ this is the slope of the generator's loss. For the
# zero-sum loss it is $\sigma(b)$, which vanishes where fakes are recognised, $b \ll 0$. For the
# *non-saturating* loss it is $1 - \sigma(b)$, which is largest there.

# %%
b = jnp.linspace(-8, 8, 161)
sides = {
  name: gj.losses.LOSSES[name].generator
  for name in ("minimax", "non_saturating", "least_squares", "wasserstein")
}
slope = lambda side: jax.vmap(jax.grad(lambda v: side(0.0, v)))(b)
figure = gj.plots.curves(
  {
    "what G minimises": {name: side(jnp.zeros_like(b), b) for name, side in sides.items()},
    "its slope": {name: slope(side) for name, side in sides.items()},
  },
  b,
  xlabel="logit of a fake",
)
figure.axes[0].set_ylim(-8, 8)
figure.axes[1].set_ylim(-3, 1.5)
figure

# %% [markdown]
# ## 4. Other losses measure other distances
#
# Every loss of the table has its own best logits, and at these its own divergence. Here each is
# the loss at its optimum, as the fakes slide, scaled to lie between 0 (its lowest) and 1 (its
# highest): all of them are lowest at $p = q$. They differ in how they look far away.

# %%
reached = {}
for name in ("minimax", "least_squares", "hinge", "f_gan_squared_hellinger", "f_gan_kl"):
  optimum = gj.theory.OPTIMA[name]
  worst = np.array([-optimum.loss(base * dx, bell(shift, 1.0) * dx) for shift in shifts])
  reached[name] = (worst - worst.min()) / np.ptp(worst)
transport = np.array([gj.theory.wasserstein(base * dx, bell(s, 1.0) * dx, x) for s in shifts])
reached["wasserstein (W₁)"] = transport / transport.max()
gj.plots.curves(
  {"divergence, scaled": reached},
  shifts,
  xlabel="mean of the fakes; that of the data is 0",
  size=(7, 3),
)

# %% [markdown]
# ## 5. Does play get there?
#
# A theorem about the optimum says nothing about how two players move. In the Dirac-GAN all data
# are at 0, the one fake at $\theta$, and $D(x) = \psi x$ (Mescheder et al. 2018,
# [arXiv:1801.04406](https://arxiv.org/abs/1801.04406)). The eigenvalues of the game's field at
# $(0, 0)$ are imaginary, so the players go round; R1 moves them to the left, and they arrive.

# %%
portraits = {}
sgd = {"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)}
for title, terms in {
  "no penalty": {},
  "R1, weight 0.3": {"r1": (0.3, gj.regularizers.r1)},
  "R1, weight 1": {"r1": (1.0, gj.regularizers.r1)},
}.items():
  make = functools.partial(
    gj.theory.toys.dirac, gj.losses.minimax, optimizers=sgd, regularizers=terms
  )
  batch = gj.theory.toys.dirac_batch()
  still = make(turns=gj.turns.simultaneous(), theta=0.0, psi=0.0)
  state = gj.init(still, jax.random.key(0), batch)
  found = gj.theory.dynamics.eigenvalues(
    gj.theory.dynamics.jacobian(still, state, {"x": batch["x"][0]})
  )
  game = make(turns=gj.turns.simultaneous())
  step = lambda state, _, game=game, batch=batch: (
    gj.play_round(game, state, batch)[0],
    state.params,
  )
  _, path = jax.lax.scan(step, gj.init(game, jax.random.key(0), batch), length=300)
  places = np.stack([path["generator"]["theta"], path["discriminator"]["psi"]], axis=-1)
  portraits[f"{title}: {gj.theory.dynamics.classify(found, 1e-5)}"] = gj.plots.PhasePortrait(
    {"": places}
  )
  print(f"{title:16} eigenvalues {np.round(found, 3)}")

# %%
gj.plots.phase_portraits(portraits)

# %% [markdown]
# ## 6. All of it at once
#
# A network as discriminator, a generator whose density is known exactly, and Algorithm 1: $k$
# moves of $D$ on fresh data and noise, then one of $G$. Every round of it is the library's one
# step, `play_round`. As $G$ learns, $D$ goes to ½ and $V$ to $-\log 4$.

# %%
K, ROUNDS, BATCH = 120, 30, 512
truth = gj.theory.densities.Mixture(mean=(-1.5, 1.3), std=(0.5, 0.8), weight=0.57)
generator = gj.theory.densities.Mixture(mean=(-0.2, 2.2), std=(0.7, 0.7))
discriminator = gj.nets.MLPDiscriminator(hidden=(64, 64), activation="gelu")
within = optax.cosine_decay_schedule(0.01, K)
game = gj.two_player(
  generator,
  discriminator,
  loss=gj.losses.minimax,
  optimizers={
    "discriminator": optax.adam(lambda moves: within(moves % K)),
    "generator": optax.adam(optax.cosine_decay_schedule(0.2, ROUNDS), b1=0.5, b2=0.9),
  },
  latent=gj.latents.uniform(1),
  turns=gj.turns.alternating(K),
)
variables = truth.init(jax.random.key(0), jnp.zeros((1, 1)), train=False)
points = jnp.asarray(x, jnp.float32)[:, None]
density = lambda net, params: net.apply({"params": params}, points, method="log_density")


@jax.jit
def play(state):
  z = game.sampler().inputs(jax.random.fold_in(state.key, 10_000 + state.round), K * BATCH)
  data = truth.apply(variables, z, train=False).reshape(K, BATCH, 1)
  return gj.play_round(game, state, {"x": data})[0]


@jax.jit
def look(discriminator_params, generator_params):
  logits = discriminator.apply({"params": discriminator_params}, points, train=False)
  return logits, density(truth, variables["params"]), density(generator, generator_params)


state = gj.init(game, jax.random.key(1), {"x": jnp.zeros((K, BATCH, 1))})
frames = []
for _ in range(ROUNDS):
  before = state.params["generator"]
  state = play(state)
  frames.append([np.asarray(a, np.float64) for a in look(state.params["discriminator"], before)])

shown, worths = (
  {},
  [
    gj.theory.value(logits, np.exp(log_p) * dx, np.exp(log_q) * dx)
    for logits, log_p, log_q in frames
  ],
)
for index in (0, 3, 12, ROUNDS - 1):
  logits, log_p, log_q = frames[index]
  seen = {"D*": sigmoid(log_p - log_q), "D": sigmoid(logits)}
  title = f"round {index}: V = {worths[index]:.3f}"
  shown[title] = gj.plots.DiscriminatorPlot(x, np.exp(log_p), np.exp(log_q), seen)
gj.plots.discriminator_curves(shown, limits=(-4, 4))

# %%
worth = worths[-1]
print(f"V at the end {worth:.4f}, -log 4 = {-math.log(4):.4f}")
assert abs(worth + math.log(4)) < 0.02

# %% [markdown]
# Longer, in two dimensions as well, with its goals stated and checked: `python -m
# experiments.optimal_discriminator`. All losses, penalties and update rules in the Dirac-GAN:
# `python -m experiments.dynamics`.
