"""Discriminators of frozen features: what is frozen, what is mixed, and what is learned."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax.metrics.features.classifier import Network, bundled_weights
from gan_jax.nets.projected import ProjectedDiscriminator
from gan_jax.nets.projected.features import EXTRACTORS, frozen_kernel, mix
from gan_jax.run.config import default_config, network
from gan_jax.run.experiment import build

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype(np.uint8)
PIXELS = jnp.asarray(IMAGES / 127.5 - 1, jnp.float32)


def test_features_of_the_classifier_are_its_own_maps():
  apply = functools.partial(Network(10).apply, capture_intermediates=True)
  _, state = jax.jit(apply)({"params": bundled_weights()}, IMAGES)
  found = jax.jit(lambda x: EXTRACTORS["classifier"](x, 0, 0))(PIXELS)
  for name, maps in zip(("Conv_0", "Conv_1"), found, strict=True):
    expected = nn.relu(state["intermediates"][name]["__call__"][0])
    np.testing.assert_allclose(maps, expected, atol=1e-5)  # sums of 800 products of order 0.01


def test_maps_are_mixed_from_the_coarsest_up():
  """Of constant maps, which stay so when they are doubled, by products alone."""
  rows = [np.array([[1.0, -2.0]]), np.array([[0.5, 3.0, 1.0]])]
  spread = lambda row, side: jnp.asarray(np.broadcast_to(row, (1, side, side, row.shape[1])))
  maps = [spread(row, side) for row, side in zip(rows, (4, 2), strict=True)]
  kernel = lambda name, inputs: np.float64(frozen_kernel(3, name, (inputs, 2), gain=1.0))
  channels = [row @ kernel(f"channels {i}", row.shape[1]) for i, row in enumerate(rows)]
  coarse = channels[1] @ kernel("scales 1", 2)
  fine = (channels[0] + coarse) @ kernel("scales 0", 2)
  for scales, expected in ((False, channels), (True, [fine, coarse])):
    for x, row, side in zip(mix(maps, 2, 3, scales=scales), expected, (4, 2), strict=True):
      assert x.shape == (1, side * (1 + scales), side * (1 + scales), 2)
      np.testing.assert_allclose(x, np.broadcast_to(row, x.shape), rtol=1e-5, atol=1e-5)


def test_weights_at_random_are_of_the_seed_alone():
  draw = lambda seed: frozen_kernel(seed, "features 0", (4, 4, 8, 64), gain=2.0)
  kernel = draw(0)
  np.testing.assert_allclose(kernel.std(), 2 / np.sqrt(4 * 4 * 8), rtol=0.03)  # of 8192 draws
  assert np.any(kernel != draw(1))
  with jax.enable_x64(True), jax.default_prng_impl("rbg"):
    np.testing.assert_array_equal(jax.jit(lambda: draw(0))(), kernel)


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_heads_alone_are_learned_and_slopes_reach_the_pixels(extractor):
  net = ProjectedDiscriminator(extractor=extractor, feature_width=4, width=2, dtype=jnp.bfloat16)
  variables = jax.jit(functools.partial(net.init, train=False))(jax.random.key(0), PIXELS)
  names = {"_".join(name.split("_")[:2]) for name in variables["params"]}
  assert names == {"head_0", "head_1"}
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}

  def penalty(params, x):
    logits = lambda x: net.apply({**variables, "params": params}, x, train=False)
    slope = jax.grad(lambda x: jnp.sum(logits(x)))(x)
    return jnp.mean(jnp.sum(slope**2, axis=(1, 2, 3))), (logits(x), slope)

  differentiate = jax.jit(jax.value_and_grad(penalty, has_aux=True))
  (_, (logits, slope)), grads = differentiate(variables["params"], PIXELS)
  # Maps of 28 and 14 pixels are halved to 7 x 7.
  assert logits.shape == (4, 2 * 7 * 7) and logits.dtype == jnp.float32
  assert jnp.all(jnp.any(slope != 0, axis=(1, 2, 3)))
  assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
  assert jnp.any(grads["head_0_logits"]["kernel"] != 0)


def test_what_an_extractor_was_not_trained_on_is_refused():
  with pytest.raises(ValueError, match="one channel and sides that 4 divides; got"):
    EXTRACTORS["classifier"](jnp.zeros((2, 28, 28, 3)), 0, 0)
  with pytest.raises(ValueError, match="Unknown extractor 'vgg'; expected one of random"):
    ProjectedDiscriminator(extractor="vgg").init(jax.random.key(0), PIXELS, train=False)
  config = default_config()
  config.data, config.data_options.pixel_range = "digits8x8", (0.0, 1.0)
  config.generator = network("mlp_generator", hidden=(8,), output="sigmoid")
  config.discriminator = network("projected_discriminator", extractor="classifier")
  with pytest.raises(ValueError, match=r"of pixels in \(-1, 1\), and the data's are in \(0"):
    build(config)
