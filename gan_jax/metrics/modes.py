"""How many modes of a mixture a generator finds, and how well it hits them.

Metz et al. 2017 (arXiv:1611.02163), Srivastava et al. 2017 (arXiv:1705.07761), Lin et al. 2018
(arXiv:1712.04086).
"""

import numpy as np

from gan_jax.metrics.coverage import divergence


def mode_coverage(samples: np.ndarray, centers: np.ndarray, std: float) -> dict[str, float]:
  """Scores samples against a mixture of equally likely isotropic Gaussians.

  A sample is of high quality within 3 std of its nearest mode (of the mixture's own samples in two
  dimensions 98.9% are), and a mode counts with at least one sample of high quality.

  Args:
    samples: [n, d]; points that are not finite are simply of low quality.
    centers: [m, d].
    std: standard deviation of every mode, along each axis.

  Returns:
    "modes": 0 to m. "high_quality": share of the samples, 0 to 1. "kl": KL(p_model ‖ uniform) in
    nats over the modes of the samples of high quality, 0 to log m, or inf if there are none.

  Raises:
    ValueError: shapes that do not fit.
  """
  x, centers = np.asarray(samples, np.float64), np.asarray(centers, np.float64)
  if x.ndim != 2 or len(x) == 0 or centers.ndim != 2 or x.shape[1] != centers.shape[1]:
    raise ValueError(
      f"samples {list(x.shape)} do not fit centers {list(centers.shape)}: expected [n, d] with"
      " n >= 1, and [m, d]"
    )
  distance = np.linalg.norm(x[:, None] - centers, axis=-1)  # [n, m]
  nearest = distance.argmin(axis=1)[distance.min(axis=1) <= 3 * std]
  counts = np.bincount(nearest, minlength=len(centers))
  return {
    "modes": float((counts > 0).sum()),
    "high_quality": len(nearest) / len(x),
    "kl": divergence(counts, np.ones(len(centers))),
  }
