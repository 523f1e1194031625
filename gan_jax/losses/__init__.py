"""Goals of the players: adversarial losses, objectives with memory, regularizers."""

from gan_jax.losses.adversarial import (
  LOSSES,
  AdversarialLoss,
  Side,
  check_loss,
  depends_on_others,
  f_gan,
  hinge,
  least_squares,
  maximum_likelihood,
  minimax,
  non_saturating,
  reaches_real,
  relativistic,
  relativistic_average,
  relativistic_average_hinge,
  relativistic_average_least_squares,
  smooth,
  wasserstein,
)
from gan_jax.losses.conditional import conditional_contrastive, crammer_singer, data_to_data
from gan_jax.losses.consistency import affine, flip_and_shift, jitter
from gan_jax.losses.divergences import (
  DIVERGENCES,
  Divergence,
  jensen_shannon,
  kl,
  neyman,
  pearson,
  reverse_kl,
  squared_hellinger,
  total_variation,
)
from gan_jax.losses.generator_terms import feature_matching, top_k
from gan_jax.losses.self_supervised import info_nce, rotate_batch
