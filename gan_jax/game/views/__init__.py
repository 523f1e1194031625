"""Views: what the discriminator sees in the place of examples; `view` has noise and packing.

`pipe` holds the transforms of ADA, functions of images and values alone.
"""

from collections.abc import Callable

from gan_jax.game.views.adaptive import ada
from gan_jax.game.views.differentiable import diffaugment
from gan_jax.game.views.pipe.options import PIPES, Pipe
from gan_jax.game.views.view import (
  View,
  Views,
  apply_views,
  augmentation,
  first_inside,
  gaussian_noise,
  memory_of,
  metrics_of,
  packing,
  updated,
)

# Of options by keyword, each with a default; a user's own join them (`run.config.register`).
AUGMENTATIONS: dict[str, Callable[..., View | None]] = {
  "none": lambda: None,
  "ada": ada,
  "diffaugment": diffaugment,
}
