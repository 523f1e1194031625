"""Scores: one a file, each a pure function of arrays on the host, in float64.

`features/` holds the feature extractors. `gan_jax.run.evaluation.evaluators` scores runs by
these, and writes the card of each.
"""

from gan_jax.metrics.coverage import (
  class_accuracy,
  class_coverage,
  class_kl,
  class_shares,
  mode_coverage,
)
from gan_jax.metrics.diversity import (
  Average,
  feature_diversity,
  ms_ssim_diversity,
  random_pairs,
  unit_channels,
)
from gan_jax.metrics.features.classifier import classification_accuracy_score
from gan_jax.metrics.inception_score import InceptionScore, inception_score
from gan_jax.metrics.ms_ssim import multiscale_ssim, scales_that_fit
from gan_jax.metrics.parzen import LogLikelihood, log_density, parzen_log_likelihood
from gan_jax.metrics.path_length import lerp, perceptual_path_length, slerp
from gan_jax.metrics.two_sample.frechet import (
  Gaussian,
  Moments,
  class_frechet_distances,
  frechet_distance,
  merge,
  moments,
)
from gan_jax.metrics.two_sample.memorisation import (
  DataCopying,
  Neighbours,
  data_copying,
  nearest_neighbours,
)
from gan_jax.metrics.two_sample.mmd import (
  kernel_distance,
  polynomial_mmd,
  rbf_mmd,
  squared_mmd,
)
from gan_jax.metrics.two_sample.prdc import PRDC, prdc
from gan_jax.metrics.two_sample.sliced_wasserstein import (
  random_directions,
  sliced_wasserstein_distance,
)
