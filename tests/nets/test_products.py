"""Products of matrices that add up in float32, sums of rows, and what is made of them."""

import functools
import pathlib
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_convolution import TOLERANCE, close, orders

from gan_jax.nets.convolution import forms, products
from gan_jax.nets.layers import BatchNorm
from gan_jax.nets.linear import Dense


def arguments(dtype, *leading):
  random = np.random.default_rng(0)
  x = random.normal(size=(*leading, 5))
  k = random.normal(size=(5, 3)) / np.sqrt(5)
  return jnp.asarray(x, dtype), jnp.asarray(k, jnp.float32)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("leading", [(7,), (2, 3, 4), (1,)])
def test_dense_agrees_with_a_plain_product(dtype, leading):
  """At every order."""
  x, k = arguments(dtype, *leading)
  plain = lambda x, k: x @ k.astype(x.dtype)
  close(orders(forms.dense)(x, k), orders(plain)(x, k), dtype)
  flat = x.reshape(-1, 5)
  close(orders(products.multiply)(flat, k), orders(plain)(flat, k), dtype)


# The kernel gradient transposes one factor or the other: of the first two shapes, one each.
@pytest.mark.parametrize("shape", [(7, 40, 6), (600, 40, 6), (3, 5, 1), (9, 1, 4), (1, 2, 3)])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_three_products_are_each_other_s_derivatives(shape, dtype):
  (b, c, d), random = shape, np.random.default_rng(0)
  x, y = (jnp.asarray(random.normal(size=(b, n)), dtype) for n in (c, d))
  k = jnp.asarray(random.normal(size=(c, d)), jnp.float32)
  # In float64: sums of the same numbers, which bfloat16 and float32 hold exactly.
  wide = [np.asarray(a.astype(jnp.float32), np.float64) for a in (x, y, k.astype(dtype))]
  close(jax.jit(products.multiply)(x, k), jnp.asarray(wide[0] @ wide[2], dtype), dtype)
  close(jax.jit(products.multiply_back)(y, k), jnp.asarray(wide[1] @ wide[2].T, dtype), dtype)
  close(jax.jit(products.outer)(x, y), jnp.asarray(wide[0].T @ wide[1], jnp.float32))


@pytest.mark.parametrize("product", ["multiply", "multiply_back", "outer"])
def test_products_of_bfloat16_are_not_turned_into_float32(product):
  """Nothing but the compiled program tells: XLA on CPU converts the factors where it must."""
  features = pathlib.Path("/proc/cpuinfo")
  if not features.exists() or "avx512_bf16" not in features.read_text():
    pytest.skip("a CPU without instructions for bfloat16")
  shapes = {"multiply": (64, 96), "multiply_back": (64, 80), "outer": (64, 96)}
  x = jnp.ones(shapes[product], jnp.bfloat16)
  other = jnp.ones((64, 80), jnp.bfloat16) if product == "outer" else jnp.ones((96, 80))
  text = jax.jit(getattr(products, product)).lower(x, other).compile().as_text()
  factors = re.search(r" dot\((%[\w.-]+), (%[\w.-]+)\)", text).groups()
  assert {re.search(re.escape(factor) + r" = (\w+)\[", text)[1] for factor in factors} == {"bf16"}


def test_sums_of_16_bit_floats_are_those_of_float32():
  """1000 times 1 + 2^-7 is no number of bfloat16; nor is 256 + 1, where its sums would stay."""
  ones = jnp.full((1000, 1), 1 + 2**-7, jnp.bfloat16)
  assert float(products.sum_rows(ones)[0]) == 1000 * (1 + 2**-7)
  assert float(products.outer(ones, ones)[0, 0]) == pytest.approx(1000 * (1 + 2**-7) ** 2, rel=1e-6)
  net, rng = Dense(1, dtype=jnp.bfloat16), jax.random.key(0)
  variables = net.init(rng, ones)
  gradient = jax.grad(lambda v: jnp.sum(net.apply(v, ones).astype(jnp.float32)))(variables)
  assert float(gradient["params"]["bias"][0]) == 1000


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 4, 3)])
def test_rows_are_summed_and_spread(shape):
  """Each is the other's derivative, at every order."""
  x, row = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32), jnp.ones(3)
  axes = tuple(range(len(shape) - 1))
  ours = lambda x, row: jnp.sin(forms.mean_of_places(x * forms.spread(row, shape)))
  plain = lambda x, row: jnp.sin(jnp.mean(x * row.reshape((1,) * len(axes) + (3,)), axis=axes))
  close(orders(ours)(x, row), orders(plain)(x, row))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scaled", [True, False])
def test_batch_norm_is_that_of_flax(dtype, scaled):
  """Names, starts, values, moving statistics and gradients."""
  x = jnp.asarray(2 * np.random.default_rng(0).normal(size=(6, 4, 5, 3)) + 1, dtype)
  options = {"use_scale": scaled, "use_bias": scaled, "momentum": 0.9, "dtype": jnp.dtype(dtype)}
  ours, theirs = BatchNorm(**options), nn.BatchNorm(**options)
  call = {
    "ours": lambda train: {"train": train},
    "theirs": lambda t: {"use_running_average": not t},
  }
  nets = {"ours": ours, "theirs": theirs}
  variables = {
    name: jax.jit(functools.partial(net.init, **call[name](True)))(jax.random.key(0), x)
    for name, net in nets.items()
  }
  jax.tree.map(np.testing.assert_array_equal, variables["ours"], variables["theirs"])

  def run(name, train):
    def value(variables, x):
      y, moved = nets[name].apply(variables, x, **call[name](train), mutable=["batch_stats"])
      return jnp.sum(jnp.sin(y.astype(jnp.float32))), (y, moved)

    return jax.jit(jax.grad(value, (0, 1), has_aux=True))(variables["ours"], x)

  for train in (True, False):
    close(run("ours", train), run("theirs", train), dtype)


def test_layers_in_float32_differentiate_in_forward_mode():
  """As the Jacobians of `theory.dynamics` do."""
  x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)

  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      return BatchNorm()(Dense(3)(x), train=True)

  variables = jax.jit(Net().init)(jax.random.key(0), x)
  run = lambda params: Net().apply({**variables, "params": params}, x, mutable=["batch_stats"])[0]
  forward, reverse = (jax.jit(of(run))(variables["params"]) for of in (jax.jacfwd, jax.jacrev))
  # Of order 1 but for the bias before the norm, which changes nothing: rounding is left of it.
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), forward, reverse)
