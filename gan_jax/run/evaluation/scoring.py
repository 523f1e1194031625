"""Scores of a run: of its last and best checkpoints, or of each as it is saved.

for card, path in evaluate("runs/mnist_dcgan", draws=3):
  print(format_card(card))
"""

import json
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.metrics.features.cache import content_hash
from gan_jax.run.config.sections.evaluation import AUTO
from gan_jax.run.config.stored import deciding, read_config
from gan_jax.run.evaluation.cards.card import RUNNING, TRAINING_DRAW, Card, make_card
from gan_jax.run.evaluation.cards.files import has_card, save_card
from gan_jax.run.evaluation.draws import DEFAULT, SamplingOptions, drawn_from
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.evaluation.evaluators.features import name_of
from gan_jax.run.experiment import Experiment, other_sampler, sampler_of
from gan_jax.run.results.folder import FOLDERS, NO_BEST, RunFolder
from gan_jax.run.results.run import Run
from gan_jax.run.training.saving.checkpoint import BEST, Checkpoints
from gan_jax.run.training.saving.lock import is_live

Draws = Sequence[Mapping[str, float]]  # the scores of each


class Scored(NamedTuple):
  """A card, and the file it was written to; None if that could not be written."""

  card: Card
  path: pathlib.Path | None


def evaluate(
  workdir: str | pathlib.Path,
  *,
  at: int | str | None = None,
  seed: int = 0,
  draws: int = 1,
  how: SamplingOptions = DEFAULT,
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
  folder: RunFolder, at: int | str | None, seeds: Sequence[int], how: SamplingOptions
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
    round = int(run.state.round)
    scores[round] = scores.get(round) or score(run, seeds, how)
    scored, error = _save(run, scores[round], seeds, how)
    unwritten = unwritten or error
    yield scored
  if unwritten is not None:
    raise OSError(f"the scores have no card, which could not be written: {unwritten}")


def follow(
  workdir: str | pathlib.Path,
  *,
  seed: int = 0,
  draws: int = 1,
  how: SamplingOptions = DEFAULT,
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
  folder.sampler.check_truncation(how.truncation)
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
      yield _save(run, score(run, seeds, how), seeds, how)[0]  # an error comes again in the end
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


def score(run: Run, seeds: Sequence[int] = (0,), how: SamplingOptions = DEFAULT) -> Draws:
  """Scores a run's loaded state by its experiment.

  Args:
    run: the run.
    seeds: seeds of the latents, one for each draw.
    how: options of sampling.

  Returns:
    The scores of each draw.

  Raises:
    ValueError: truncation that there cannot be.
  """
  run.sampler.check_truncation(how.truncation)
  run, evaluator = run.standing(how.standing_statistics, how.ema), run.experiment.evaluator()
  sampling = lambda seed: drawn_from(run.experiment, run.sampler, run.state, seed, how)
  return [evaluator(*sampling(seed)) for seed in seeds]


def _save(
  run: Run, draws: Draws, seeds: Sequence[int], how: SamplingOptions
) -> tuple[Scored, OSError | None]:
  """Writes the card of a run; returns an error as well, since scores are good without a file."""
  experiment, evaluator = run.experiment, run.experiment.evaluator()
  chosen = chosen_by(experiment, run.config, evaluator) if run.checkpoint == "best" else None
  about = (experiment, evaluator, draws, run.checkpoint, int(run.state.round), seeds, how)
  card = card_of(*about, images=int(run.state.images), chosen=chosen)
  try:
    return Scored(card, save_card(card, run.folder.workdir)[1]), None
  except OSError as error:
    return Scored(card, None), error


def chosen_by(experiment: Experiment, config: ConfigDict, evaluator: Evaluator) -> str:
  """Formats training's choice of the best checkpoint, whatever the evaluator scores it by now."""
  asked, headline = config.evaluation, ", ".join(evaluator.headline)
  if evaluator.name in ("points", "series", "images", "volumes"):
    suited = experiment.suited(config)
    features = name_of(suited.features) if asked.features == AUTO else asked.features
    headline = f"{next(iter(suited.metrics))} of {features} against {suited.real}"
  return f"{headline}, {config.num_fake} fakes every {config.evaluate_every} rounds"


def card_of(
  experiment: Experiment,
  evaluator: Evaluator,
  draws: Draws,
  checkpoint: str,
  round: int,
  seeds: Sequence[int],
  how: SamplingOptions = DEFAULT,
  *,
  images: int | None = None,
  chosen: str | None = None,
) -> Card:
  """Builds the card of scores of samples of `drawn_from`."""
  config = experiment.config
  return make_card(
    evaluator,
    draws,
    checkpoint=checkpoint if checkpoint in FOLDERS else "asked for",
    sampled={
      "ema": how.ema and bool(experiment.game.averages),
      "truncation": how.truncation,
      **(
        {}
        if (sampler := other_sampler(experiment.game, sampler_of(config))) is None
        else {"sampler": sampler}
      ),
      **({"chosen_by": chosen} if chosen else {}),
      "batch_norm": f"standing statistics of {standing} batches"
      if (standing := how.standing_statistics)
      else RUNNING,
      "quantised": experiment.example.scale.dtype if experiment.example.pixel_range else None,
    },
    run={
      "round": round,
      **({} if images is None else {"images": images}),
      "seed": config.seed,
      "draws": list(seeds),
      "config": content_hash({}, json.dumps(deciding(config), sort_keys=True))[:16],
    },
  )
