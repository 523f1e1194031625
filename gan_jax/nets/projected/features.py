"""Features of images by networks that nothing moves.

Their weights are constants of the program: drawn from a seed, or read from a file of the package.
No player owns them, no ema averages them, and no checkpoint holds them, as the config does.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gan_jax.game.random import fixed, make_key, named_key
from gan_jax.metrics.features.classifier import bundled_weights
from gan_jax.nets.convolution import forms
from gan_jax.nets.dcgan import stages

Maps = list[jax.Array]  # [B, H, W, C], from the finest to the coarsest, each half the one before


def random_features(x: jax.Array, width: int, seed: int) -> Maps:
  """Computes maps of halved sides by strided convolutions with weights at random.

  Args:
    x: images [B, H, W, C] of even sides, halved as `dcgan.stages` says.
    width: channels of the first map; each after it has twice as many.
    seed: of the weights, which are of He et al. 2015 (arXiv:1502.01852).
  """
  maps: Maps = []
  for stage in range(stages(x.shape[1:])):
    shape = (4, 4, x.shape[-1], width * 2**stage)
    kernel = frozen_kernel(seed, f"features {stage}", shape, gain=2**0.5)
    x = nn.leaky_relu(forms.strided_conv(x, jnp.asarray(kernel)), 0.2)
    maps.append(x)
  return maps


def classifier_features(x: jax.Array, width: int, seed: int) -> Maps:
  """Computes the two maps of the classifier of the bundled digits that scores are of.

  Args:
    x: images [B, H, W, 1] in [-1, 1], with sides that 4 divides.
    width: unused, as the maps have 32 and 64 channels.
    seed: unused, as the weights are in the package.

  Raises:
    ValueError: for other images.
  """
  if x.ndim != 4 or x.shape[-1] != 1 or any(side % 4 for side in x.shape[1:3]):
    raise ValueError(
      "The extractor 'classifier' is of images of one channel and sides that 4 divides; got "
      f"{x.shape[1:]}. Choose 'random' instead."
    )
  maps, weights, x = [], bundled_weights(), (x + 1) / 2
  for layer in ("Conv_0", "Conv_1"):
    # A window of 5 at stride 2 is one of 6 whose first row and column are 0.
    kernel = np.pad(weights[layer]["kernel"], ((1, 0), (1, 0), (0, 0), (0, 0)))
    x = forms.strided_conv(x, jnp.asarray(kernel))
    x = nn.relu(x + forms.spread(weights[layer]["bias"], x.shape).astype(x.dtype))
    maps.append(x)
  return maps


EXTRACTORS: dict[str, Callable[[jax.Array, int, int], Maps]] = {
  "random": random_features,
  "classifier": classifier_features,
}


def mix(maps: Maps, width: int, seed: int, *, scales: bool) -> Maps:
  """Mixes channels, and scales from the coarsest map up, by weights at random.

  Projected GANs, Sauer et al. 2021 (arXiv:2111.01007), section 3.2: 1x1 convolutions of each map;
  then each is added to the one above it, doubled, and convolved by 1x1 again, as in the published
  code, whose maps have twice the sides afterwards.

  Args:
    maps: from the finest to the coarsest.
    width: channels of what is returned.
    seed: of the weights.
    scales: whether scales are mixed too.

  Returns:
    As many maps, with twice the sides if scales are mixed.
  """
  project = lambda x, name: forms.dense(
    x, jnp.asarray(frozen_kernel(seed, name, (x.shape[-1], width), gain=1.0))
  )
  mixed = [project(x, f"channels {i}") for i, x in enumerate(maps)]
  if not scales:
    return mixed
  below: jax.Array | None = None
  for i in reversed(range(len(mixed))):
    x = mixed[i] if below is None else mixed[i] + below
    b, h, w, _ = x.shape
    doubled = jax.image.resize(x, (b, 2 * h, 2 * w, width), "linear")
    below = mixed[i] = project(doubled, f"scales {i}")
  return mixed


@fixed
def frozen_kernel(seed: int, name: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
  """Draws a kernel [..., I, O] of N(0, gain² / (... I)), float32, from a seed and a name."""
  # Evaluated while the program is traced, of which the numbers are constants.
  with jax.ensure_compile_time_eval():
    kernel = jax.random.normal(named_key(make_key(seed), name), shape, jnp.float32)
    return np.asarray(kernel) * np.float32(gain * np.prod(shape[:-1]) ** -0.5)
