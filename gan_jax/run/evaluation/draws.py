"""Samples of a run: as an evaluator draws them, and beside the training images nearest to them."""

import functools
import weakref
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.data import stored_levels, take
from gan_jax.game.core import Game, State
from gan_jax.game.latents import Styled
from gan_jax.metrics import nearest_neighbours
from gan_jax.metrics.features.extractor import extract
from gan_jax.run.config.config import replaced
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.evaluation.cards.card import TRAINING_DRAW
from gan_jax.run.evaluation.evaluators.evaluator import SampleFn, Walk, WalkFn
from gan_jax.run.evaluation.evaluators.features import bounded
from gan_jax.run.evaluation.evaluators.paired import TARGET
from gan_jax.run.evaluation.sampling import CompiledSampler, examples_of, scaled
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.run import Run


class SamplingOptions(NamedTuple):
  """Options of sampling.

  Attributes:
    ema: whether to use the averaged generator.
    truncation: as of `CompiledSampler.truncated`; None for none.
    standing_statistics: batches that batch norm's statistics are of; 0 for running statistics.
  """

  ema: bool = True
  truncation: float | None = None
  standing_statistics: int = 0


DEFAULT = SamplingOptions()


def drawn_from(
  experiment: Experiment,
  sampler: CompiledSampler,
  state: State,
  seed: int = TRAINING_DRAW,
  how: SamplingOptions = DEFAULT,
) -> tuple[SampleFn, WalkFn | None]:
  """Builds an evaluator's samplers; labels have the shares they have in the training data."""
  if experiment.classified:
    return lambda n, offset: _predicted(experiment, sampler, state, how), None
  source = experiment.batches.source

  def labels_for(rng: np.random.Generator, n: int) -> np.ndarray | None:
    if sampler.example.condition_size is None:
      return None
    places = rng.integers(source.size or 2**31, size=n)
    return source.read(places)["y"] if source.read else take(source, n, int(places[0]))["y"]

  def draw(n: int, offset: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, offset])
    labels = labels_for(rng, n)
    places = int(rng.integers(2**31))
    options: dict[str, Any] = {"ema": how.ema, "truncation": how.truncation}
    drawn = {"x": sampler(state, n, seed=places, labels=labels, **options)}
    if experiment.targets is not None:
      drawn[TARGET] = examples_of(experiment.targets, n, places)
    return drawn if labels is None else {**drawn, "y": labels}

  def walk(n: int, offset: int) -> Walk:
    rng = np.random.default_rng([seed, offset, 1])  # 1: apart from the images of `draw`
    exact = _exact(experiment, sampler)
    within = lambda z: z if how.truncation is None else exact.truncated(z, how.truncation)
    labels, drawn = labels_for(rng, n), within(exact.latents(2 * n, int(rng.integers(2**31))))
    # Latents are truncated at the ends of a path, styles all along it: a path is of latents.
    ends, along = (drawn.z, within) if isinstance(drawn, Styled) else (drawn, lambda z: z)
    render = functools.partial(exact.generate, state, ema=how.ema, rounded=False)
    positions = np.random.default_rng(offset).uniform(size=n)
    generate = lambda z, labels=None: render(along(z), labels=labels)
    return Walk(generate, ends[:n], ends[n:], positions, labels)

  return draw, walk


# Made once for a sampler, not at each evaluation: what has been compiled is kept with it.
_EXACT: weakref.WeakKeyDictionary[CompiledSampler, CompiledSampler] = weakref.WeakKeyDictionary()


def _exact(experiment: Experiment, sampler: CompiledSampler) -> CompiledSampler:
  """Returns the sampler whose networks compute in float32, the same if they do already."""
  if sampler not in _EXACT:
    game = in_float32(experiment)
    if game is experiment.game:
      return sampler
    _EXACT[sampler] = experiment._replace(game=game).sampler()
  return _EXACT[sampler]


def _predicted(
  experiment: Experiment, sampler: CompiledSampler, state: State, how: SamplingOptions
) -> dict[str, np.ndarray]:
  """Predicts the classes of all held-out examples, by domain."""
  as_seen = lambda source: scaled(take(source)["x"], experiment.example)
  return {
    domain: sampler.classes(state, as_seen(source), ema=how.ema)
    for domain, source in experiment.classified.items()
  }


def in_float32(of: Run | Experiment) -> Game:
  """Returns the game whose networks compute in float32, the same if they do already."""
  dtypes = {
    f"{key}.dtype": "float32"
    for key, section in of.config.items()
    if isinstance(section, ConfigDict) and section.get("dtype", "float32") != "float32"
  }
  return build_game(replaced(of.config, dtypes), of.example) if dtypes else of.game


def with_neighbours(
  run: Run, n: int, k: int = 5, *, seed: int = 0, how: SamplingOptions = DEFAULT
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
    [n (1 + k), ...] in the type of the data, the example and its neighbours, nearest first.

  Raises:
    ValueError: for a run of other data.
  """
  if run.sampler.example.pixel_range is None:
    raise ValueError(f"{run.config.data} are points; neighbours are not shown of these")
  source = run.experiment.batches.source
  samples = run.sample(n, seed=seed, ema=how.ema, truncation=how.truncation)
  if source.size is None:
    raise ValueError(f"{source.name} is endless: it has no training images to be near to")
  images, extractor = bounded(source)["x"], run.experiment.extractor()
  scale = run.sampler.example.scale
  features = lambda x: extract(extractor, stored_levels(x, scale))["features"]
  places = nearest_neighbours(features(images), features(samples), k=k).indices
  return np.concatenate([samples[:, None], images[places]], axis=1).reshape(-1, *samples.shape[1:])
