"""Scores of a run: of its last and best checkpoints, or of each as it is saved.

for card, path in evaluate("runs/mnist_dcgan", draws=3):
  print(format_card(card))
"""

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
from gan_jax.run.config.config import replaced
from gan_jax.run.config.roles import deciding
from gan_jax.run.config.sections.evaluation import AUTO
from gan_jax.run.config.sections.two_player import build_game
from gan_jax.run.config.stored import read_config
from gan_jax.run.evaluation.cards import (
  TRAINING_DRAW,
  Card,
  has_card,
  make_card,
  save_card,
)
from gan_jax.run.evaluation.evaluate import Evaluator, SampleFn, Walk, WalkFn
from gan_jax.run.evaluation.features import bounded, name_of
from gan_jax.run.evaluation.sampling import Sampler
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.runs import FOLDERS, NO_BEST, Run, RunFolder, check_truncation
from gan_jax.run.training.saving.checkpoint import BEST, Checkpoints
from gan_jax.run.training.saving.lock import is_live

Draws = Sequence[Mapping[str, float]]  # the scores of each


class Scored(NamedTuple):
  """A card, and the file it was written to; None if that could not be written."""

  card: Card
  path: pathlib.Path | None


class SamplingOptions(NamedTuple):
  """Options of sampling.

  Attributes:
    ema: whether to use the averaged generator.
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
    workdir: folder of the run.
    at: checkpoint, as for `load`; by default the last and, where there is one, the best, which
      alone would hide that a run has collapsed since.
    seed: seed of the first draw; the next has the next. None of them is the draw of training.
    draws: number of sets of samples that are scored.
    how: options of sampling.
    changes: {dotted key of the config: value}, to score otherwise than while training: of
      `EVALUATION`, or of `PLACE` where the data have moved.

  Yields:
    A card of these draws, and its file.

  Raises:
    FileNotFoundError: there is no run, or no such checkpoint.
    ValueError: for a key or a value that there is not.
    OSError: cards could not be written; all of them have been yielded.
  """
  yield from _evaluate(RunFolder(workdir, changes), at, _seeds(seed, draws), how)


def _evaluate(
  folder: RunFolder, at: int | str | None, seeds: Sequence[int], how: SamplingOptions | None
) -> Iterator[Scored]:
  wanted: list[int | str] = ["last"] if at is None else [at]
  if at in (None, "best"):
    with Checkpoints(folder.workdir / BEST) as best:
      if at and not best.rounds():
        raise FileNotFoundError(NO_BEST.format(folder.workdir))
      wanted += ["best"] if best.rounds() and not at else []
  scores: dict[int, Draws] = {}
  unwritten = None
  for which in wanted:
    run = folder.restore(which)
    evaluator, round = folder.experiment.evaluator(), int(run.state.round)
    scores[round] = scores.get(round) or score(run, seeds, how)
    chosen = chosen_by(run.experiment, run.config, evaluator) if run.checkpoint == "best" else None
    card = _card(run, scores[round], seeds, how, chosen)
    path, error = _keep(run, card)
    unwritten = unwritten or error
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
    workdir: folder of the run.
    seed, draws, how, changes: arguments of `evaluate`.
    pause: seconds between two looks at the folder.

  Yields:
    A card, and its file.
  """
  folder = RunFolder(workdir, changes)
  evaluator = folder.experiment.evaluator()
  seeds, last = _seeds(seed, draws), -1
  while True:
    # Asked before the rounds are listed, so that none that comes meanwhile is missed.
    ended = _ended(folder) or not is_live(folder.workdir)
    with Checkpoints(folder.workdir / "checkpoints") as checkpoints:
      new = [round for round in checkpoints.rounds() if round > last]
    for last in new:
      card = card_of(folder.experiment, evaluator, [], str(last), last, seeds, how)
      if has_card(card, folder.workdir):
        continue
      try:
        run = folder.restore(last)
      except (ValueError, FileNotFoundError):  # deleted since it was listed
        continue
      card = _card(run, score(run, seeds, how), seeds, how)
      yield Scored(card, _keep(run, card)[0])  # an error comes up again in the end
    if ended:
      break
    time.sleep(pause)
  yield from _evaluate(folder, None, seeds, how)


def _seeds(seed: int, draws: int) -> range:
  """Lists the seeds of draws, none of them that of training."""
  first = TRAINING_DRAW + 1 + seed
  return range(first, first + draws)


def _ended(folder: RunFolder) -> bool:
  """Checks whether training has written its summary, after the last round or where it stopped."""
  try:
    summary = json.loads((folder.workdir / "summary.json").read_text())
    return "stopped" in summary or summary.get("rounds", 0) >= read_config(folder.workdir).rounds
  except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # none, or none of ours
    return False


def score(run: Run, seeds: Sequence[int] = (0,), how: SamplingOptions | None = None) -> Draws:
  """Scores a run's loaded state by its experiment.

  Args:
    run: the run.
    seeds: seeds of the latents, one for each draw.
    how: options of sampling.

  Returns:
    The scores of each draw.

  Raises:
    ValueError: truncation of latents that are not normal.
  """
  how = how or SamplingOptions()
  check_truncation(run.config, how.truncation)
  evaluator = run.experiment.evaluator()
  sampling = lambda seed: drawn_from(run.experiment, run.sampler, run.state, seed, how)
  return [evaluator(*sampling(seed)) for seed in seeds]


def _keep(run: Run, card: Card) -> tuple[pathlib.Path | None, OSError | None]:
  """Writes a card; returns its path, or the error, since the scores are good without a file."""
  try:
    return save_card(card, run.folder.workdir)[1], None
  except OSError as error:
    return None, error


def chosen_by(experiment: Experiment, config: ConfigDict, evaluator: Evaluator) -> str:
  """Formats training's choice of the best checkpoint, whatever the evaluator scores it by now."""
  asked, headline = config.evaluation, ", ".join(evaluator.headline)
  if evaluator.name in ("images", "points"):
    suited = experiment.suited(config)
    features = name_of(suited.features) if asked.features == AUTO else asked.features
    headline = f"{next(iter(suited.metrics))} of {features} against {suited.real}"
  return f"{headline}, {config.num_fake} fakes every {config.evaluate_every} rounds"


def _card(
  run: Run,
  draws: Draws,
  seeds: Sequence[int],
  how: SamplingOptions | None,
  chosen: str | None = None,
) -> Card:
  round, images = int(run.state.round), int(run.state.images)
  about = (run.experiment, run.experiment.evaluator(), draws, run.checkpoint, round, seeds, how)
  return card_of(*about, images=images, chosen=chosen)


def card_of(
  experiment: Experiment,
  evaluator: Evaluator,
  draws: Draws,
  checkpoint: str,
  round: int,
  seeds: Sequence[int],
  how: SamplingOptions | None = None,
  *,
  images: int | None = None,
  chosen: str | None = None,
) -> Card:
  """Builds the card of scores of samples of `drawn_from`."""
  config, how = experiment.config, how or SamplingOptions()
  return make_card(
    evaluator,
    draws,
    checkpoint=checkpoint if checkpoint in FOLDERS else "asked for",
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
  """Builds an evaluator's samplers; labels have the shares they have in the training data."""
  source, how = experiment.batches.source, how or SamplingOptions()

  def labels_for(rng: np.random.Generator, n: int) -> np.ndarray | None:
    if experiment.example.num_classes is None:
      return None
    places = rng.integers(source.size or 2**31, size=n)
    return source.read(places)["y"] if source.read else take(source, n, int(places[0]))["y"]

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
      ends = exact.truncated(ends, how.truncation)
    render = functools.partial(exact.generate, state, ema=how.ema, rounded=False)
    positions = np.random.default_rng(offset).uniform(size=n)
    generate = lambda z, labels=None: render(z, labels=labels)
    return Walk(generate, ends[:n], ends[n:], positions, labels)

  return draw, walk


def _in_float32(experiment: Experiment) -> Sampler:
  """Builds a sampler whose generator computes in float32, whatever it was trained in."""
  config, example = experiment.config, experiment.example
  if config.generator.get("dtype", "float32") != "float32":
    config = replaced(config, {"generator.dtype": "float32"})
  return Sampler(build_game(config, example), example)


def with_neighbours(
  run: Run,
  n: int,
  k: int = 5,
  *,
  seed: int = 0,
  how: SamplingOptions | None = None,
) -> np.ndarray:
  """Draws examples, each before the training images that are nearest to it; needs the data.

  Args:
    run: run of images; near is by the features of its experiment, by pixels for a run that was
      loaded with changes={"evaluation.features": "pixels"}.
    n: number of examples.
    k: number of neighbours of each.
    seed: seed of the latents.
    how: options of sampling.

  Returns:
    uint8 [n (1 + k), H, W, C], the example and its neighbours, nearest first.

  Raises:
    ValueError: for a run of other data.
  """
  if run.sampler.example.pixel_range is None:
    raise ValueError(f"{run.config.data} are points; neighbours are shown of images")
  how, source = how or SamplingOptions(), run.experiment.batches.source
  samples = run.sample(n, seed=seed, ema=how.ema, truncation=how.truncation)
  if source.size is None:
    raise ValueError(f"{source.name} is endless: it has no training images to be near to")
  images, extractor = bounded(source)["x"], run.experiment.extractor()
  features = lambda x: extract(extractor, x)["features"]
  places = nearest_neighbours(features(images), features(samples), k=k).indices
  return np.concatenate([samples[:, None], images[places]], axis=1).reshape(-1, *samples.shape[1:])
