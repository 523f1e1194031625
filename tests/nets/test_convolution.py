"""The fast convolutions against XLA's, by value and by derivative, under every transformation."""

import functools
import re
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from loops import loop_results

from gan_jax.nets.convolution import chunks, direct, forms, im2col, winograd


class Form(NamedTuple):
  fast: object  # by matrix products
  plain: object  # by XLA
  public: object
  scale: int  # height of x over that which `arguments` is told
  window: tuple[int, int]


FORMS = {
  "down": Form(
    functools.partial(im2col.im2col_conv, im2col.Window((4, 4), 2)),
    forms.lax_strided_conv,
    forms.strided_conv,
    scale=2,
    window=(4, 4),
  ),
  "up": Form(
    forms.matmul_transposed_conv,
    forms.lax_transposed_conv,
    forms.transposed_conv,
    scale=1,
    window=(4, 4),
  ),
  "same": Form(forms.matmul_conv, forms.lax_conv, forms.conv, scale=1, window=(3, 3)),
  "tiles": Form(winograd.winograd_conv, forms.lax_conv, forms.conv, scale=1, window=(3, 3)),
  "direct": Form(direct.direct_conv, forms.lax_conv, forms.conv, scale=1, window=(3, 3)),
}
TOLERANCE = {"float32": 1e-5, "bfloat16": 3e-2}


@pytest.fixture
def small_chunks(monkeypatch):
  """Cuts the batch into chunks of one example, as large layers do on one device."""
  monkeypatch.setattr(jax, "device_count", lambda: 1)
  monkeypatch.setattr(chunks, "PATCH_BYTES", 1)


def arguments(kind, batch=3, height=3, width=2, inputs=3, outputs=5, dtype="float32", window=None):
  random = np.random.default_rng(0)
  scale, window = FORMS[kind].scale, window or FORMS[kind].window
  x = random.normal(size=(batch, scale * height, scale * width, inputs))
  k = random.normal(size=(*window, inputs, outputs)) / np.sqrt(np.prod(window) * inputs)
  return jnp.asarray(x, dtype), jnp.asarray(k, jnp.float32)


def close(actual, expected, dtype="float32", tolerance=None):
  for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
    assert a.shape == b.shape and a.dtype == b.dtype
    a, b = np.float32(a), np.float32(b)
    scale = np.abs(b).max() + 1e-6
    np.testing.assert_allclose(a, b, rtol=0, atol=(tolerance or TOLERANCE[dtype]) * scale)


def total(form):
  return lambda x, k: jnp.sum(jnp.sin(form(x, k).astype(jnp.float32)))


def penalty(form):
  """A gradient penalty, whose gradient needs second derivatives."""
  return lambda x, k: jnp.sum(jax.grad(total(form))(x, k).astype(jnp.float32) ** 2)


def test_down_by_hand():
  x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  ones = jnp.ones((4, 4, 1, 1))
  # Windows cover rows and columns -1 to 2 and 1 to 4, of which 0 to 3 exist: nine numbers each.
  expected = [[45, 54], [81, 90]]
  np.testing.assert_allclose(forms.strided_conv(x, ones)[0, :, :, 0], expected)


def test_up_by_hand():
  """One lit place paints the kernel, turned by 180 degrees as lax.conv_transpose has it."""
  kernel = jnp.arange(16.0).reshape(4, 4, 1, 1)
  painted = forms.transposed_conv(jnp.zeros((1, 3, 3, 1)).at[0, 1, 1].set(2.0), kernel)[0, :, :, 0]
  expected = np.zeros((6, 6))
  expected[1:5, 1:5] = 2 * np.arange(16.0).reshape(4, 4)[::-1, ::-1]
  np.testing.assert_allclose(painted, expected)


def test_same_by_hand():
  """The middle of each window is its own place, and beyond the border there is nothing."""
  x = jnp.arange(1.0, 7.0).reshape(1, 2, 3, 1)
  ones = jnp.ones((3, 3, 1, 1))
  np.testing.assert_allclose(forms.conv(x, ones)[0, :, :, 0], [[12, 21, 16], [12, 21, 16]])
  right = jnp.zeros((3, 3, 1, 1)).at[1, 2].set(1.0)
  np.testing.assert_array_equal(forms.conv(x, right)[0, :, :, 0], [[2, 3, 0], [5, 6, 0]])


def orders(form):
  """The value, gradients and second-order gradients."""
  return jax.jit(
    lambda x, k: (
      form(x, k),
      jax.grad(total(form), (0, 1))(x, k),
      jax.grad(penalty(form), (0, 1))(x, k),
    )
  )


def by_block_diagonal(x, k):
  return direct.direct_conv(x, forms.block_diagonal(k, x.shape[-1] // k.shape[-2]))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("form", [forms.matmul_grouped_conv, by_block_diagonal])
def test_groups_agree_with_lax(form, dtype):
  """At every order, with more channels out than in."""
  random = np.random.default_rng(0)
  x = jnp.asarray(random.normal(size=(3, 4, 2, 6)), dtype)
  k = jnp.asarray(random.normal(size=(3, 3, 2, 9)) / 4, jnp.float32)
  expected = orders(forms.lax_grouped_conv)(x, k)
  close(orders(form)(x, k), expected, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", FORMS)
def test_agrees_with_lax(kind, dtype):
  """At every order, with an odd batch."""
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind, dtype=dtype)
  close(orders(fast)(x, k), orders(plain)(x, k), dtype)


@pytest.mark.parametrize("kind", ["down", "up"])
def test_even_windows_agree_with_lax(kind):
  """Wider than tall, by value and by gradient."""
  x, k = arguments(kind, inputs=2, outputs=3, window=(2, 6))
  both = [
    jax.value_and_grad(total(form), (0, 1)) for form in (FORMS[kind].public, FORMS[kind].plain)
  ]
  close(*jax.jit(lambda *given: tuple(form(*given) for form in both))(x, k))


# Window, height and width, channels in and out: patches are of the side that has fewer channels.
SAME_SHAPES = [
  ((1, 1), (5, 3), (2, 3)),
  ((3, 3), (7, 4), (5, 5)),
  ((3, 3), (1, 2), (4, 1)),
  ((5, 5), (3, 6), (3, 2)),
  ((7, 5), (3, 6), (2, 3)),  # made axis by axis
  ((1, 3), (4, 5), (1, 2)),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("window", "size", "channels"), SAME_SHAPES)
def test_same_agrees_with_lax_whatever_the_window(window, size, channels, dtype):
  """At every order, also of windows that are larger than the image."""
  x, k = arguments("same", 3, *size, *channels, dtype, window)
  close(orders(forms.matmul_conv)(x, k), orders(forms.lax_conv)(x, k), dtype)


@pytest.mark.parametrize(
  ("window", "size"), [((5,), (4,)), ((7, 1), (3, 6)), ((3, 1, 3), (2, 1, 3))]
)
def test_direct_agrees_with_lax_whatever_the_window(window, size):
  """At every order, of one, two and three axes, also of windows that are larger than the image."""
  random = np.random.default_rng(0)
  x = jnp.asarray(random.normal(size=(3, *size, 2)), jnp.float32)
  k = jnp.asarray(random.normal(size=(*window, 2, 3)) / 4, jnp.float32)
  close(orders(direct.direct_conv)(x, k), orders(forms.lax_conv)(x, k))


@pytest.mark.parametrize("size", [(4,), (2, 1, 3)], ids=["series", "volumes"])
@pytest.mark.parametrize("kind", FORMS)
def test_other_numbers_of_axes_agree_with_lax(kind, size):
  """The value and the gradients, through the same matrix products."""
  _, plain, public, scale, (length, _) = FORMS[kind]
  random, window = np.random.default_rng(0), (length,) * len(size)
  x = jnp.asarray(random.normal(size=(3, *(scale * side for side in size), 2)), jnp.float32)
  k = jnp.asarray(random.normal(size=(*window, 2, 3)), jnp.float32)
  both = lambda form: jax.jit(lambda x, k: (form(x, k), jax.grad(total(form), (0, 1))(x, k)))
  close(both(public)(x, k), both(plain)(x, k))
  assert "conv_general_dilated" not in str(jax.make_jaxpr(both(public))(x, k))


@pytest.mark.parametrize("kind", FORMS)
def test_third_derivative_agrees_with_lax(kind):
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind, batch=1, height=1, width=1, inputs=2, outputs=1)
  third = lambda form: jax.jit(
    jax.grad(lambda x, k: jnp.sum(jax.grad(penalty(form), 1)(x, k) ** 2), (0, 1))
  )
  close(third(fast)(x, k), third(plain)(x, k), tolerance=1e-3)


@pytest.mark.parametrize("kind, dtype", [("down", "float32"), ("up", "bfloat16")])
def test_chunks_change_nothing(kind, dtype, small_chunks):
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind, batch=7, dtype=dtype)  # a shape of its own: traces are kept by shape
  both = lambda form: jax.jit(lambda x, k: (form(x, k), jax.grad(penalty(form), (0, 1))(x, k)))
  assert "scan" in str(jax.make_jaxpr(fast)(x, k))
  close(both(fast)(x, k), both(plain)(x, k), dtype)


@pytest.mark.parametrize("kind", ["down", "up", "tiles"])
def test_chunks_are_joined_as_bits(kind, small_chunks):
  """XLA on CPU would convert all 16-bit floats of a loop's results with every turn."""
  x, k = arguments(kind, batch=5, dtype="bfloat16")
  jaxpr = jax.make_jaxpr(jax.grad(total(FORMS[kind].fast), (0, 1)))(x, k)
  found = set(loop_results(jaxpr.jaxpr))
  assert "uint16" in found and "bfloat16" not in found


def test_tiles_of_16_bits_round_no_more_than_products():
  """Against float64: the root of the mean square, of a value and of the gradient in x."""
  x, k = arguments("tiles", 4, 8, 8, 32, 32, "bfloat16")
  both = lambda form: jax.jit(lambda x, k: (form(x, k), jax.vjp(form, x, k)[1](x)[0]))(x, k)
  wide = [np.pad(np.float64(x), [(0, 0), (1, 1), (1, 1), (0, 0)]), np.float64(k)]
  error = lambda y, k: np.std(
    np.float64(y)
    - sum(wide[0][:, i : i + 8, j : j + 8] @ k[i, j] for i in range(3) for j in range(3))
  )
  kernels = wide[1], wide[1][::-1, ::-1].swapaxes(2, 3)
  of_tiles, of_lax = (list(map(error, both(form), kernels)) for form in FORMS["tiles"][:2])
  assert all(a < b for a, b in zip(of_tiles, of_lax, strict=True))


def test_chunk_is_the_largest_divisor_that_fits(monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 1)
  monkeypatch.setattr(chunks, "PATCH_BYTES", 100)
  assert [chunks._chunk(64, each) for each in (1, 10, 12, 100, 1000)] == [64, 8, 8, 1, 1]
  assert chunks._chunk(7, 30) == 1
  monkeypatch.setattr(jax, "device_count", lambda: 2)
  assert chunks._chunk(64, 1000) == 64


# Layers as small as XLA can make them trip over its own simplifications; the last is a common one.
ODD_SHAPES = [(1, 1, 1, 3, 1), (2, 1, 1, 64, 128), (8, 7, 7, 64, 32)]


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("kind", FORMS)
def test_bfloat16_multiplies_at_every_shape(kind, shape):
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind, *shape, dtype="bfloat16")
  gradient = lambda form: jax.jit(jax.grad(total(form), (0, 1)))(x, k)
  close(gradient(fast), gradient(plain), "bfloat16")


@pytest.mark.parametrize("kind", FORMS)
def test_bfloat16_adds_up_in_float32(kind):
  """64 x 16 equal terms: exact in float32, stuck far below it in bfloat16."""
  fast, _, _, scale, window = FORMS[kind]
  x = jnp.ones((1, 4 * scale, 4 * scale, 512), jnp.bfloat16)
  y = jax.jit(fast)(x, jnp.full((*window, 512, 1), 2.0**-7))
  inner = y[0, 1, 1, 0]
  assert (
    float(inner) == {"down": 16, "up": 4, "same": 9, "tiles": 9, "direct": 9}[kind] * 512 / 2**7
  )
  assert y.dtype == jnp.bfloat16


@pytest.mark.parametrize("kind", FORMS)
def test_vmap_over_examples_and_kernels(kind):
  """A population: every member has its own images and kernel."""
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind, batch=2)
  xs, ks = jnp.stack([x, -x, 2 * x]), jnp.stack([k, k, k + 1])
  of = lambda form: jax.jit(jax.vmap(jax.grad(total(form), (0, 1))))
  close(of(fast)(xs, ks), of(plain)(xs, ks))


@pytest.mark.parametrize("channels", [(2, 3), (3, 2)])
@pytest.mark.parametrize("mapped", [(0, None), (None, 0)], ids=["over x", "over kernels"])
def test_vmap_over_one_argument(mapped, channels):
  x, k = arguments("same", 2, 3, 2, *channels)
  given = [
    jnp.stack([a, 2 * a]) if axis == 0 else a for a, axis in zip((x, k), mapped, strict=True)
  ]
  of = lambda form: jax.jit(jax.vmap(jax.grad(penalty(form), (0, 1)), mapped))
  close(of(forms.matmul_conv)(*given), of(forms.lax_conv)(*given))


@pytest.mark.parametrize("kind", FORMS)
def test_linearize_then_transpose_is_the_gradient(kind):
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind)

  @jax.jit
  def gradient(x, k):
    value, push = jax.linearize(total(fast), x, k)
    return jax.linear_transpose(push, x, k)(jnp.ones_like(value))

  close(gradient(x, k), jax.jit(jax.grad(total(plain), (0, 1)))(x, k))


@pytest.mark.parametrize("kind", FORMS)
def test_eight_devices_agree_with_one(kind):
  fast, plain, *_ = FORMS[kind]
  x, k = arguments(kind, batch=16)
  mesh = Mesh(np.array(jax.devices()), "data")
  rows, all_ = PartitionSpec("data"), PartitionSpec()
  gradient = jax.grad(total(fast), (0, 1))
  expected = jax.jit(jax.grad(total(plain), (0, 1)))(x, k)

  def local(x, k):
    dx, dk = gradient(x, k)
    return dx, jax.lax.psum(dk, "data")

  mapped = jax.shard_map(
    local, mesh=mesh, in_specs=(rows, all_), out_specs=(rows, all_), check_vma=False
  )
  close(jax.jit(mapped)(x, k), expected)
  placed = (
    jax.device_put(x, NamedSharding(mesh, rows)),
    jax.device_put(k, NamedSharding(mesh, all_)),
  )
  close(jax.jit(gradient)(*placed), expected)


@pytest.mark.parametrize("kind", FORMS)
def test_sharded_batch_stays_where_it_is(kind, monkeypatch):
  """Only the kernel gradient crosses devices, even for layers that one device would chunk."""
  monkeypatch.setattr(chunks, "PATCH_BYTES", 1)
  x, k = arguments(kind, batch=16)
  mesh = Mesh(np.array(jax.devices()), "data")
  rows, all_ = (NamedSharding(mesh, PartitionSpec(*spec)) for spec in (["data"], []))
  gradient = jax.jit(
    jax.grad(penalty(FORMS[kind].fast), (0, 1)),
    in_shardings=(rows, all_),
    out_shardings=(rows, all_),
  )
  compiled = gradient.lower(x, k).compile().as_text()
  collectives = set(
    re.findall(r"all-gather|all-to-all|collective-permute|reduce-scatter|all-reduce", compiled)
  )
  assert collectives == {"all-reduce"}


@pytest.mark.parametrize("kind", FORMS)
def test_other_backends_get_plain_convolutions(kind, monkeypatch):
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  jaxpr = str(jax.make_jaxpr(FORMS[kind].public)(*arguments(kind)))
  assert "conv_general_dilated" in jaxpr and "custom_vjp" not in jaxpr


@pytest.mark.parametrize("kind", FORMS)
def test_batches_of_unknown_size_get_plain_convolutions(kind):
  """Exported: their program is for any device."""
  x, k = arguments(kind)
  x = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("n"), *x.shape[1:]), x.dtype)
  jaxpr = str(jax.make_jaxpr(FORMS[kind].public)(x, k))
  assert "conv_general_dilated" in jaxpr and "custom_vjp" not in jaxpr


@pytest.mark.parametrize("kind", FORMS)
def test_is_the_layer_of_flax(kind):
  x, k = arguments(kind)
  layer, stride, padding = {
    "down": (nn.Conv, 2, 1),
    "up": (nn.ConvTranspose, 2, "SAME"),
    "same": (nn.Conv, 1, "SAME"),
    "tiles": (nn.Conv, 1, "SAME"),
    "direct": (nn.Conv, 1, "SAME"),
  }[kind]
  module = layer(k.shape[3], k.shape[:2], (stride, stride), padding, use_bias=False)
  close(jax.jit(FORMS[kind].public)(x, k), jax.jit(module.apply)({"params": {"kernel": k}}, x))


def test_errors_say_what_was_expected():
  with pytest.raises(ValueError, match=r"must be even; x is \(1, 3, 4, 1\)"):
    forms.strided_conv(jnp.zeros((1, 3, 4, 1)), jnp.zeros((4, 4, 1, 1)))
  for function in (forms.strided_conv, forms.transposed_conv):
    with pytest.raises(ValueError, match=r"\[4, 4, I, O\].*got x \(1, 4, 4, 2\)"):
      function(jnp.zeros((1, 4, 4, 2)), jnp.zeros((4, 4, 1, 1)))
    with pytest.raises(ValueError, match=r"even h and w; got \(4, 3, 1, 1\)"):
      function(jnp.zeros((1, 4, 4, 1)), jnp.zeros((4, 3, 1, 1)))
  with pytest.raises(ValueError, match=r"odd h and w; got \(4, 3, 1, 1\)"):
    forms.conv(jnp.zeros((1, 4, 4, 1)), jnp.zeros((4, 3, 1, 1)))
  with pytest.raises(ValueError, match=r"\[3, 3, I, O\].*got x \(1, 4, 4, 2\)"):
    forms.conv(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 1, 1)))


@pytest.mark.parametrize(
  "channels, groups, dtype, directly",
  [
    ((8, 64), 1, "float32", True),
    ((7, 64), 1, "float32", False),  # patches are of few numbers
    ((8, 32), 1, "bfloat16", True),
    ((8, 64), 1, "bfloat16", False),  # XLA multiplies it in float32
    ((8, 64), 1, "int32", False),
    ((8, 8), 2, "float32", True),
    ((8, 8), 4, "float32", False),  # three quarters of a kernel are zeros
    ((8, 4), 2, "float32", False),
  ],
)
def test_direct_form_is_chosen_by_channels(channels, groups, dtype, directly):
  x = jax.ShapeDtypeStruct((2, 5, 5, groups * channels[0]), dtype)
  k = jax.ShapeDtypeStruct((3, 3, channels[0], groups * channels[1]), "float32")
  assert ("direct_conv" in str(jax.make_jaxpr(forms.grouped_conv)(x, k))) == directly


@pytest.mark.parametrize(
  "shape, channels, dtype, by_tiles",
  [
    ((16, 16, 16), (32, 64), "float32", True),
    ((16, 16, 16), (64, 32), "float32", True),
    ((16, 16, 16), (32, 64), "bfloat16", True),
    ((32, 8, 8), (256, 256), "float32", True),
    ((32, 8, 8), (256, 256), "bfloat16", False),  # patches are multiplied in half the time
    ((16, 16, 16), (32, 64), "int32", False),  # a half of a kernel would be 0
    ((16, 16, 16), (16, 64), "float32", False),  # tiles are the larger part
    ((16, 15, 16), (32, 64), "float32", False),  # a sixteenth is zeros
    ((2, 16, 16), (64, 64), "float32", False),  # products too small to be quick
    ((16, 4, 4), (512, 512), "float32", False),  # 16 matrices for 9 cost more than they save
  ],
)
def test_tiles_are_chosen_by_shape(shape, channels, dtype, by_tiles):
  x = jax.ShapeDtypeStruct((*shape, channels[0]), dtype)
  k = jax.ShapeDtypeStruct((3, 3, *channels), "float32")
  assert ("winograd" in str(jax.make_jaxpr(forms.conv)(x, k))) == by_tiles
