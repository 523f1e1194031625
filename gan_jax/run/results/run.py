"""A run at one of its checkpoints: sampled, and its samples written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.checks import shown
from gan_jax.data import take
from gan_jax.data.example import Example
from gan_jax.files import save_arrays
from gan_jax.game.core import Game, State
from gan_jax.game.random import make_key
from gan_jax.game.standing import standing_statistics
from gan_jax.plots import picture, sequences
from gan_jax.plots.png import save_images, save_png
from gan_jax.run.evaluation.sampling import CompiledSampler, by_class, row_of_class
from gan_jax.run.experiment import Experiment

if TYPE_CHECKING:
  from gan_jax.run.results.folder import RunFolder

STEPS = 10  # of an interpolation
STEPS_OF_TRANSLATION = ("image", "translation", "and that back again")


class Run(NamedTuple):
  """A run at one of its checkpoints.

  Attributes:
    folder: folder of the run, which all of its checkpoints share.
    state: state of the checkpoint.
    checkpoint: choice of the checkpoint: "last", "best", or a round.
  """

  folder: "RunFolder"
  state: State
  checkpoint: str

  @property
  def config(self) -> ConfigDict:
    """The config that the run was started with."""
    return self.folder.config

  @property
  def example(self) -> Example:
    """Shape, classes and pixel range of the data."""
    return self.folder.example

  @property
  def game(self) -> Game:
    """The game."""
    return self.folder.game

  @property
  def sampler(self) -> CompiledSampler:
    """Draws from the game; `run.sample(n)` does so from this state."""
    return self.folder.sampler

  @property
  def experiment(self) -> Experiment:
    """The experiment, which opens the data when it is first asked for."""
    return self.folder.experiment

  def standing(self, batches: int, ema: bool = True, *, seed: int = 0) -> "Run":
    """Returns the run with standing statistics of so many batches; with 0 as it is.

    Args:
      batches: number of batches, of the size of those in training.
      ema: whether the statistics are those of the averaged generator.
      seed: seed of the latents and the labels, which are uniform over classes.

    Raises:
      ValueError: of a run that does not sample from latents.
    """
    if not batches:
      return self
    size, labels = self.config.batch_size, self.labels(batches * self.config.batch_size, seed)
    if labels is not None:
      labels = np.random.default_rng(seed).permutation(labels)
    options = {"batches": batches, "batch_size": size, "labels": labels, "ema": ema}
    options |= {"sampler": self.folder.sampler_name}
    state = standing_statistics(self.game, self.state, make_key(seed), **options)
    return self._replace(state=state)

  def sample(
    self,
    n: int = 64,
    *,
    seed: int = 0,
    labels: np.ndarray | None = None,
    ema: bool = True,
    truncation: float | None = None,
  ) -> np.ndarray:
    """Draws n examples.

    Args:
      n: number of examples.
      seed: the first m of n examples are the m examples of the same seed.
      labels: [n] for a conditional game, names of classes, or their places from 0, by default class
        by class; or vectors [n, d], by default some of the data, which are opened.
      ema: whether to use the averaged generator.
      truncation: bound on the entries of normal latents, or psi of styles; see
        `CompiledSampler.truncated`.

    Returns:
      examples [n, ...] in the type of the data, points as float32.

    Raises:
      ValueError: n < 1, classes that there are not, or truncation that there cannot be.
    """
    if n < 1:
      raise ValueError(f"n is {n}: expected how many examples to draw, at least 1")
    labels = self.labels(n, seed) if labels is None else self._checked(labels, n)
    return self.sampler(self.state, n, seed=seed, labels=labels, ema=ema, truncation=truncation)

  def _checked(self, labels: Any, n: int) -> np.ndarray:
    """Returns the places of classes that are given by name or by place; or vectors as they are."""
    places, example = np.asarray(labels), self.sampler.example
    if example.condition_dim is not None:
      if places.shape != (n, example.condition_dim) or places.dtype.kind not in "biuf":
        raise ValueError(
          f"labels are {shown(labels)}: expected a vector for each example, float"
          f" [{n}, {example.condition_dim}]"
        )
      return places.astype(np.float32)
    if places.dtype.kind == "U":
      places = example.labels(places.tolist())
    classes = len(example.classes)
    if (
      places.shape != (n,)
      or places.dtype.kind not in "iu"
      or not np.isin(places, range(classes)).all()
    ):
      raise ValueError(
        f"labels are {shown(labels)}: expected {n} names of classes, or places from 0 below"
        f" {classes}, one for each example"
      )
    return places

  def sweep(
    self,
    bounds: Sequence[float],
    columns: int = 10,
    *,
    seed: int = 0,
    labels: np.ndarray | None = None,
    ema: bool = True,
  ) -> np.ndarray:
    """Draws the same latents under several truncations, a row each: [rows * columns, ...]."""
    draw = lambda bound: self.sample(columns, seed=seed, labels=labels, ema=ema, truncation=bound)
    return np.concatenate([draw(bound) for bound in bounds])

  def save_samples(
    self,
    n: int,
    *,
    png: str | None = None,
    npz: str | None = None,
    folder: str | None = None,
    seed: int = 0,
    ema: bool = True,
    interpolate: bool = False,
    truncation: Sequence[float] = (),
    classes: Sequence[str] = (),
  ) -> list[str]:
    """Draws examples and writes them as a picture, as arrays, as files of their own.

    Args:
      n: number of examples; interpolated, they are walks of ten.
      png: file of a picture; class by class when conditional, as its description says.
      npz: file of arrays x, and when conditional y, as the labels of the data are, and class_names
        if these are text.
      folder: folder of a PNG of each, by class when conditional; see `plots.png.save_images`.
      seed: seed of the latents.
      ema: whether to use the averaged generator.
      interpolate: whether to walk between latents, a row each.
      truncation: bound on the entries of normal latents; of several bounds each makes a row of ten.
      classes: names, or numbers, of those to draw from; by default all of a conditional game.

    Returns:
      The paths written.
    """
    self._check_drawable(bool(folder), interpolate, bool(truncation))
    if self.sampler.translates:
      return self._save_translations(n, png=png, npz=npz, folder=folder, seed=seed, ema=ema)
    labels: np.ndarray | None = None
    columns: int | None = STEPS
    example = self.sampler.example
    chosen = example.labels(classes) if classes else np.arange(example.num_classes or 0)
    spread = lambda n: chosen[by_class(n, len(chosen))] if len(chosen) else self.labels(n, seed)
    if interpolate:
      rows = max(1, n // STEPS)
      of = chosen[np.arange(rows) % len(chosen)] if len(chosen) else self.labels(rows, seed)
      x = self.sampler.interpolate(self.state, rows, STEPS, seed=seed, labels=of, ema=ema)
    elif len(truncation) > 1:
      x = self.sweep(truncation, STEPS, seed=seed, labels=spread(STEPS), ema=ema)
    else:
      labels = spread(n)
      bound = truncation[0] if truncation else None
      x = self.sample(n, seed=seed, labels=labels, ema=ema, truncation=bound)
      columns = row_of_class(n, len(chosen)) if len(chosen) else None
    if png:
      named = ", ".join(classes or example.classes)
      about = [example.not_shown, f"class by class: {named}" if named else ""]
      shown = picture(self.sampler.shown(x), columns=columns)
      save_png(png, shown, "; ".join(filter(None, about)))
    if npz:
      save_arrays(npz, {"x": x} if labels is None else {"x": x, **example.written(labels)})
    if folder:
      of_class = labels.tolist() if labels is not None and example.classes else []
      save_images(folder, x, [example.classes[i] for i in of_class] or None)
    return [path for path in (png, npz, folder) if path]

  def _check_drawable(self, folder: bool, interpolate: bool, truncate: bool) -> None:
    """Refuses files of images of other data, and walks and bounds that there are not."""
    example = self.sampler.example
    if folder and example.pixel_range is None:
      raise ValueError(
        f"examples of {self.config.data} are points, and no images: a picture of them is"
        " --out=FILE.png, arrays are --npz=FILE.npz"
      )
    if folder and example.not_shown:
      raise ValueError(f"{example.not_shown}: write arrays, --npz=FILE.npz")
    if interpolate and truncate:
      raise ValueError("an interpolation is not truncated: ask for one or the other")
    if self.sampler.translates and (interpolate or truncate):
      raise ValueError(
        "a translator starts from images and not from latents: leave out --interpolate and"
        " --truncation"
      )

  def _save_translations(
    self, n: int, *, png: str | None, npz: str | None, folder: str | None, seed: int, ema: bool
  ) -> list[str]:
    """Writes translations of images of the data, in the picture beside these and the way back."""
    steps = self.sampler.translations(self.state, self.sampler.latents(n, seed), ema=ema)
    if png:
      save_png(
        png,
        sequences([*map(self.sampler.shown, steps)]),
        f"from left to right: {', '.join(STEPS_OF_TRANSLATION[: len(steps)])}",
      )
    if npz:
      save_arrays(npz, {"x": steps[1], "inputs": steps[0]})
    if folder:
      save_images(folder, steps[1])
    return [path for path in (png, npz, folder) if path]

  def labels(self, n: int, seed: int = 0) -> np.ndarray | None:
    """Lists n labels class by class, or vectors of the data; None for an unconditional game."""
    example = self.sampler.example
    if example.condition_dim is None:
      return None if example.num_classes is None else by_class(n, example.num_classes)
    source = self.experiment.batches.source
    y = take(source, min(n, source.size or n), seed)["y"]
    return y[np.arange(n) % len(y)]
