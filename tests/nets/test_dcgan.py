"""DCGAN: sizes, parameter counts by hand, and the start."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.dcgan import DCGANDiscriminator, DCGANGenerator, stages

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
  variables = jax.jit(functools.partial(net.init, train=False))(KEY, jnp.zeros((1, 50)))
  weights = np.ravel(variables["params"]["Dense_0"]["kernel"])
  np.testing.assert_allclose([weights.mean(), weights.std()], [0, 0.02], atol=1e-3)
  bright = jax.jit(functools.partial(net.apply, train=False))(variables, np.full((1, 50), 1e4, "f"))
  assert 0.9 < np.abs(bright).max() <= 1
  sigmoid = jax.jit(functools.partial(net.clone(output="sigmoid").apply, train=False))
  half = sigmoid(variables, jnp.zeros((1, 50)))
  np.testing.assert_allclose(half, 0.5)


SIZES = [
  ((28, 28), 2),
  ((32, 32), 3),
  ((64, 64), 4),
  ((2, 30), 1),
  ((48, 96), 3),
  ((8, 1024), 1),
  ((1000,), 3),
  ((1024,), 8),
  ((16, 16, 16), 2),
]


@pytest.mark.parametrize(("sides", "count"), SIZES)
def test_sides_are_halved_while_they_are_even_and_not_small(sides, count):
  """Kernels of a discriminator, and the first layer of a generator, have the widths."""
  assert stages((*sides, 3)) == count
  out, made = shapes(DCGANGenerator((*sides, 3), width=2), jnp.zeros((2, 4)))
  assert out.shape == (2, *sides, 3)
  _, judge = shapes(DCGANDiscriminator(width=2), jnp.zeros(out.shape))
  kernels = [judge["params"][f"StridedConv_{i}"]["kernel"].shape for i in range(count)]
  widths = [min(2 * 2**i, 16) for i in range(count)]
  assert [kernel[:-2] for kernel in kernels] == [(4,) * len(sides)] * count
  assert [kernel[-1] for kernel in kernels] == widths
  assert made["params"]["Dense_0"]["kernel"].shape[1] == (
    widths[-1] * np.prod([side // 2**count for side in sides])
  )


@pytest.mark.parametrize("shape", [(8, 2), (8, 4, 8, 1)])
@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "spectral"])
def test_series_and_volumes_have_every_norm_and_labels(shape, norm):
  y = jnp.array([0, 1, 2])
  for net, x in (
    (DCGANGenerator(shape, width=2, norm=norm, num_classes=3), jnp.ones((3, 4))),
    (DCGANDiscriminator(width=2, norm=norm, num_classes=3), jnp.ones((3, *shape))),
  ):
    train = lambda net=net, x=x: net.init_with_output(KEY, x, y, train=True)[0]
    assert jax.eval_shape(train).shape == ((3, *shape) if x.ndim == 2 else (3,))


@pytest.mark.parametrize(
  ("shape", "nearest"),
  [
    ((31, 30, 1), "31 x 30 the nearest are 30 x 30 and 32 x 30"),
    ((1, 6), "1 the nearest are 2 and 2"),
    ((5, 4, 7, 1), "5 x 4 x 7 the nearest are 4 x 4 x 6 and 6 x 4 x 8"),
    ((3,), "series .*, images .* and volumes"),
  ],
)
def test_sizes_that_cannot_be_name_the_nearest(shape, nearest):
  with pytest.raises(ValueError, match=nearest):
    shapes(DCGANGenerator(shape), jnp.zeros((1, 2)))
  with pytest.raises(ValueError, match=nearest):
    shapes(DCGANDiscriminator(), jnp.zeros((1, *shape)))
