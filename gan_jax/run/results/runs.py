"""Runs as they lie in their folders: load one, sample from it, compare its config.

import gan_jax as gj

run = gj.load("runs/mnist_dcgan")
images = run.sample(64)
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.checks import shown
from gan_jax.files import save_arrays
from gan_jax.game.core import Game, State, minibatches
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.plots import picture
from gan_jax.plots.png import save_images, save_png
from gan_jax.run.config.config import complete
from gan_jax.run.config.register import check_registered
from gan_jax.run.config.roles import EVALUATION, PLACE, is_of_scores, is_place
from gan_jax.run.config.sections.two_player import build_game, is_standard_normal
from gan_jax.run.config.stored import read_run
from gan_jax.run.evaluation.sampling import Sampler, by_class, row_of_class
from gan_jax.run.experiment import Experiment, assemble
from gan_jax.run.results.same_run import check_same_data
from gan_jax.run.training.saving.checkpoint import BEST, Checkpoints

STEPS = 10  # of an interpolation
NOTHING = "{} has no checkpoint yet; train it first, or wait for one"
NO_BEST = "{} has no best checkpoint: training keeps one if config.evaluate_every > 0"
FOLDERS: dict[int | str, str] = {"last": "checkpoints", "best": BEST}  # where their checkpoints are


class RunFolder:
  """A run as it lies in its folder: each part is built once, when it is first asked for.

  Attributes:
    workdir: the folder.
    config: complete config that the run was started with.
    example: shape, classes and pixel range of the data.
  """

  def __init__(self, workdir: str | pathlib.Path, changes: Mapping[str, Any] | None = None):
    """Reads the config.

    Args:
      workdir: the folder.
      changes: {dotted key of the config: value}, for its experiment: how the run is scored, or
        where its data have moved to.

    Raises:
      FileNotFoundError: if there is no run.
      ValueError: if something of the run is not registered here, or a key would change the run.
    """
    self.workdir = pathlib.Path(workdir)
    config, self.example = read_run(self.workdir)
    check_registered(self.workdir)
    self.config = complete(config)
    self._changes = dict(changes or {})
    for key in self._changes:
      if not (is_of_scores(key) or is_place(key)):
        expected = ", ".join(f"--config.{name}" for name in EVALUATION + PLACE)
        raise ValueError(f"config.{key} would change the run itself; expected one of: {expected}")

  @functools.cached_property
  def game(self) -> Game:
    """The game, which needs no data."""
    with self._damage():
      return build_game(self.config, self.example)

  @functools.cached_property
  def shapes(self) -> State:
    """Shapes of the state, if there is room for such a state here."""
    with self._damage():
      batch = self.example.batch(max(1, minibatches(self.game)), self.config.batch_size)
      shapes = jax.eval_shape(lambda: init(self.game, make_key(0), batch))
      size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    if size > (memory := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
      raise ValueError(
        f"{self.workdir / 'config.json'} is of a game whose state has {size} bytes, and this"
        f" machine has {memory}"
      )
    return shapes

  @contextlib.contextmanager
  def _damage(self) -> Iterator[None]:
    """Raises errors that no checked config brings about as those of a damaged file."""
    try:
      yield
    except (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
      path = self.workdir / "config.json"
      raise ValueError(f"{path} makes no game ({error}); restore it from a copy") from error

  @functools.cached_property
  def sampler(self) -> Sampler:
    """Draws from the game, given a state."""
    return Sampler(self.game, self.example)

  @functools.cached_property
  def experiment(self) -> Experiment:
    """The experiment that scores the run; it opens the data.

    Raises:
      ValueError: data that are not those that the run was trained on.
      FileNotFoundError: if the data are not there.
    """
    config = self.config.copy_and_resolve_references()
    config.update_from_flattened_dict(self._changes)
    config.evaluate_every = 0  # these scores choose no checkpoint
    experiment = rebuilt(config, self.workdir, self.game)
    if moved := [
      f"  --config.{key} is {value} here" for key, value in self._changes.items() if is_place(key)
    ]:
      check_same_data(experiment, self.workdir, moved)
    return experiment

  def restore(self, at: int | str = "last") -> "Run":
    """Restores a checkpoint; arguments and errors as of `load`."""
    folder, round = _checkpoint_folder(self.workdir, at)
    try:
      state = _restore(folder, self.shapes, round)
    except (ValueError, OSError):  # training may have put another in its place while it was read
      state = _restore(folder, self.shapes, round)
    if state is None:
      raise FileNotFoundError((NO_BEST if at == "best" else NOTHING).format(self.workdir))
    return Run(self, state, str(at))


class Run(NamedTuple):
  """A run at one of its checkpoints.

  Attributes:
    folder: folder of the run, which all of its checkpoints share.
    state: state of the checkpoint.
    checkpoint: choice of the checkpoint: "last", "best", or a round.
  """

  folder: RunFolder
  state: State
  checkpoint: str

  @property
  def config(self) -> ConfigDict:
    """The config that the run was started with."""
    return self.folder.config

  @property
  def game(self) -> Game:
    """The game."""
    return self.folder.game

  @property
  def sampler(self) -> Sampler:
    """Draws from the game; `run.sample(n)` does so from this state."""
    return self.folder.sampler

  @property
  def experiment(self) -> Experiment:
    """The experiment, which opens the data when it is first asked for."""
    return self.folder.experiment

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
      labels: [n] for a conditional game, names of classes, or their places from 0; by default class
        by class.
      ema: whether to use the averaged generator.
      truncation: bound on the entries of normal latents; see `latents.truncate_normal`.

    Returns:
      uint8 [n, H, W, C] images, or float32 [n, d] points.

    Raises:
      ValueError: n < 1, classes that there are not, or truncation of latents that are not normal.
    """
    if n < 1:
      raise ValueError(f"n is {n}: expected how many examples to draw, at least 1")
    labels = self.labels(n) if labels is None else self._class_indices(labels, n)
    check_truncation(self.config, truncation)
    return self.sampler(self.state, n, seed=seed, labels=labels, ema=ema, truncation=truncation)

  def _class_indices(self, labels: Any, n: int) -> np.ndarray:
    """Returns the places of classes that are given by name or by place."""
    places, example = np.asarray(labels), self.sampler.example
    if places.dtype.kind == "U":
      places = example.class_places(places.tolist())
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
    labels: np.ndarray | None = None
    columns: int | None = STEPS
    example = self.sampler.example
    chosen = example.class_places(classes) if classes else np.arange(example.num_classes or 0)
    if folder and example.pixel_range is None:
      raise ValueError(
        f"examples of {self.config.data} are points, and no images: a picture of them is"
        " --out=FILE.png, arrays are --npz=FILE.npz"
      )
    if interpolate and truncation:
      raise ValueError("an interpolation is not truncated: ask for one or the other")
    if interpolate:
      rows = max(1, n // STEPS)
      of = np.resize(chosen, rows) if len(chosen) else None
      x = self.sampler.interpolate(self.state, rows, STEPS, seed=seed, labels=of, ema=ema)
    elif len(truncation) > 1:
      of = chosen[by_class(STEPS, len(chosen))] if len(chosen) else None
      x = self.sweep(truncation, STEPS, seed=seed, labels=of, ema=ema)
    else:
      labels = chosen[by_class(n, len(chosen))] if len(chosen) else None
      bound = truncation[0] if truncation else None
      x = self.sample(n, seed=seed, labels=labels, ema=ema, truncation=bound)
      columns = None if labels is None else row_of_class(n, len(chosen))
    if png:
      named = ", ".join(example.classes[i] for i in chosen)
      save_png(png, picture(x, columns=columns), f"class by class: {named}" if named else "")
    if npz:
      save_arrays(npz, {"x": x} if labels is None else {"x": x, **example.written(labels)})
    if folder:
      save_images(folder, x, None if labels is None else [example.classes[i] for i in labels])
    return [path for path in (png, npz, folder) if path]

  def labels(self, n: int) -> np.ndarray | None:
    """Lists n labels class by class; None for an unconditional game."""
    classes = self.sampler.example.num_classes
    return None if classes is None else by_class(n, classes)


def check_truncation(config: ConfigDict, truncation: float | None = None) -> None:
  """Refuses to truncate latents that are not normal."""
  if truncation is not None and not is_standard_normal(config):
    of = "{name!r} of scale {scale}".format(**config.latent) if "latent" in config else "none"
    raise ValueError(f"truncation is for normal latents of scale 1, and those of this run are {of}")


def load(
  workdir: str | pathlib.Path, *, at: int | str = "last", changes: Mapping[str, Any] | None = None
) -> Run:
  """Loads a run from its folder; needs no data.

  Args:
    workdir: folder of the run.
    at: "last" for the last undamaged checkpoint, "best" for that with the best scores while
      training, or a round.
    changes: {dotted key of the config: value}, for its experiment: how the run is scored, or where
      its data have moved to.

  Returns:
    The run.

  Raises:
    FileNotFoundError: if there is no run, or it has saved nothing yet.
    ValueError: if there is no such checkpoint, or something of the run is not registered here.
  """
  return RunFolder(workdir, changes).restore(at)


def _restore(folder: pathlib.Path, like: State, round: int | None) -> State | None:
  with Checkpoints(folder) as checkpoints:
    return checkpoints.restore(like, round)


def rebuilt(
  config: ConfigDict, workdir: str | pathlib.Path, game: Game | None = None
) -> Experiment:
  """Builds the experiment of a run, or of a new one.

  Args:
    config: config of the run.
    workdir: folder of the run.
    game: game of the run, if it has been built.

  Returns:
    The experiment.

  Raises:
    As `build`.
  """
  try:
    return assemble(complete(config), game)
  except FileNotFoundError as error:
    if not (pathlib.Path(workdir) / "config.json").is_file():
      raise
    raise FileNotFoundError(
      f"{error}\nif the data of the run have moved, say where they are now: --config.data=... or "
      "--config.data_options.data_dir=..."
    ) from error


def _checkpoint_folder(workdir: pathlib.Path, at: int | str) -> tuple[pathlib.Path, int | None]:
  """Returns the folder of a checkpoint, and its round if that was asked for."""
  if at in FOLDERS:
    return workdir / FOLDERS[at], None
  if not str(at).isdecimal():
    raise ValueError(f"checkpoint is {at!r}: expected last, best, or a round")
  is_best = (workdir / BEST / str(at)).is_dir()
  return workdir / (BEST if is_best else "checkpoints"), int(at)
