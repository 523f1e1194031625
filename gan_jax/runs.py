"""Runs as they lie in their folders: load one, sample from it, compare its config.

from gan_jax.runs import load
run = load("runs/mnist_dcgan")
images = run.sample(64)
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from gan_jax.cards import flat
from gan_jax.checkpoint import BEST, Checkpoints
from gan_jax.config import canonical, check, default_config
from gan_jax.experiment import Experiment, build_game
from gan_jax.files import read_json
from gan_jax.game import Game, State, init, minibatches
from gan_jax.plots import picture
from gan_jax.report import save_arrays, save_images, save_png, write_json
from gan_jax.sampling import Example, Sampler, by_class

STEPS = 10  # of an interpolation
EVALUATION = ("evaluation", "num_fake")  # keys of the config that training does not depend on
LAYOUT = ("mesh", "microbatches", "remat")  # keys that numbers do not depend on
NOTHING = "{} has no checkpoint yet; train it first, or wait for one"
NO_BEST = "{} has no best checkpoint: training keeps one if config.evaluate_every > 0"
RULES: dict[int | str, str] = {"last": "checkpoints", "best": BEST}  # where their checkpoints are


class Run(NamedTuple):
  """A run as it lies in its folder.

  Attributes:
    config: what it was started with.
    game: the game.
    state: of the checkpoint that was loaded.
    sampler: draws from the game; `run.sample(n)` does so from this state.
    rule: how the checkpoint was chosen: "last", "best", or a round.
  """

  config: ml_collections.ConfigDict
  game: Game
  state: State
  sampler: Sampler
  rule: str

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
      n: how many.
      seed: the first m of n examples are the m examples of the same seed.
      labels: int [n] for a conditional game; by default class by class.
      ema: whether to use the averaged generator.
      truncation: bound on the entries of normal latents; see `gan_jax.sampling.truncated`.

    Returns:
      uint8 [n, H, W, C] images, or float32 [n, d] points.

    Raises:
      ValueError: truncation of latents that are not normal.
    """
    if labels is None:
      labels = self.labels(n)
    self.check_truncation(truncation)
    return self.sampler(self.state, n, seed=seed, labels=labels, ema=ema, truncation=truncation)

  def check_truncation(self, truncation: float | None) -> None:
    """Refuses to truncate latents that are not normal."""
    latent = self.config.latent
    if truncation is not None and (latent.name != "normal" or latent.scale != 1):
      raise ValueError(
        f"truncation is for normal latents of scale 1, and those of this run are {latent.name!r} of"
        f" scale {latent.scale}"
      )

  def sweep(
    self, bounds: Sequence[float], columns: int = 10, *, seed: int = 0, ema: bool = True
  ) -> np.ndarray:
    """Draws the same latents under several truncations, a row each: [rows * columns, ...]."""
    draw = lambda bound: self.sample(columns, seed=seed, ema=ema, truncation=bound)
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
  ) -> list[str]:
    """Draws examples and writes them as a picture, as arrays, as files of their own.

    Args:
      n: how many; interpolated, they are walks of ten.
      png: where to write a picture; class by class when conditional.
      npz: where to write arrays x, and y when conditional.
      folder: where to write a PNG of each, by class when conditional; see `report.save_images`.
      seed: of the latents.
      ema: whether to use the averaged generator.
      interpolate: whether to walk between latents, a row each.
      truncation: bound on the entries of normal latents; of several bounds each makes a row of ten.

    Returns:
      The paths written.
    """
    labels: np.ndarray | None = None
    columns: int | None = STEPS
    if folder and self.sampler.example.pixel_range is None:
      raise ValueError(
        f"examples of {self.config.data} are points, and no images: a picture of them is"
        " --out=FILE.png, arrays are --npz=FILE.npz"
      )
    if interpolate and truncation:
      raise ValueError("an interpolation is not truncated: ask for one or the other")
    if interpolate:
      x = self.sampler.interpolate(self.state, max(1, n // STEPS), STEPS, seed=seed, ema=ema)
    elif len(truncation) > 1:
      x = self.sweep(truncation, STEPS, seed=seed, ema=ema)
    else:
      labels = self.labels(n)
      bound = truncation[0] if truncation else None
      x = self.sample(n, seed=seed, labels=labels, ema=ema, truncation=bound)
      columns = None if labels is None else max(1, n // (int(labels[-1]) + 1))
    if png:
      save_png(png, picture(x, columns=columns))
    if npz:
      save_arrays(npz, {"x": x} if labels is None else {"x": x, "y": labels})
    if folder:
      save_images(folder, x, labels, self.sampler.example.num_classes or 1)
    return [path for path in (png, npz, folder) if path]

  def labels(self, n: int) -> np.ndarray | None:
    """Lists n labels class by class; None for an unconditional game."""
    classes = self.sampler.example.num_classes
    return None if classes is None else by_class(n, classes)


def load(workdir: str | pathlib.Path, *, at: int | str = "last") -> Run:
  """Loads a run from its folder; needs no data.

  Args:
    workdir: where it was trained.
    at: "last" for the last undamaged checkpoint, "best" for that with the best scores while
      training, or a round.

  Returns:
    The run.

  Raises:
    FileNotFoundError: if there is no run, or it has saved nothing yet.
    ValueError: if there is no such checkpoint.
  """
  workdir = pathlib.Path(workdir)
  config, example = _read(workdir)
  game, like = _game(workdir, config, example)
  folder, round = _place(workdir, at)
  try:
    state = _restore(folder, like, round)
  except (ValueError, OSError):  # training may have put another in its place while it was read
    state = _restore(folder, like, round)
  if state is None:
    raise FileNotFoundError(NO_BEST.format(workdir) if at == "best" else NOTHING.format(workdir))
  return Run(config, game, state, Sampler(game, example), str(at))


def _restore(folder: pathlib.Path, like: State, round: int | None) -> State | None:
  with Checkpoints(folder) as checkpoints:
    return checkpoints.restore(like, round)


def read_config(workdir: str | pathlib.Path) -> ml_collections.ConfigDict:
  """Reads the config that a run was started with."""
  return _read(pathlib.Path(workdir))[0]


def write_config(experiment: Experiment, workdir: pathlib.Path) -> None:
  """Writes what `load` needs to know of a run."""
  text = {"config": config_values(experiment.config), "example": experiment.example._asdict()}
  write_json(workdir / "config.json", text)


def check_same_config(
  config: ml_collections.ConfigDict, workdir: str | pathlib.Path, *, allow: bool = False
) -> None:
  """Refuses to go on with a run under another config, unless told to.

  Keys of `EVALUATION` may change: rounds do not depend on them, and scores say how they were made;
  and those of `LAYOUT`, so that a run can go on on other devices.

  Args:
    config: to go on with.
    workdir: of the run; nothing is checked if there is none yet.
    allow: whether any difference is meant.

  Raises:
    ValueError: naming every key that differs.
  """
  if allow:
    return
  if not (pathlib.Path(workdir) / "config.json").is_file():
    if (pathlib.Path(workdir) / "checkpoints").is_dir():
      raise ValueError(
        f"{workdir} has checkpoints and no config.json, so that nobody knows what they are of; "
        "restore it, use another --workdir, or --allow_config_change to go on all the same"
      )
    return
  old, new = (flat(config_values(c)) for c in (read_config(workdir), config))
  changed = [
    f"  {key}: {old.get(key, 'not set')} there, {new.get(key, 'not set')} here"
    for key in sorted(old.keys() | new.keys())
    if old.get(key) != new.get(key) and key.split(".")[0] not in EVALUATION + LAYOUT
  ]
  if changed:
    raise ValueError(
      f"the run in {workdir} was started with another config:\n"
      + "\n".join(changed)
      + "\nuse another --workdir, or --allow_config_change to go on with this one"
    )


def config_values(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Lists a config's values as JSON knows them, with our names for short ones."""
  return json.loads(canonical(config).to_json())


def _game(
  workdir: pathlib.Path, config: ml_collections.ConfigDict, example: Example
) -> tuple[Game, State]:
  """Builds a run's game and the shapes of its state, if there is room for such a state here."""
  path = workdir / "config.json"
  try:
    game = build_game(config, example)
    batch = example.batch(max(1, minibatches(game)), config.batch_size)
    like = jax.eval_shape(lambda: init(game, jax.random.key(0), batch))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(like))
  except (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
    raise ValueError(f"{path} makes no game ({error}); restore it from a copy") from error
  if size > (memory := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
    raise ValueError(
      f"{path} is of a game whose state has {size} bytes, and this machine has {memory}"
    )
  return game, like


def _place(workdir: pathlib.Path, at: int | str) -> tuple[pathlib.Path, int | None]:
  """Finds the folder a checkpoint is in, and its round if that was asked for."""
  if at in RULES:
    return workdir / RULES[at], None
  if not str(at).isdecimal():
    raise ValueError(f"checkpoint is {at!r}: expected last, best, or a round")
  kept = (workdir / BEST / str(at)).is_dir()
  return workdir / (BEST if kept else "checkpoints"), int(at)


def _read(workdir: pathlib.Path) -> tuple[ml_collections.ConfigDict, Example]:
  path = workdir / "config.json"
  if not path.is_file():
    raise FileNotFoundError(f"no run in {workdir}: expected {path}, which training writes")
  found = read_json(path)
  try:
    example = found["example"]
    pixel_range = example["pixel_range"] and tuple(example["pixel_range"])
    # What came into configs after the run was started has a default that changes nothing for it.
    config = ml_collections.ConfigDict({**default_config().to_dict(), **found["config"]})
    with contextlib.suppress(ValueError):  # which is told when a game is built of it
      check(config)
    shape = tuple(example["shape"])
    if not all(type(n) is int and n > 0 for n in shape):
      raise ValueError(f"examples of the shape {shape}")
    return config, Example(shape, example["num_classes"], pixel_range)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f"{path} is damaged ({error}); restore it from a copy") from error
