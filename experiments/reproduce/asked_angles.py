"""Whether samples have the angle that they were asked for: of the circle, and of turned digits.

  python -m experiments.reproduce.asked_angles circle RUN
  python -m experiments.reproduce.asked_angles digits RUN --out=angles.png

Of the circle (experiments/conditional_ring.py) the angle of the mean of 100 samples is compared
with the angle asked for, at 360 angles, of which none is in the training data. Of digits
(experiments/rotated_digits.py) a convolutional network reads the angle; it is trained here on real
digits that are turned anew in every epoch, and its error on turned digits of the test split stands
beside. The picture has a row for each latent, and from left to right angles from -60 to 60 degrees.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

import gan_jax as gj
from experiments import conditional_ring, rotated_digits
from gan_jax import plots
from gan_jax.plots.png import save_png

EACH = 100
EPOCHS, BATCH = 12, 100


def wrapped(angle: np.ndarray) -> np.ndarray:
  """Returns angles in radians between -π and π."""
  return np.angle(np.exp(1j * angle))


def circle(run) -> None:
  """Prints the error at angles a third and two thirds of the way between those of the data."""
  step = 2 * np.pi / 360
  asked = conditional_ring.ANGLES[:, None] + np.array([1, 1.5, 2]) * step
  asked = asked.reshape(-1)
  condition = np.stack([np.cos(asked), np.sin(asked)], axis=1)
  x = run.sample(len(asked) * EACH, labels=np.repeat(condition, EACH, axis=0))
  x = x.reshape(len(asked), EACH, 2)
  mean = x.mean(axis=1)
  error = np.abs(wrapped(np.arctan2(mean[:, 1], mean[:, 0]) - asked))
  print(f"angle of the mean: off by {error.mean():.4f} rad on average, {error.max():.4f} at most")
  print(f"deviation of samples {x.std(axis=1).mean():.4f}, of the data {conditional_ring.STD}")


class Regressor(nn.Module):
  """Reads an angle, in units of `rotated_digits.MOST`, in images."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps images [B, H, W, 1] from 0 to 1 to angles [B]."""
    for width in (16, 32, 64):
      x = nn.relu(nn.Conv(width, (3, 3))(x))
      x = nn.max_pool(x, (2, 2), strides=(2, 2))
    x = nn.relu(nn.Dense(64)(x.reshape(len(x), -1)))
    return nn.Dense(1)(x)[:, 0]


def trained_regressor():
  """Trains the regressor on digits turned at random; returns images uint8 -> angles."""
  images = gj.data.take(gj.data.load("mnist10k"))["x"]
  net, rng = Regressor(), np.random.default_rng(0)
  params = net.init(jax.random.key(0), jnp.zeros((1, *images.shape[1:])))
  steps = EPOCHS * len(images) // BATCH
  optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, steps))
  opt = optimizer.init(params)

  @jax.jit
  def step(params, opt, x, y):
    loss = lambda params: jnp.mean((net.apply(params, x / 255.0) - y) ** 2)
    updates, opt = optimizer.update(jax.grad(loss)(params), opt)
    return optax.apply_updates(params, updates), opt

  for _ in range(EPOCHS):
    y = rng.uniform(-1, 1, len(images)).astype(np.float32)
    x = rotated_digits.rotated(images, rotated_digits.MOST * y)
    for part in np.split(rng.permutation(len(images)), len(images) // BATCH):
      params, opt = step(params, opt, x[part].astype(np.float32), y[part])
  read = jax.jit(lambda x: net.apply(params, x / 255.0))
  return lambda x: np.concatenate([read(part.astype(np.float32)) for part in np.split(x, 20)])


def digits(run, out: pathlib.Path | None) -> None:
  """Prints how far the angles that are read in samples are from those that were asked for."""
  read, n = trained_regressor(), 2000
  test = gj.data.take(run.experiment.held_out)
  asked = np.random.default_rng(2).uniform(-1, 1, (n, 1)).astype(np.float32)
  samples = run.sample(n, labels=asked)
  for name, x, y in (("test digits", test["x"][:n], test["y"][:n]), ("samples", samples, asked)):
    error = rotated_digits.MOST * (read(x) - y[:, 0])
    correlation = np.corrcoef(read(x), y[:, 0])[0, 1]
    print(f"{name}: {np.abs(error).mean():.1f} degrees off on average, r = {correlation:.3f}")
  if out:
    rows, columns = 8, 9
    z = np.repeat(run.sampler.latents(rows), columns, axis=0)
    y = np.tile(np.linspace(-1, 1, columns, dtype=np.float32), rows)[:, None]
    x = run.sampler.generate(run.state, z, labels=y)
    save_png(out, plots.picture(x, columns=columns), "from left to right: -60 to 60 degrees")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("what", choices=("circle", "digits"))
  parser.add_argument("run", type=pathlib.Path)
  parser.add_argument("--out", type=pathlib.Path)
  flags = parser.parse_args()
  run = gj.load(flags.run)
  if flags.what == "circle":
    circle(run)
  else:
    digits(run, flags.out)


if __name__ == "__main__":
  main()
