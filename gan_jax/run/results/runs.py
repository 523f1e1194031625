"""Runs as they lie in their folders: load one, sample from it, compare its config.

from gan_jax.run.results.runs import load
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

from gan_jax.checks import shown
from gan_jax.data import fingerprint
from gan_jax.data.example import Example
from gan_jax.files import read_json
from gan_jax.game.core import Game, State, init, minibatches
from gan_jax.game.random import make_key
from gan_jax.plots import picture
from gan_jax.run.config.config import canonical, check, default_config, free_numbers, from_values
from gan_jax.run.config.register import check_registered, read_source
from gan_jax.run.config.switches import made_with, remembered
from gan_jax.run.evaluation.cards import flat
from gan_jax.run.evaluation.sampling import Sampler, by_class, row_of_class
from gan_jax.run.experiment import Experiment, build, build_game
from gan_jax.run.results.rows import save_arrays, save_images, save_png, write_json
from gan_jax.run.training.checkpoint import BEST, Checkpoints

STEPS = 10  # of an interpolation
# Keys of the config, and sections of it, that may change when a run goes on: no number of a round
# depends on them. All others need --allow_config_change.
EVALUATION = ("evaluation", "num_fake")  # how it is scored: scores say so
LAYOUT = ("mesh", "microbatches", "remat", "rounds_per_call", "data_options.placement")  # computed
COURSE = (  # how far it goes, what is told and kept on the way, and what is done after a NaN
  "rounds",
  "log_every",
  "sample_every",
  "evaluate_every",
  "checkpoint_every",
  "keep_checkpoints",
  "keep_every",
  "num_samples",
  "on_nan",
  "max_rollbacks",
)
# Where the data lie, if they are the same, which is looked at.
PLACE = ("data", "data_options.data_dir", "data_options.manual_dir")
# The default before there was "auto", which chooses the same where these can be had.
_FORMER_EVALUATION = {"features": "classifier", "metrics": ("frechet", "classes"), "real": "test"}
MOST_CLASSES = 1 << 20  # of a config.json that one can believe
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
      labels: [n] for a conditional game, names of classes, or their places from 0; by default class
        by class.
      ema: whether to use the averaged generator.
      truncation: bound on the entries of normal latents; see `sampling.truncated`.

    Returns:
      uint8 [n, H, W, C] images, or float32 [n, d] points.

    Raises:
      ValueError: n < 1, classes that there are not, or truncation of latents that are not normal.
    """
    if n < 1:
      raise ValueError(f"n is {n}: expected how many examples to draw, at least 1")
    labels = self.labels(n) if labels is None else self._places(labels, n)
    check_truncation(self.config, truncation)
    return self.sampler(self.state, n, seed=seed, labels=labels, ema=ema, truncation=truncation)

  def _places(self, labels: Any, n: int) -> np.ndarray:
    """Finds the places of classes that are given by name or by place."""
    found, example = np.asarray(labels), self.sampler.example
    if found.dtype.kind == "U":
      found = example.class_places(found.tolist())
    classes = len(example.classes)
    if (
      found.shape != (n,)
      or found.dtype.kind not in "iu"
      or not np.isin(found, range(classes)).all()
    ):
      raise ValueError(
        f"labels are {shown(labels)}: expected {n} names of classes, or places from 0 below"
        f" {classes}, one for each example"
      )
    return found

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
      n: how many; interpolated, they are walks of ten.
      png: where to write a picture; class by class when conditional, as its description says.
      npz: where to write arrays x, and when conditional y, as the labels of the data are, and
        class_names if these are text.
      folder: where to write a PNG of each, by class when conditional; see `report.save_images`.
      seed: of the latents.
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


def check_truncation(config: ml_collections.ConfigDict, truncation: float | None = None) -> None:
  """Refuses to truncate latents that are not normal."""
  latent = config.latent
  if truncation is not None and (latent.name != "normal" or latent.scale != 1):
    raise ValueError(
      f"truncation is for normal latents of scale 1, and those of this run are {latent.name!r} of"
      f" scale {latent.scale}"
    )


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
    ValueError: if there is no such checkpoint, or something of the run is not registered here.
  """
  workdir = pathlib.Path(workdir)
  config, example = _read(workdir)
  check_registered(workdir)
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


def read_example(workdir: str | pathlib.Path) -> Example:
  """Reads what a run knew of its data when it was started."""
  return _read(pathlib.Path(workdir))[1]


def write_config(experiment: Experiment, workdir: pathlib.Path) -> None:
  """Writes what `load` needs to know of a run, and what its numbers depend on beside."""
  text = {
    "config": config_values(experiment.config),
    "example": experiment.example._asdict(),
    "data": data_of(experiment),
    "switches": remembered(),
    "made_with": made_with(),
  }
  if source := experiment.source or read_source(workdir):
    text["source"] = dict(source)
  write_json(workdir / "config.json", text)


def data_of(experiment: Experiment) -> dict[str, Any]:
  """Computes what tells the data of an experiment from others, by split."""
  test = experiment.held_out
  return {
    "train": fingerprint(experiment.batches.source),
    "test": None if test is None else fingerprint(test),
  }


def rebuilt(config: ml_collections.ConfigDict, workdir: str | pathlib.Path) -> Experiment:
  """Builds the experiment of a run, or of a new one; says what to do where its data have moved."""
  try:
    return build(config)
  except FileNotFoundError as error:
    if not (pathlib.Path(workdir) / "config.json").is_file():
      raise
    raise FileNotFoundError(
      f"{error}\nif the data of the run have moved, say where they are now: --config.data=... or "
      "--config.data_options.data_dir=..."
    ) from error


def check_same_run(
  experiment: Experiment, workdir: str | pathlib.Path, *, allow: bool = False
) -> None:
  """Refuses to go on with a run under another config or on other data, unless told to.

  Keys of `EVALUATION`, `LAYOUT` and `COURSE` may change, and those of `PLACE` if the data are the
  same. A start that has saved nothing binds nobody.

  Args:
    experiment: to go on with.
    workdir: of the run; nothing is checked if it has no checkpoint.
    allow: whether any difference is meant.

  Raises:
    ValueError: naming every key, and all of the data, that differs.
  """
  workdir = pathlib.Path(workdir)
  if allow or not has_checkpoint(workdir):
    return
  if not (workdir / "config.json").is_file():
    raise ValueError(
      f"{workdir} has checkpoints and no config.json, so that nobody knows what they are of; "
      "restore it, use another --workdir, or --allow_config_change to go on all the same"
    )
  changed = _changed(read_config(workdir), experiment.config)
  moved = {key: line for key, line in changed.items() if _is_within(key, PLACE)}
  lines = [line for key, line in changed.items() if key not in moved]
  if lines:
    raise ValueError(
      f"the run in {workdir} was started with another config:\n"
      + "\n".join([*lines, *moved.values()])
      + "\nuse another --workdir, or --allow_config_change to go on with this one"
    )
  check_same_data(experiment, workdir, list(moved.values()))


def check_same_data(
  experiment: Experiment, workdir: str | pathlib.Path, moved: Sequence[str] = ()
) -> None:
  """Refuses other data than a run was trained on, wherever they lie.

  Args:
    experiment: with the data.
    workdir: of the run.
    moved: lines that say where data lay and lie; with none they need not be known.

  Raises:
    ValueError: saying what differs, or that the run does not know its data.
  """
  old, new = _read_json(pathlib.Path(workdir)).get("data"), data_of(experiment)
  what = "use those it was trained on, another --workdir, or train with --allow_config_change"
  if old is None:
    if moved:
      raise ValueError(
        "\n".join([f"the data of the run in {workdir} are elsewhere by this config:", *moved])
        + "\nand it was trained before runs kept a checksum of their data, so that nobody can tell"
        f" whether these are the same; {what} if they are"
      )
    return
  if lines := _differences({"data": old}, {"data": new}).values():
    raise ValueError(
      "\n".join([f"the run in {workdir} was trained on other data:", *lines, *moved, what])
    )


def other_arrays(workdir: pathlib.Path, config: ml_collections.ConfigDict) -> str:
  """Lists keys in which a run's config differs from another and that may make its state another.

  Numbers that decide no more than how much do not.

  Args:
    workdir: of the run.
    config: the other.

  Returns:
    A line of each.
  """
  with contextlib.suppress(OSError, ValueError):  # then nobody knows
    old = read_config(workdir)
    free = [*free_numbers(old), *free_numbers(config), "seed", *PLACE]
    lines = {key: line for key, line in _changed(old, config).items() if not _is_within(key, free)}
    return "\n".join(lines.values())
  return ""


def start_over(experiment: Experiment, workdir: pathlib.Path) -> None:
  """Deletes what a start under another config has left that saved nothing; rows are dropped too."""
  if has_checkpoint(workdir) or not (workdir / "config.json").is_file():
    return
  with contextlib.suppress(ValueError):  # a damaged one is as good as another
    if not _changed(read_config(workdir), experiment.config):
      return
  left = [workdir / name for name in ("rollbacks.json", "summary.json", "curves.png")]
  for path in [*left, *(workdir / "samples").glob("*.png")]:
    path.unlink(missing_ok=True)


def has_checkpoint(workdir: pathlib.Path) -> bool:
  """Tells whether there is anything to go on from."""
  return any(path.name.isdecimal() for path in (workdir / RULES["last"]).glob("*"))


def deciding(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Lists what numbers of rounds depend on, but for where the data lie, by dotted key."""
  free = EVALUATION + LAYOUT + COURSE + PLACE
  return {k: v for k, v in flat(config_values(config)).items() if not _is_within(k, free)}


def is_place(key: str) -> bool:
  """Tells whether a dotted key of the config says where the data lie."""
  return _is_within(key, PLACE)


def is_of_scores(key: str) -> bool:
  """Tells whether a dotted key of the config says how a run is scored."""
  return _is_within(key, EVALUATION)


def _is_within(key: str, sections: Sequence[str]) -> bool:
  return any(key == name or key.startswith(f"{name}.") for name in sections)


def _changed(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> dict[str, str]:
  """Lists the keys that differ and may not change as they like, each with a line that says how."""
  found = _differences(config_values(old), config_values(new))
  return {
    key: line.replace(key, f"--config.{key}", 1)
    for key, line in found.items()
    if not _is_within(key, EVALUATION + LAYOUT + COURSE)
  }


def _differences(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
  a, b = flat(old), flat(new)
  return {
    key: f"  {key}: {a.get(key, 'not set')} there, {b.get(key, 'not set')} here"
    for key in sorted(a.keys() | b.keys())
    if a.get(key) != b.get(key)
  }


def check_same_switches(workdir: str | pathlib.Path, *, allow: bool = False) -> None:
  """Refuses to go on with a run under other switches of JAX, unless told to.

  Args:
    workdir: of the run; nothing is checked if there is none yet.
    allow: whether any difference is meant.

  Raises:
    ValueError: naming every switch that differs.
  """
  if not allow and (other := other_switches(workdir)):
    raise ValueError(
      f"the run in {workdir} was started under other switches of JAX, and its numbers depend on "
      f"them:\n{other}\nset them as they were, use another --workdir, or --allow_config_change to "
      "go on under these"
    )


def other_switches(workdir: str | pathlib.Path, key: str = "switches") -> str:
  """Lists JAX's switches under which a run was started and that differ here, a line each.

  Args:
    workdir: of the run, if there is one.
    key: "switches", or "made_with" for what bits depend on and rounded numbers do not.

  Returns:
    The lines; none of what the run does not remember.
  """
  here, then = {"switches": remembered(), "made_with": made_with()}[key], {}
  # No run, or a damaged file, is told where it is read for its config.
  with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
    then = dict(read_json(pathlib.Path(workdir) / "config.json")[key])
  return "\n".join(
    f"  {name}: {then[name]} there, {value} here"
    for name, value in here.items()
    if name in then and then[name] != value
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
    like = jax.eval_shape(lambda: init(game, make_key(0), batch))
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


def _read_json(workdir: pathlib.Path) -> dict[str, Any]:
  path = workdir / "config.json"
  if not path.is_file():
    raise FileNotFoundError(f"no run in {workdir}: expected {path}, which training writes")
  return read_json(path)


def _read(workdir: pathlib.Path) -> tuple[ml_collections.ConfigDict, Example]:
  path, found = workdir / "config.json", _read_json(workdir)
  try:
    example = found["example"]
    pixel_range = example["pixel_range"] and tuple(example["pixel_range"])
    config = from_values(found["config"])
    if config.evaluation.to_dict() == _FORMER_EVALUATION:
      config.evaluation = default_config().evaluation
    with contextlib.suppress(ValueError):  # which is told when a game is built of it
      check(config)
    shape = tuple(example["shape"])
    if not all(type(n) is int and n > 0 for n in shape):
      raise ValueError(f"examples of the shape {shape}")
    count, names = example["num_classes"], example.get("class_names")
    if count is not None and not (type(count) is int and 0 < count <= MOST_CLASSES):
      raise ValueError(f"{count!r} classes")
    if names is not None and len(names) != count:
      raise ValueError(f"{len(names)} names of {count} classes")
    names = None if names is None else tuple(map(str, names))
    return config, Example(shape, count, pixel_range, names)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f"{path} is damaged ({error}); restore it from a copy") from error
