"""Filters by hand, and layers that resample as a filter and a convolution, one after the other."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.convolution.resampling import conv_down, conv_up, downsample, resample, upsample


def test_filters_by_hand():
  """The filter is turned around unless flipped; its sum is 1 but for the gain."""
  x = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(100.0)
  around = ((1, 2), (1, 2))
  y = resample(x, (1, 2, 3, 4), padding=around)[0, :, :, 0]
  np.testing.assert_allclose(y, np.outer([2, 3, 4], [2, 3, 4]), rtol=1e-6)
  y = resample(x, (1, 2, 3, 4), padding=around, flip=True)[0, :, :, 0]
  np.testing.assert_allclose(y, np.outer([3, 2, 1], [3, 2, 1]), rtol=1e-6)
  y = resample(x, (1, 1), down=2, padding=((-1, 0), (0, 1)), gain=2)[0, :, :, 0]
  np.testing.assert_allclose(y, [[50, 0]], rtol=1e-6)
  ones = jnp.ones((1, 4, 6, 1))
  for y, edge, shape in ((upsample(ones), 0.75, (8, 12)), (downsample(ones), 7 / 8, (2, 3))):
    assert y.shape == (1, *shape, 1)
    line = np.array([edge, *[1.0] * (shape[1] - 2), edge])
    column = np.array([edge, *[1.0] * (shape[0] - 2), edge])
    np.testing.assert_allclose(y[0, :, :, 0], np.outer(column, line), rtol=1e-6)


@pytest.mark.parametrize("taps", [(1.0, 2.0, 4.0, 3.0), (1.0, 2.0, 4.0)], ids=["even", "odd"])
@pytest.mark.parametrize("size", [1, 3])
def test_layers_that_resample_are_a_filter_and_a_convolution(size, taps):
  """With a filter that is not symmetric, wider than tall, of as many zeros around as published."""
  k_key, x_key = jax.random.split(jax.random.key(0))
  k = jax.random.normal(k_key, (size, size, 2, 3))
  x = jax.random.normal(x_key, (2, 4, 6, 2))
  conv = lambda x, k, stride: jax.lax.conv_general_dilated(
    x, k, (stride,) * 2, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )

  @jax.jit
  def both(x, k):
    sides = size // 2 + (len(taps) - 1) // 2, size // 2 + (len(taps) - 2) // 2
    down = conv(resample(x, taps, padding=(sides, sides)), k, 2)
    sides = size // 2 + (len(taps) + 1) // 2, size // 2 + (len(taps) - 2) // 2
    zeros = resample(x, (1.0,), up=2, padding=(sides, sides))
    up = resample(conv(zeros, k[::-1, ::-1], 1), taps, gain=4)
    return (down, conv_down(x, k, taps)), (up, conv_up(x, k, taps))

  for apart, together in both(x, k):
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-5 * np.abs(apart).max())


@pytest.mark.parametrize("resampled", [upsample, downsample])
def test_bfloat16_is_rounded_once(resampled):
  """The value and the gradient are those of float32, to the bit."""
  x = jax.random.normal(jax.random.key(0), (2, 4, 6, 3)).astype(jnp.bfloat16)

  g = jax.random.normal(jax.random.key(1), jax.eval_shape(resampled, x).shape).astype(x.dtype)

  @jax.jit
  def both(x, g):
    y, pull = jax.vjp(resampled, x)
    return y, *pull(g)

  wide = both(x.astype(jnp.float32), g.astype(jnp.float32))
  for narrow, exact in zip(both(x, g), wide, strict=True):
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_array_equal(narrow, exact.astype(jnp.bfloat16))


def test_other_backends_add_up_in_the_type_of_images(monkeypatch):
  text = lambda: str(jax.make_jaxpr(lambda x: downsample(x))(jnp.zeros((1, 4, 4, 1), jnp.bfloat16)))
  assert "f32[1,4,4,1]" in text()
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  assert "f32" not in text()


@pytest.mark.parametrize("resampled", [upsample, downsample])
def test_batches_of_unknown_size_are_padded_between_no_pixels(resampled):
  """ONNX has no such padding; the numbers are the same, to rounding of sums in another order."""
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 3)), jnp.float32)
  shape = (*jax.export.symbolic_shape("n"), *x.shape[1:])
  exported = jax.export.export(jax.jit(resampled))(jax.ShapeDtypeStruct(shape, x.dtype))
  assert not re.search(r"interior = array<i64: [^>]*[1-9]", exported.mlir_module())
  np.testing.assert_allclose(exported.call(x), resampled(x), rtol=0, atol=1e-6)
