"""Scores of runs: of the last checkpoint and the best, or of each as it is saved.

for card, path in evaluate("runs/mnist_dcgan", draws=3):
  print(format_card(card))
"""

import contextlib
import functools
import json
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.data import take
from gan_jax.game.core import State
from gan_jax.metrics import nearest_neighbours
from gan_jax.metrics.features.cache import content_hash
from gan_jax.metrics.features.extractor import extract
from gan_jax.run.config.register import check_registered
from gan_jax.run.config.stored import read_config
from gan_jax.run.evaluation.cards import TRAINING_DRAW, Card, has_card, make_card, save_card
from gan_jax.run.evaluation.evaluate import Evaluator, SampleFn, Walk, WalkFn
from gan_jax.run.evaluation.features import bounded, name_of
from gan_jax.run.evaluation.sampling import Sampler, truncated
from gan_jax.run.experiment import AUTO, Experiment, build, build_game
from gan_jax.run.results.runs import (
  EVALUATION,
  NO_BEST,
  PLACE,
  RULES,
  Run,
  check_same_data,
  check_truncation,
  deciding,
  is_of_scores,
  is_place,
  load,
  rebuilt,
)
from gan_jax.run.training.checkpoint import BEST, Checkpoints
from gan_jax.run.training.lock import is_live

Draws = Sequence[Mapping[str, float]]  # the scores of each


class Scored(NamedTuple):
  """A card, and the file it was written to; None if that could not be written."""

  card: Card
  path: pathlib.Path | None


class SamplingOptions(NamedTuple):
  """How examples are drawn.

  Attributes:
    ema: whether from the averaged generator.
    truncation: bound on the entries of normal latents; None for none.
  """

  ema: bool = True
  truncation: float | None = None


def evaluate(
  workdir: str | pathlib.Path,
  *,
  at: int | str | None = None,
  seed: int = 0,
  draws: int = 1,
  how: SamplingOptions | None = None,
  changes: Mapping[str, Any] | None = None,
) -> Iterator[Scored]:
  """Scores checkpoints of a run and writes their cards.

  A checkpoint has one set of draws, whether it is the last, the best or both. The files keep draws
  of other seeds that were scored before, but none of training, in which the best looks too good.

  Args:
    workdir: of the run.
    at: which, as for `load`; by default the last and, where there is one, the best, which alone
      would hide that a run has collapsed since.
    seed: of the first draw; the next has the next. None of them is the draw of training.
    draws: how many sets of samples are scored.
    how: examples are drawn.
    changes: {dotted key of the config: value}, to score otherwise than while training: of
      `EVALUATION`, or of `PLACE` where the data have moved.

  Yields:
    A card of these draws, and where it was written.

  Raises:
    FileNotFoundError: there is no run, or no such checkpoint.
    ValueError: for a key or a value that there is not.
    OSError: cards could not be written; all of them have been yielded.
  """
  workdir = pathlib.Path(workdir)
  wanted: list[int | str] = ["last"] if at is None else [at]
  if at in (None, "best"):
    with Checkpoints(workdir / BEST) as best:
      if at and not best.rounds():
        raise FileNotFoundError(NO_BEST.format(workdir))
      wanted += ["best"] if best.rounds() and not at else []
  evaluator, experiment, seeds = None, experiment_of(workdir, changes), _seeds(seed, draws)
  found: dict[int, Draws] = {}
  unwritten = None
  for which in wanted:
    run = load(workdir, at=which)
    evaluator, round = evaluator or experiment.evaluator(), int(run.state.round)
    found[round] = found.get(round) or score(experiment, evaluator, run, seeds, how)
    chosen = chosen_by(experiment, run.config, evaluator) if run.rule == "best" else None
    about = (found[round], run.rule, round, seeds, how)
    images = int(run.state.images)
    card = card_of(experiment, evaluator, *about, images=images, chosen=chosen)
    path = None
    try:
      path = save_card(card, workdir)[1]
    except OSError as error:  # the scores are known all the same
      unwritten = error
    yield Scored(card, path)
  if unwritten is not None:
    raise OSError(f"the scores have no card, which could not be written: {unwritten}")


def follow(
  workdir: str | pathlib.Path,
  *,
  seed: int = 0,
  draws: int = 1,
  how: SamplingOptions | None = None,
  changes: Mapping[str, Any] | None = None,
  pause: float = 5.0,
) -> Iterator[Scored]:
  """Scores each new checkpoint of a run that another process trains, until it has ended.

  Those that have a card with these draws are passed over, and so are those that training has
  deleted meanwhile. In the end come the last and the best, as from `evaluate`. A run has ended when
  it has its summary, or when no process holds its folder any more.

  Args:
    workdir: of the run.
    seed, draws, how, changes: as for `evaluate`.
    pause: seconds between two looks.

  Yields:
    A card, and where it was written.
  """
  workdir = pathlib.Path(workdir)
  experiment = experiment_of(workdir, changes)
  evaluator = experiment.evaluator()
  seeds, seen = _seeds(seed, draws), -1
  while True:
    ended = _ended(workdir) or not is_live(
      workdir
    )  # asked before looking, so that nothing that comes meanwhile is missed
    with Checkpoints(workdir / "checkpoints") as checkpoints:
      new = [round for round in checkpoints.rounds() if round > seen]
    for seen in new:
      if has_card(card_of(experiment, evaluator, [], str(seen), seen, seeds, how), workdir):
        continue
      try:
        run = load(workdir, at=seen)
      except (ValueError, FileNotFoundError):  # deleted since it was listed
        continue
      found = score(experiment, evaluator, run, seeds, how)
      about = (found, run.rule, seen, seeds, how)
      card = card_of(experiment, evaluator, *about, images=int(run.state.images))
      path = None
      with contextlib.suppress(OSError):  # which comes up again in the end
        path = save_card(card, workdir)[1]
      yield Scored(card, path)
    if ended:
      break
    time.sleep(pause)
  yield from evaluate(workdir, seed=seed, draws=draws, how=how, changes=changes)


def _seeds(seed: int, draws: int) -> range:
  """Lists the seeds of draws, none of them that of training."""
  first = TRAINING_DRAW + 1 + seed
  return range(first, first + draws)


def _ended(workdir: pathlib.Path) -> bool:
  """Tells whether training has written its summary, after the last round or where it stopped."""
  try:
    found = json.loads((workdir / "summary.json").read_text())
    return "stopped" in found or found.get("rounds", 0) >= read_config(workdir).rounds
  except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # none, or none of ours
    return False


def experiment_of(workdir: pathlib.Path, changes: Mapping[str, Any] | None = None) -> Experiment:
  """Builds the experiment of a run, to be scored otherwise, or on data that have moved.

  Args:
    workdir: of the run.
    changes: {dotted key of the config: value}, as for `evaluate`.

  Returns:
    The experiment.

  Raises:
    ValueError: for a key that would change the run, or data that are not those it was trained on.
    FileNotFoundError: if the data are not there.
  """
  config, changes = read_config(workdir), dict(changes or {})
  check_registered(workdir)
  for key in changes:
    if not (is_of_scores(key) or is_place(key)):
      expected = ", ".join(f"--config.{name}" for name in EVALUATION + PLACE)
      raise ValueError(f"config.{key} would change the run itself; expected one of: {expected}")
  config.update_from_flattened_dict(changes)
  config.evaluate_every = 0  # these scores choose no checkpoint
  experiment = rebuilt(config, workdir)
  if moved := [
    f"  --config.{key} is {value} here" for key, value in changes.items() if is_place(key)
  ]:
    check_same_data(experiment, workdir, moved)
  return experiment


def score(
  experiment: Experiment,
  evaluator: Evaluator,
  run: Run,
  seeds: Sequence[int] = (0,),
  how: SamplingOptions | None = None,
) -> Draws:
  """Scores a run's loaded state.

  Args:
    experiment: of the run's config, or of one with another evaluation.
    evaluator: the experiment's.
    run: the run.
    seeds: of the latents, one for each draw.
    how: examples are drawn.

  Returns:
    The scores of each draw.

  Raises:
    ValueError: truncation of latents that are not normal.
  """
  how = how or SamplingOptions()
  check_truncation(run.config, how.truncation)
  drawn = lambda seed: drawn_from(experiment, run.sampler, run.state, seed, how)
  return [evaluator(*drawn(seed)) for seed in seeds]


def chosen_by(experiment: Experiment, config: ConfigDict, evaluator: Evaluator) -> str:
  """Says how training chooses the best checkpoint, whatever the evaluator scores it by now."""
  asked, headline = config.evaluation, ", ".join(evaluator.headline)
  if evaluator.name in ("images", "points"):
    suited = experiment.suited(config)
    features = name_of(suited.features) if asked.features == AUTO else asked.features
    headline = f"{next(iter(suited.metrics))} of {features} against {suited.real}"
  return f"{headline}, {config.num_fake} fakes every {config.evaluate_every} rounds"


def card_of(
  experiment: Experiment,
  evaluator: Evaluator,
  draws: Draws,
  rule: str,
  round: int,
  seeds: Sequence[int],
  how: SamplingOptions | None = None,
  *,
  images: int | None = None,
  chosen: str | None = None,
) -> Card:
  """Makes the card of what was drawn by `drawn_from`: the one place that knows how."""
  config, how = experiment.config, how or SamplingOptions()
  return make_card(
    evaluator,
    draws,
    checkpoint=rule if rule in RULES else "asked for",
    sampled={
      "ema": how.ema and bool(experiment.game.averages),
      "truncation": how.truncation,
      **({"chosen_by": chosen} if chosen else {}),
      "batch_norm": "running statistics, averaged where parameters are",
      "quantised": "uint8" if experiment.example.pixel_range else None,
    },
    run={
      "round": round,
      **({} if images is None else {"images": images}),
      "seed": config.seed,
      "draws": list(seeds),
      "config": content_hash({}, json.dumps(deciding(config), sort_keys=True))[:16],
    },
  )


def drawn_from(
  experiment: Experiment,
  sampler: Sampler,
  state: State,
  seed: int = TRAINING_DRAW,
  how: SamplingOptions | None = None,
) -> tuple[SampleFn, WalkFn]:
  """Makes what an evaluator draws from; labels have the shares they have in the training data."""
  source, how = experiment.batches.source, how or SamplingOptions()

  def labels_for(rng: np.random.Generator, n: int) -> np.ndarray | None:
    if experiment.example.num_classes is None:
      return None
    drawn = rng.integers(source.size or 2**31, size=n)
    return source.read(drawn)["y"] if source.read else take(source, n, int(drawn[0]))["y"]

  def draw(n: int, offset: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, offset])
    labels = labels_for(rng, n)
    x = sampler(state, n, seed=int(rng.integers(2**31)), labels=labels, **how._asdict())
    return {"x": x} if labels is None else {"x": x, "y": labels}

  def walk(n: int, offset: int) -> Walk:
    rng = np.random.default_rng([seed, offset, 1])
    exact = _in_float32(experiment)
    labels, ends = labels_for(rng, n), exact.latents(2 * n, int(rng.integers(2**31)))
    if how.truncation is not None:
      ends = truncated(ends, how.truncation)
    render = functools.partial(exact.generate, state, ema=how.ema, rounded=False)
    return Walk(lambda z, labels=None: render(z, labels=labels), ends[:n], ends[n:], labels)

  return draw, walk


def _in_float32(experiment: Experiment) -> Sampler:
  """Makes a sampler whose generator computes in float32, whatever it was trained in."""
  config = experiment.config.copy_and_resolve_references()
  if "dtype" in config.generator:
    config.generator.dtype = "float32"
  return Sampler(build_game(config, experiment.example), experiment.example)


def with_neighbours(
  run: Run,
  n: int,
  k: int = 5,
  *,
  seed: int = 0,
  features: str = "pixels",
  how: SamplingOptions | None = None,
  experiment: Experiment | None = None,
) -> np.ndarray:
  """Draws examples, each before the training images that are nearest to it; needs the data.

  Args:
    run: of images.
    n: how many examples.
    k: neighbours of each.
    seed: of the latents.
    features: in which they are near, as for an evaluation.
    how: examples are drawn.
    experiment: that has the data and looks at them, such as of `experiment_of` where they have
      moved; by default one of the run's config and these features.

  Returns:
    uint8 [n (1 + k), H, W, C], the example and its neighbours, nearest first.

  Raises:
    ValueError: for a run of other data, or features that there are not.
  """
  if run.sampler.example.pixel_range is None:
    raise ValueError(f"{run.config.data} are points; neighbours are shown of images")
  how, config = how or SamplingOptions(), run.config.copy_and_resolve_references()
  config.evaluation.features = features
  experiment = experiment or build(config)
  made = run.sample(n, seed=seed, ema=how.ema, truncation=how.truncation)
  source = experiment.batches.source
  if source.size is None:
    raise ValueError(f"{source.name} is endless: it has no training images to be near to")
  images = bounded(source)["x"]
  extractor = experiment.extractor()
  seen = lambda x: extract(extractor, x)["features"]
  places = nearest_neighbours(seen(images), seen(made), k=k).indices
  return np.concatenate([made[:, None], images[places]], axis=1).reshape(-1, *made.shape[1:])
