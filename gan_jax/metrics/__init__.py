"""Scores: one a file, each a pure function of arrays on the host, in float64.

`features/` holds the networks that look at images. What a score was made from is for
`gan_jax.evaluate` to say.
"""

from gan_jax.metrics.coverage import class_accuracy, class_coverage, class_kl, class_shares
from gan_jax.metrics.frechet import Moments, frechet_distance, merge, moments
from gan_jax.metrics.modes import mode_coverage
from gan_jax.metrics.parzen import LogLikelihood, log_density, parzen_log_likelihood

__all__ = [
  "LogLikelihood",
  "Moments",
  "class_accuracy",
  "class_coverage",
  "class_kl",
  "class_shares",
  "frechet_distance",
  "log_density",
  "merge",
  "mode_coverage",
  "moments",
  "parzen_log_likelihood",
]
