"""The classification accuracy score: how well generated images teach what real ones show."""

from collections.abc import Mapping

import numpy as np

from gan_jax.metrics.features import classifier


def classification_accuracy_score(
  real: Mapping[str, np.ndarray], fake: Mapping[str, np.ndarray], num_classes: int
) -> float:
  """Trains a classifier on labelled generated images and tests it on real ones.

  Ravuri & Vinyals 2019 (arXiv:1905.10887), who trained a ResNet-50; here it is the small network of
  `gan_jax.metrics.features.classifier` by its frozen recipe, so compare scores only with the same
  version of it. What the same network learns from real images is the number to hold it against.

  Args:
    real: images to test on, {"x": uint8 [n, H, W, C], "y": integers [n]}.
    fake: images to train on, and the classes the generator was asked for; the same form.
    num_classes: labels are 0 to num_classes - 1.

  Returns:
    The share of real images that are named rightly, 0 to 1.

  Raises:
    ValueError: arrays that do not fit; "train" in the message is `fake` and "test" is `real`.
  """
  return classifier.fit(fake, real, num_classes).accuracy
