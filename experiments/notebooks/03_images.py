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
# # Ablating a loss on images
#
# The same on digits: three losses, one of them written here, with a small DCGAN, two seeds each,
# scored by the classifier that comes with the package. 10,000 real digits of MNIST are bundled, so
# nothing is downloaded.

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

SEEDS, ROUNDS, LOOKS, WIDTH = 2, 400, 4, 8  # for results to keep: 5, 10_000, 10 and 32

# %% [markdown]
# ## 1. Digits, and what a score of them means
#
# Fakes are compared with the 2,000 test digits by the Fréchet distance of a classifier's features;
# beside it stand the classes that the classifier sees among them, and how unevenly. What real
# training digits score is the best that there is to reach.

# %%
train, test = gj.data.load("mnist10k"), gj.data.load("mnist10k", "test")
evaluator = gj.evaluator_for(train, test, num_fake=500)
score = lambda images: evaluator(lambda n, seed: {"x": images})
real = score(gj.data.take(train, 500)["x"])
print("500 training digits:", {name: round(value, 3) for name, value in real.items()})
gj.plots.image_grids({"data": gj.data.take(train, 36)["x"]}, in_row=12, size=4.5)

# %% [markdown]
# ## 2. Three games that differ in a value

# %%
sigmoid, softplus = jax.nn.sigmoid, jax.nn.softplus

LOSSES = {
  "focal": gj.AdversarialLoss(  # the cross-entropy, weighed by the square of an example's error
    discriminator=lambda a, b: sigmoid(-a) ** 2 * softplus(-a) + sigmoid(b) ** 2 * softplus(b),
    generator=lambda a, b: softplus(-b),
  ),
  "non_saturating": gj.losses.non_saturating,
  "hinge": gj.losses.hinge,
}


def game(loss, numbers):
  return gj.two_player(
    gj.nets.DCGANGenerator(shape=train.shape, width=WIDTH),
    gj.nets.DCGANDiscriminator(width=WIDTH, norm="none"),
    loss=loss,
    regularizers={"r1": (0.3, gj.regularizers.r1)},
    optimizers={p: optax.adam(2e-3, b1=0.0, b2=0.99) for p in ("discriminator", "generator")},
    latent=gj.latents.normal(32),
    averages={"generator": gj.schedules.decay(0.98)},
  )


# %% [markdown]
# ## 3. Play
#
# `vmap` over seeds is one argument, `at_once`: all that fit at once on a GPU or TPU, one after the
# other on a CPU, where a convolution of many networks at once is slow. The numbers are the same.

# %%
batches = gj.data.Batches(train, batch_size=32, seed=0)
at_once = 1 if jax.default_backend() == "cpu" else None
seen = {name: {what: [] for what in real} for name in LOSSES}
images = {name: [] for name in LOSSES}
people = {
  name: gj.population.Population(functools.partial(game, loss), seeds=np.arange(SEEDS))
  for name, loss in LOSSES.items()
}
first = gj.population.start(people["focal"], batches)
draw = functools.partial(gj.population.samples, people["focal"], n=500)  # as all have one generator

with tqdm(total=len(LOSSES) * LOOKS) as bar:
  for name in LOSSES:
    bar.set_description(name)
    state = jax.tree.map(jnp.copy, first)  # as playing gives it away
    several = {"rounds": ROUNDS, "every": ROUNDS // LOOKS, "at_once": at_once}
    for _, states, _ in gj.population.play(people[name], batches, state, **several):
      drawn = [gj.data.to_uint8(x) for x in draw(states)]
      images[name].append(drawn[0][:25])
      scores = [score(x) for x in drawn]
      for what, values in seen[name].items():
        values.append([found[what] for found in scores])
      bar.update()

# %% [markdown]
# Lines are means over seeds, bands their standard errors; dashed is what real digits score.

# %%
titles = {
  "frechet_distance": "Fréchet distance",
  "classes": "classes of 10",
  "class_kl": "KL of classes",
}
gj.plots.curves(
  {title: {name: np.array(seen[name][what]) for name in LOSSES} for what, title in titles.items()},
  ROUNDS // LOOKS * (1 + np.arange(LOOKS)),
  log=["Fréchet distance"],
  lines={title: ("training digits", real[what]) for what, title in titles.items()},
)

# %% [markdown]
# The first seed of each, from the first look to the last, of the same latents.

# %%
gj.plots.image_grids(
  {
    f"{name}, round {ROUNDS // LOOKS * (look + 1)}": images[name][look]
    for name in LOSSES
    for look in (0, LOOKS // 2, LOOKS - 1)
  },
  columns=3,
  size=2,
)

# %%
gj.plots.animation(
  (
    gj.plots.image_grids({name: shown[look] for name, shown in images.items()}, size=1.6)
    for look in range(LOOKS)
  ),
  seconds=0.6,
)

# %%
distance = {name: np.mean(seen[name]["frechet_distance"], axis=1) for name in LOSSES}
print({name: f"{far[0]:.1f} -> {far[-1]:.1f}" for name, far in distance.items()})
assert all(far[-1] < far[0] / 2 for far in distance.values())

# %% [markdown]
# ## For results to keep
#
# Raise the sizes in the cell of imports, and `num_fake` to 2,000 or more: with 500 fakes the
# distance is biased upwards, alike for all. The default run of the package, `launch/run`, is this
# game at four times the width and batches of 64, for 9,000 rounds; its config,
# `experiments/mnist_dcgan.py`, says what it scores. On other images, see `04_your_own.ipynb`.
