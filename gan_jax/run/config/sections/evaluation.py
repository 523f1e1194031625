"""How a run is scored: features, metrics and the split that fakes are held against, by name."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from gan_jax.run.config import aliases
from gan_jax.run.config.sections.key import Key, Keys, at_least, lookup
from gan_jax.run.evaluation.evaluators.features import FEATURES
from gan_jax.run.evaluation.evaluators.suite import METRICS
from gan_jax.run.evaluation.evaluators.suited import EvaluationSpec

AUTO = "auto"  # what suits the data, see `evaluators.suited.suited`

KEYS: Keys = {
  "num_fake": Key(2000, "examples that are made for a score", at_least(2)),
  "evaluation": {
    "features": Key(AUTO, "what looks at images: auto, classifier, inception:FILE, ..."),
    "metrics": Key((AUTO,), "scores, such as fid, kid, prdc; the first picks best; or auto"),
    "real": Key(AUTO, "split that fakes are held against: test, train or auto"),
    "sampler": Key("", "sampler whose examples are scored and shown; the game's first by default"),
  },
}


def check(config: ConfigDict) -> None:
  """Refuses names that there are not, and metrics that a run cannot be scored by."""
  spec = spec_of(config)
  if spec.metrics is None:
    return
  for name, metric in spec.metrics.items():
    if "labels" in metric.needs and not config.conditional:
      raise ValueError(
        f"metric {name!r} needs fakes whose classes were asked for, and this run is unconditional:"
        " leave it out of config.evaluation.metrics, or train a run with --config.conditional=True"
      )
  first, metric = next(iter(spec.metrics.items()))
  if config.evaluate_every and "none" in metric.better.values():
    raise ValueError(
      f"config.evaluation.metrics begins with {first!r}, of which neither more nor less is"
      " better: put one first that can choose the best checkpoint, or choose none with"
      " config.evaluate_every=0"
    )


def spec_of(config: ConfigDict) -> EvaluationSpec:
  """Builds the spec of a complete config; see `evaluation_spec`."""
  section = config.evaluation
  return evaluation_spec(section.features, section.metrics, section.real)


def evaluation_spec(features: str, metrics: Sequence[str], real: str) -> EvaluationSpec:
  """Builds what is to look at images, and to score them.

  Args:
    features: a name, and after a colon the file of its weights if need be; or "auto".
    metrics: names; or "auto" alone.
    real: the split that fakes are held against, "train" or "test"; or "auto".

  Returns:
    The objects; None for what is "auto".

  Raises:
    ValueError: for a name that there is not.
  """
  name, _, weights = features.partition(":")
  factory = lookup({AUTO: None, **FEATURES}, name, "evaluation.features")
  if weights and (factory is None or not factory.find):
    raise ValueError(
      f"config.evaluation.features {name!r} are read from no file, and {weights!r} is"
    )
  metrics = aliases.canonical("evaluation.metrics", metrics)
  if not metrics or len(set(metrics)) < len(metrics):
    raise ValueError(f"config.evaluation.metrics is {metrics}: expected one or more, each once")
  if real not in ("train", "test", AUTO):
    raise ValueError(f"config.evaluation.real is {real!r}: expected 'train', 'test' or 'auto'")
  scored = None
  if tuple(metrics) != (AUTO,):
    scored = {metric: lookup(METRICS, metric, "metric") for metric in metrics}
  return EvaluationSpec(factory, scored, None if real == AUTO else real, weights or None)
