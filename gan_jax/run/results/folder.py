"""Runs as they lie in their folders.

import gan_jax as gj

run = gj.load("runs/mnist_dcgan")
images = run.sample(64)
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from gan_jax.game.core import Game, State, batches_a_round
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.run.config.config import complete
from gan_jax.run.config.register import check_registered
from gan_jax.run.config.roles import EVALUATION, PLACE, is_of_scores, is_place
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.config.stored import read_fields, read_run
from gan_jax.run.evaluation.sampling import CompiledSampler, inputs_of
from gan_jax.run.experiment import Experiment, assemble, sampler_of
from gan_jax.run.results.run import Run
from gan_jax.run.results.same_run import check_same_data
from gan_jax.run.training.saving.checkpoint import BEST, Checkpoints

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
    """The game, to be sampled, which needs no data.

    Raises:
      ValueError: if it was given to `fit` in the place of the config's.
    """
    if "own_game" in read_fields(self.workdir):
      raise ValueError(
        f"{self.workdir} was trained with a game that was given to fit in the place of its"
        " config's, and cannot be built from it: register a kind of game in its config file"
        " (docs/extending.md)"
      )
    with self._damage():
      return build_game(self.config, self.example)

  @functools.cached_property
  def shapes(self) -> State:
    """Shapes of the state, if there is room for such a state here."""
    with self._damage():
      batch = self.example.batch(batches_a_round(self.game), self.config.batch_size)
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

  @property
  def sampler_name(self) -> str | None:
    """Name of the sampler that is asked for, or scored; None for the game's first."""
    return self._changes.get("evaluation.sampler") or sampler_of(self.config)

  @functools.cached_property
  def sampler(self) -> CompiledSampler:
    """Draws from the game, given a state; a translator from the data, which it opens when asked."""
    return CompiledSampler(self.game, self.example, self.sampler_name, self._inputs)

  def _inputs(self, n: int, seed: int) -> Any:
    """Returns what a translator starts from."""
    source = self.experiment.given
    assert source is not None
    return inputs_of(source, self.example)(n, seed)

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
