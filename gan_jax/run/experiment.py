"""From a config to an experiment: all that a run needs, built once."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from ml_collections import ConfigDict

from gan_jax import data
from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.validation import structure
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.run.config.config import complete, replaced
from gan_jax.run.config.sections import data as data_of_config
from gan_jax.run.config.sections.evaluation import spec_of
from gan_jax.run.config.sections.kinds.games import build_game, kind_of
from gan_jax.run.evaluation.evaluators.accuracy import accuracy_of
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.evaluation.evaluators.paired import paired
from gan_jax.run.evaluation.evaluators.suited import Suited, extractor_for, suited
from gan_jax.run.evaluation.sampling import CompiledSampler, inputs_of


class Experiment(NamedTuple):
  """All that a run needs.

  Attributes:
    config: what it was built from, complete.
    game: the game.
    batches: the training data.
    evaluator: returns the evaluator; may train a classifier, so it is built when first needed.
    suited: (config) -> how scores are made of these data under a config, this one or another.
    extractor: returns the feature extractor of it; may train a classifier as well.
    example: shape and number of classes of the data, and how its values are scaled.
    held_out: examples of the same kind that are not trained on; None if there are none.
    given: examples that a translator starts from; None of a game that draws its inputs.
    targets: examples that it should make of those; None if there are no pairs.
    config_game: the game that the config makes; another in its place cannot be built again.
    classified: by domain, held-out examples on which the accuracy of a game is its score; {} of a
      game that has samplers.
    source: the file that the config is of, as `register.source_of` describes it, if it is known.
  """

  config: ConfigDict
  game: Game
  batches: data.AnyBatches
  evaluator: Callable[[], Evaluator]
  suited: Callable[[ConfigDict], Suited]
  extractor: Callable[[], Extractor]
  example: Example
  held_out: data.Source | None = None
  given: data.Source | None = None
  targets: data.Source | None = None
  config_game: Game | None = None
  classified: Mapping[str, data.Source] = {}
  source: Mapping[str, str] | None = None

  @property
  def own_game(self) -> dict[str, Any] | None:
    """Structure of a game that was put in the place of the config's; None of the config's own."""
    return None if self.game is self.config_game else structure(self.game)

  def sampler(self) -> CompiledSampler:
    """Builds what draws the examples that are scored and shown."""
    given = None if self.given is None else inputs_of(self.given, self.example)
    return CompiledSampler(self.game, self.example, sampler_of(self.config), given)

  def with_seed(self, seed: int) -> Self:
    """Returns the experiment of another seed, on the same game, data and evaluator."""
    return self._replace(
      config=replaced(self.config, {"seed": seed}),
      batches=dataclasses.replace(self.batches, seed=seed),
      evaluator=lambda: self.evaluator().with_seed(seed),
    )


def build(config: ConfigDict) -> Experiment:
  """Builds an experiment.

  Args:
    config: from `default_config()` and changes to it.

  Raises:
    ValueError: for an unknown name, a value out of range, or data that do not fit.
    FileNotFoundError: for data that are not there.
  """
  return assemble(complete(config))


def load_splits(config: ConfigDict) -> Mapping[str, data_of_config.Splits]:
  """Loads the data of a complete config, as its kind of game has them; see `sections.data.load`."""
  kind = kind_of(config)
  return data_of_config.load(config, kind.domains, kind.paired)


def assemble(
  config: ConfigDict,
  game: Game | None = None,
  splits: Mapping[str, data_of_config.Splits] | None = None,
) -> Experiment:
  """Builds the experiment of a complete config.

  Args:
    config: complete.
    game: that the config is of, where there is one already.
    splits: its data by domain, where they have been loaded already.

  Raises:
    As `build`.
  """
  kind, splits = kind_of(config), splits or load_splits(config)
  example = data_of_config.example(config, splits, kind.labelled(config))
  batches = data_of_config.batches(config, splits, kind.paired, example.labelled)
  game = game or build_game(config, example, batches)
  how = game.sampler(sampler_of(config))
  scored = splits
  if config.data_options.crop:  # whole images are scored, of the size that is cut out
    whole = {"data_options.image_size": config.data_options.crop, "data_options.crop": 0}
    scored = load_splits(replaced(config, whole))
  classified = {name: scored[name].test or scored[name].train for name in kind.classifies}
  train, test = scored[next(iter(classified), how.target)]
  spec = spec_of(config)
  suited(train, test, spec)  # before anything is trained, it is refused if it cannot be had

  def evaluator() -> Evaluator:
    if classified:
      return accuracy_of(classified)
    of_images = evaluator_for(
      train,
      test,
      num_fake=config.num_fake,
      spec=spec,
      learned=batches.source if config.data_options.examples else None,
      seed=config.seed,
    )
    span = train.scale.hi - train.scale.lo if len(train.shape) > 1 else 1.0  # of points as it is
    return paired(of_images, span) if how.paired else of_images

  return Experiment(
    config=config,
    game=game,
    batches=batches,
    evaluator=functools.cache(evaluator),
    suited=lambda other: suited(train, test, spec_of(other)),
    extractor=functools.cache(lambda: extractor_for(train, test, spec)),
    example=example,
    held_out=test,
    given=None if how.source is None else scored[how.source].test or scored[how.source].train,
    targets=test or train if how.paired else None,
    config_game=game,
    classified=classified,
  )


def sampler_of(config: ConfigDict) -> str | None:
  """Returns the name of the sampler that is scored; None for the game's first."""
  return config.evaluation.sampler or None


def other_sampler(game: Game, name: str | None) -> str | None:
  """Returns the name of a sampler, as of `sampler_of`, where it is not the game's first."""
  return None if name == next(iter(game.samplers), None) else name
