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
# # Your images, your network, your regularizer
#
# Nothing of the package is edited here. A folder of images, a generator written in a cell, and a
# penalty written in a cell become a run like any other: with checkpoints, curves, scores and their
# card, and it can be sampled and resumed by name.

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
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from PIL import Image, ImageDraw

import gan_jax as gj

gj.keep_programs()  # compiled programs, in ~/.cache/gan_jax; without this line none are kept

SIZE, COUNT, ROUNDS = 16, 400, 600
temporary = tempfile.TemporaryDirectory()  # goes when the kernel ends; name a folder to keep a run
FOLDER = pathlib.Path(temporary.name)

# %% [markdown]
# ## 1. A folder of images
#
# Yours goes here: PNG, JPEG and others, of any sizes; `image_size` crops and resizes them. Folders
# in it are classes, and `train/` and `test/` are splits. These are made up: rings and bars of
# random colours and places.


# %%
def paint(rng, kind):
  """One image of a kind, drawn at four times the size and made smaller."""
  image = Image.new("RGB", (4 * SIZE, 4 * SIZE), "black")
  draw, color = ImageDraw.Draw(image), tuple(rng.integers(100, 256, 3).tolist())
  x, y = rng.integers(18, 4 * SIZE - 18, 2).tolist()
  if kind == "ring":
    draw.ellipse((x - 15, y - 15, x + 15, y + 15), outline=color, width=7)
  else:
    draw.rectangle((x - 17, y - 6, x + 17, y + 6), fill=color)
  return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


rng = np.random.default_rng(0)
for split, count in (("train", COUNT), ("test", COUNT // 2)):
  for kind in ("bar", "ring"):
    (FOLDER / "images" / split / kind).mkdir(parents=True)
    for i in range(count // 2):
      paint(rng, kind).save(FOLDER / "images" / split / kind / f"{i:04}.png")

source = gj.data.load(f"folder:{FOLDER}/images")
print(f"{source.size} images of {source.shape} pixels, {source.num_classes} classes")
gj.plots.image_grids({"data": gj.data.take(source, 40)["x"]}, in_row=10, size=4)

# %% [markdown]
# ## 2. A network
#
# Any flax module that maps latents to examples. This one is asked for each pixel on its own: from
# where it is and the latent it makes a colour (Stanley 2007 called such networks CPPNs). Its name
# goes into the table of networks, and from there into configs.


# %%
class PixelByPixel(nn.Module):
  """Maps z [B, d] to images [B, H, W, C] in [-1, 1], each pixel from its place and z alone."""

  shape: tuple[int, ...]
  hidden: int = 64
  num_classes: int | None = None

  @nn.compact
  def __call__(self, z, y=None, *, train):
    height, width, channels = self.shape
    ticks = [jnp.linspace(-1, 1, n) for n in (height, width)]
    place = jnp.stack(jnp.meshgrid(*ticks, indexing="ij"), axis=-1)  # [H, W, 2]
    where = nn.Dense(self.hidden)(jnp.concatenate([place, place**2], axis=-1))
    bend = nn.Dense(4 * self.hidden)(z).reshape(len(z), 1, 1, 4, self.hidden)
    scale, shift, *turn = jnp.moveaxis(bend, -2, 0)
    moved = where[None] * (1 + scale) + shift + place[..., :1] * turn[0] + place[..., 1:] * turn[1]
    x = jnp.sin(nn.Dense(self.hidden)(jnp.sin(moved)))
    x = nn.leaky_relu(nn.Dense(self.hidden)(x))
    return jnp.tanh(nn.Dense(channels)(x))


gj.nets.NETWORKS["pixel_by_pixel"] = PixelByPixel

# %% [markdown]
# ## 3. A regularizer
#
# A function of a `Match`, what the discriminator has just seen, to a number for each example. This
# one hides a random patch of every real image and asks that the discriminator not mind. Each
# example has its own key, so that the numbers do not depend on how a batch is split over devices.


# %%
def occlusion(patch: int = 5):
  """(D(x) - D(x with a gray patch))², at real examples."""

  def hide(key, x):
    corner = jax.random.randint(key, (2,), 0, x.shape[0] - patch)
    return jax.lax.dynamic_update_slice(x, jnp.zeros((patch, patch, x.shape[2])), (*corner, 0))

  def term(match):
    hidden = jax.vmap(hide)(match.keys, match.real)
    return (match.real_logits - match.discriminator(hidden)) ** 2

  return term


gj.regularizers.REGULARIZERS["occlusion"] = occlusion

# %% [markdown]
# ## 4. Train
#
# From here on it is a config, as on the command line: a mistyped name lists the valid ones, yours
# among them. Scores need something that looks at the images. `"classifier"` trains a network on
# your classes, `"inception:FILE"` reads InceptionV3 from the file that pytorch-fid publishes; a
# random projection of the pixels, as here, needs neither labels nor files, and is good for
# comparing runs on the same images and for nothing else.

# %%
config = gj.config.default_config()
config.data = f"folder:{FOLDER}/images"
config.batch_size, config.rounds = 32, ROUNDS
config.latent.dim = 16
config.generator = gj.config.network("pixel_by_pixel", hidden=48)
config.discriminator = gj.config.network("mlp_discriminator", hidden=(256, 128))
config.regularizers.r1 = 0.3
config.regularizers.occlusion = 0.1
config.optimizers.discriminator = gj.config.optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
config.optimizers.generator = gj.config.optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
config.average.decay = 0.98
config.evaluation = {
  "features": "random_projection",
  "metrics": ("prdc", "frechet"),
  "real": "test",
}
config.num_fake = COUNT // 2
config.sample_every = config.evaluate_every = config.checkpoint_every = ROUNDS // 4
config.log_every = ROUNDS // 20
config.num_samples = 40

summary = gj.fit(gj.build(config), FOLDER / "run")

# %% [markdown]
# ## 5. What came of it
#
# A run's folder has it all: rows of numbers, checkpoints, samples, `curves.png`, and in
# `summary.json` the scores beside the versions and the machine they were made with. Started again
# with more rounds, `fit` goes on from the last checkpoint.

# %%
rows = gj.read_rows(FOLDER / "run")
series = lambda name: tuple(np.array([(r["round"], r[name]) for r in rows if name in r]).T)
gj.plots.curves(
  {
    "Fréchet distance to test images": {"": series("score/frechet_distance")},
    "share": {name: series(f"score/{name}") for name in ("precision", "recall", "coverage")},
    "terms of D's loss": {
      name: series(f"discriminator/{name}") for name in ("adversarial", "r1", "occlusion")
    },
  },
  log=["terms of D's loss"],
)

# %%
print({name: score["last"] for name, score in summary["scores"].items()})
runs = {
  f"round {at}": gj.load(FOLDER / "run", at=at) for at in (ROUNDS // 2, 3 * ROUNDS // 4, ROUNDS)
}
last = runs[f"round {ROUNDS}"]
shown = {title: run.sample(36) for title, run in runs.items()}
gj.plots.image_grids({**shown, "data": gj.data.take(source, 36)["x"]})

# %% [markdown]
# A walk between latents shows whether the generator has learned the shapes or the images.

# %%
walk = last.sampler.interpolate(last.state, 4, 12)
gj.plots.image_grids({"": walk}, in_row=12, size=5)

# %%
distance = series("score/frechet_distance")[1]
assert distance[-1] < distance[0] / 2, distance

# %% [markdown]
# ## For results to keep
#
# Raise `COUNT` to all images that you have, `ROUNDS` to tens of thousands and `SIZE` to 32, 64 or
# 128, with `dcgan` or `sngan` networks; `num_fake` to 10,000 or more. Put the two definitions into
# a file that defines `get_config()` as well, and the same run is
# `gan_jax train --config=FILE.py --workdir=runs/mine`.
