"""SNGAN: the published parameter counts, and the blocks by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import layers, sngan
from gan_jax.nets.sngan import SNGANDiscriminator, SNGANGenerator

KEY = jax.random.key(0)


def shapes(net, x, y=None):
  return jax.eval_shape(lambda: net.init_with_output(KEY, x, y, train=False))


def count(variables):
  return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def conv(inputs, outputs, window=9):
  return window * inputs * outputs + outputs


def norm(channels):
  return 2 * channels


def test_cifar10_generator_of_the_paper():
  """Table 4 of arXiv:1802.05957: dense to 4x4x256, three blocks of 256, 3x3 convolution."""
  block = norm(256) + conv(256, 256) + norm(256) + conv(256, 256) + conv(256, 256, window=1)
  total = (128 + 1) * 4 * 4 * 256 + 3 * block + norm(256) + conv(256, 3)
  out, made = shapes(SNGANGenerator((32, 32, 3)), jnp.zeros((2, 128)))
  assert count(made) == total == 4_276_739
  assert out.shape == (2, 32, 32, 3)


def test_cifar10_discriminator_of_the_paper():
  """Table 4 of arXiv:1802.05957: two blocks of 128 that halve, two that do not, sum, dense."""
  first = conv(3, 128) + conv(128, 128) + conv(3, 128, window=1)
  second = 2 * conv(128, 128) + conv(128, 128, window=1)
  total = first + second + 2 * 2 * conv(128, 128) + 128 + 1
  _, made = shapes(SNGANDiscriminator(), jnp.zeros((2, 32, 32, 3)))
  assert count(made) == total == 1_053_825


def test_imagenet_networks_of_the_paper():
  """Tables 5 and 6 of arXiv:1802.05957, for 128 pixels."""
  widths = [1024, 1024, 512, 256, 128, 64]
  pairs = list(itertools.pairwise(widths))
  block = lambda i, o: norm(i) + conv(i, o) + norm(o) + conv(o, o) + conv(i, o, window=1)
  total = 129 * 16 * 1024 + sum(block(*pair) for pair in pairs) + norm(64) + conv(64, 3)
  out, made = shapes(SNGANGenerator((128, 128, 3)), jnp.zeros((1, 128)))
  assert count(made) == total
  assert out.shape == (1, 128, 128, 3)

  widths = [64, 128, 256, 512, 1024]
  block = lambda i, o: conv(i, i) + conv(i, o) + conv(i, o, window=1)
  total = conv(3, 64) + conv(64, 64) + conv(3, 64, window=1)
  total += sum(block(*pair) for pair in itertools.pairwise(widths))
  total += 2 * conv(1024, 1024) + 1024 + 1
  _, made = shapes(SNGANDiscriminator(), jnp.zeros((1, 128, 128, 3)))
  assert count(made) == total


@pytest.mark.parametrize("size", [32, 48, 64, 128])
def test_sizes(size):
  out, _ = shapes(SNGANGenerator((size, size, 1), width=2), jnp.zeros((2, 8)))
  assert out.shape == (2, size, size, 1)
  logits, _ = shapes(SNGANDiscriminator(width=2), jnp.zeros((2, size, size, 1)))
  assert logits.shape == (2,)


def test_labels_add_a_norm_by_class_and_a_projection():
  y = jnp.zeros((2,), jnp.int32)
  plain = count(shapes(SNGANGenerator((32, 32, 3)), jnp.zeros((2, 128)))[1])
  _, made = shapes(SNGANGenerator((32, 32, 3), num_classes=10), jnp.zeros((2, 128)), y)
  assert count(made) - plain == 7 * norm(256) * (10 - 1)
  _, made = shapes(SNGANDiscriminator(num_classes=10), jnp.zeros((2, 32, 32, 3)), y)
  assert count(made) == 1_053_825 + 10 * 128


def test_every_weight_of_the_discriminator_is_normalised():
  net = SNGANDiscriminator(width=4, num_classes=3, attention=16)
  _, made = shapes(net, jnp.zeros((2, 32, 32, 3)), jnp.zeros((2,), jnp.int32))
  kernels = {
    path[:-1]
    for path, _ in jax.tree_util.tree_flatten_with_path(made["params"])[0]
    if path[-1].key == "kernel"
  }
  vectors = {path[:-2] for path, _ in jax.tree_util.tree_flatten_with_path(made["batch_stats"])[0]}
  assert kernels == vectors and len(kernels) == 8 + 2 + 4 + 2


@pytest.mark.parametrize("make", [lambda **o: SNGANGenerator((32, 32, 3), **o), SNGANDiscriminator])
def test_attention_has_its_place(make):
  x = jnp.zeros((2, 32, 32, 3)) if make is SNGANDiscriminator else jnp.zeros((2, 8))
  plain, attending = (shapes(make(width=8, attention=a), x)[1] for a in (0, 16))
  assert count(attending) - count(plain) == 3 * 8 + 8 + 1
  heights = "16, 8" if make is SNGANDiscriminator else "8, 16, 32"
  with pytest.raises(ValueError, match=f"attention = 20: the maps here are {heights} high"):
    shapes(make(attention=20), x)


def test_changes_of_size_by_hand():
  x = jnp.arange(4.0).reshape(1, 2, 2, 1)
  large = layers.double(x)[0, :, :, 0]
  np.testing.assert_array_equal(large, [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
  np.testing.assert_array_equal(layers.halve(layers.double(x)), x)
  np.testing.assert_array_equal(layers.halve(x).ravel(), [1.5])


def test_blocks_with_silent_residuals_are_their_shortcuts():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 3)), jnp.float32)
  halving = sngan.DiscriminatorBlock(5, "none", jnp.float32, None, halve=True, first=False)
  doubling = sngan.GeneratorBlock(5, "none", jnp.float32, None)
  for net, arguments, change in (
    (halving, (x,), layers.halve),
    (doubling, (x, None), layers.double),
  ):
    made = jax.eval_shape(functools.partial(net.init, train=False), KEY, *arguments)
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), made["params"])
    params["Dense_0"]["kernel"] = jnp.arange(15.0).reshape(3, 5)
    expected = change(x) @ params["Dense_0"]["kernel"]
    out = jax.jit(functools.partial(net.apply, train=True))({"params": params}, *arguments)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_unsupported_sizes_list_the_supported_ones():
  with pytest.raises(ValueError, match=r"of 32, 48, 64, 128 pixels; got \(28, 28, 1\)"):
    shapes(SNGANDiscriminator(), jnp.zeros((1, 28, 28, 1)))
