"""DCGAN: sizes, parameter counts by hand, and the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.dcgan import DCGANDiscriminator, DCGANGenerator

KEY = jax.random.key(0)


def shapes(net, x):
  return jax.eval_shape(lambda: net.init_with_output(KEY, x, train=False))


def count(variables):
  return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def paper_generator(width, maps, size, channels, latent):
  """Counts weights, scales and shifts: a dense layer, transposed convolutions, a last bias."""
  total = latent * size**2 * width + 2 * width
  for _ in range(maps - 1):
    total += 16 * width * (width // 2) + 2 * (width // 2)
    width //= 2
  return total + 16 * width * channels + channels


def paper_discriminator(width, maps, size, channels):
  total = 16 * channels * width + width
  for _ in range(maps - 1):
    total += 16 * width * (2 * width) + 2 * (2 * width)
    width *= 2
  return total + size**2 * width + 1


@pytest.mark.parametrize("size, maps, smallest", [(28, 2, 7), (32, 3, 4), (64, 4, 4)])
def test_parameter_counts_by_hand(size, maps, smallest):
  out, made = shapes(DCGANGenerator((size, size, 3)), jnp.zeros((2, 100)))
  assert out.shape == (2, size, size, 3)
  assert count(made) == paper_generator(64 * 2 ** (maps - 1), maps, smallest, 3, 100)
  _, made = shapes(DCGANDiscriminator(), jnp.zeros((2, size, size, 3)))
  assert count(made) == paper_discriminator(64, maps, smallest, 3)


def test_published_generator_of_64_pixels():
  """The generator of PyTorch's DCGAN example has 3,576,704 parameters, and no last bias."""
  _, made = shapes(DCGANGenerator((64, 64, 3)), jnp.zeros((2, 100)))
  assert count(made) - 3 == 3_576_704


@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "spectral", "none"])
def test_norm_is_a_choice(norm):
  _, made = shapes(DCGANDiscriminator(norm=norm), jnp.zeros((2, 28, 28, 1)))
  layer = made["params"]["StridedConv_1"]
  assert ("bias" in layer) == (norm in ("spectral", "none"))
  assert ("Norm_0" in made["params"]) == (norm in ("batch", "layer", "instance"))
  kept = {"batch": {"Norm_0"}, "spectral": {"StridedConv_0", "StridedConv_1", "Logit_0"}}
  assert set(made.get("batch_stats", {})) == kept.get(norm, set())


def test_weights_start_normal_and_outputs_are_bounded():
  net = DCGANGenerator((28, 28, 1), width=1)
  variables = net.init(KEY, jnp.zeros((1, 50)), train=False)
  weights = np.ravel(variables["params"]["Dense_0"]["kernel"])
  np.testing.assert_allclose([weights.mean(), weights.std()], [0, 0.02], atol=1e-3)
  bright = net.apply(variables, 1e4 * jnp.ones((1, 50)), train=False)
  assert 0.9 < np.abs(bright).max() <= 1
  half = net.clone(output="sigmoid").apply(variables, jnp.zeros((1, 50)), train=False)
  np.testing.assert_allclose(half, 0.5)


def test_unsupported_sizes_list_the_supported_ones():
  message = r"of 28, 32, 64 pixels; got \(30, 30, 1\)"
  with pytest.raises(ValueError, match=message):
    shapes(DCGANGenerator((30, 30, 1)), jnp.zeros((1, 2)))
  with pytest.raises(ValueError, match=message):
    shapes(DCGANDiscriminator(), jnp.zeros((1, 30, 30, 1)))
