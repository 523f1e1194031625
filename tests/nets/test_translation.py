"""Image translation: the published code's outputs, gradients and parameter counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case
from flax.traverse_util import flatten_dict, unflatten_dict
from loops import primitives
from published import in_our_layout, shapes

from gan_jax.nets.published.translation import leaf_paths
from gan_jax.nets.translation import (
  PatchDiscriminator,
  PixelDiscriminator,
  ResnetTranslator,
  UnetTranslator,
)

KEY = jax.random.key(0)
CASE_NETWORKS = {
  "resnet6_ngf8_32": ResnetTranslator(width=8, blocks=6),
  "unet5_ngf4_32": UnetTranslator(width=4, levels=5, norm="instance"),
  "patchgan3_ndf8_32": PatchDiscriminator(width=8),
}


def output_and_gradients(net, params, x):
  """Returns y, and the gradients of sum(y cos(arange)), in the order NCHW, by params and x."""

  def projection(params, x):
    y = net.apply({"params": params}, x, train=True)
    weights = jnp.cos(jnp.arange(y.size))
    return jnp.vdot(jnp.moveaxis(y, 3, 1) if y.ndim == 4 else y, weights.reshape(-1)), y

  gradients, y = jax.jit(jax.grad(projection, (0, 1), has_aux=True))(params, x)
  return y, *gradients


@pytest.mark.parametrize("name", CASE_NETWORKS)
def test_outputs_and_gradients_are_those_of_the_published_code(name):
  net, (arrays, case) = CASE_NETWORKS[name], load_case("cyclegan", name)
  errors = case["tolerance"]["measured_float32_error_over_max_abs"]
  x = arrays["in/x"].transpose(0, 2, 3, 1)
  names = [key.removeprefix("w/") for key in arrays if key.startswith("w/")]
  paths = leaf_paths(net, x.shape, names)
  paths = {name: path[1:] for name, path in paths.items()}
  params = unflatten_dict({p: in_our_layout(arrays[f"w/{n}"], p) for n, p in paths.items()})

  y, g_params, g_x = output_and_gradients(net, params, x)
  to_nchw = lambda a: np.moveaxis(a, 3, 1) if a.ndim == 4 else a[:, None]
  found = {"out/y": to_nchw(y), "grad/x": to_nchw(g_x)}
  expected = {key: arrays[key] for key in found}
  for key in errors.keys() - found.keys():
    path = paths[key.removeprefix("grad/")]
    found[key], expected[key] = flatten_dict(g_params)[path], in_our_layout(arrays[key], path)
  for key, error in errors.items():
    tolerance = max(1e-5, 8 * error) * np.abs(expected[key]).max()
    np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=tolerance, err_msg=key)


RECORDED = [  # the means of |y| and |dx|; the first three by code that met the published numbers
  (ResnetTranslator(width=8, blocks=1), [0.464202, 0.505977]),
  (UnetTranslator(width=4, levels=5, norm="instance"), [0.597663, 0.136784]),
  (PatchDiscriminator(width=8), [1.01462, 0.0194443]),
  (PixelDiscriminator(width=8), [1.38268, 0.330306]),
]


@pytest.mark.parametrize("net, expected", RECORDED)
def test_outputs_and_gradients_are_those_recorded(net, expected):
  """With numbers that need no file for weights and images, and width beside height."""
  wave = lambda shape: np.cos(np.arange(np.prod(shape, dtype=float)) ** 2).reshape(shape)
  scaled = lambda leaf: jnp.float32(wave(leaf.shape) * np.prod(leaf.shape[:-1]) ** -0.5)
  params = jax.tree.map(scaled, shapes(net, 1, 32, 64, 3)[1]["params"])
  y, _, g_x = output_and_gradients(net, params, jnp.float32(wave((1, 32, 64, 3))))
  np.testing.assert_allclose([jnp.abs(y).mean(), jnp.abs(g_x).mean()], expected, rtol=1e-4)


@pytest.mark.parametrize(
  "net, channels, published",
  [
    (ResnetTranslator(), 3, 11_378_179),
    (ResnetTranslator(blocks=6), 3, 7_837_699),
    (UnetTranslator(norm="instance"), 3, 54_409_603),
    (UnetTranslator(norm="batch"), 3, 54_413_955),
    (UnetTranslator(levels=7, norm="instance"), 3, 41_825_667),
    (PatchDiscriminator(), 3, 2_764_737),
    (PatchDiscriminator(norm="batch"), 6, 2_768_705),
    (PixelDiscriminator(), 3, 8_705),
  ],
)
def test_parameter_counts_are_the_published_ones(net, channels, published):
  y, variables = shapes(net, 1, 256, 256, channels)
  assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == published
  side = 30 if isinstance(net, PatchDiscriminator) else 256
  assert y.shape == (1, side, side, 3)[: y.ndim]


@pytest.mark.parametrize("net", [case[0] for case in RECORDED])
def test_bfloat16_and_other_channels(net):
  images = isinstance(net, ResnetTranslator | UnetTranslator)
  options = {"channels": 2} if images else {}
  y, variables = shapes(net.clone(dtype=jnp.bfloat16, **options), 2, 32, 64, 5)
  assert {leaf.dtype for leaf in jax.tree.leaves((y, variables))} == {jnp.dtype("float32")}
  assert y.shape == (2, 32, 64, 2) or not images


@pytest.mark.parametrize("net", [case[0] for case in RECORDED])
def test_gradients_need_no_slow_convolution(net):
  """Within a loop a CPU takes up to a hundred times as long for those."""
  x, params = jnp.zeros((1, 32, 32, 3)), shapes(net, 1, 32, 32, 3)[1]["params"]
  found = set(primitives(jax.make_jaxpr(output_and_gradients, 0)(net, params, x), in_loop=True))
  assert "dot_general" in found and "slow convolution" not in found


def test_residual_translator_adds_the_image_and_clips():
  net, x = ResnetTranslator(width=4, blocks=1), 2 * jax.random.uniform(KEY, (2, 8, 8, 3)) - 1
  variables = jax.jit(functools.partial(net.init, train=False))(KEY, x)
  apply = lambda **options: net.clone(**options).apply(variables, x, train=False)
  residual, plain = jax.jit(lambda: (apply(residual=True), apply()))()
  np.testing.assert_allclose(residual, np.clip(x + plain, -1, 1), atol=1e-6)


@pytest.mark.parametrize(
  "net, layers",
  [
    (ResnetTranslator(width=1, blocks=3), 3),
    (UnetTranslator(width=1), 3),
    (UnetTranslator(width=1, levels=5), 0),
  ],
)
def test_dropout_has_its_places(net, layers):
  net, x = net.clone(dropout=0.5), jnp.zeros((1, 256, 256, 3))
  variables = shapes(net, *x.shape)[1]
  forward = lambda variables: net.apply(
    variables, x, train=True, rngs={"dropout": KEY}, mutable=["batch_stats"]
  )
  assert str(jax.make_jaxpr(forward)(variables)).count("name=_bernoulli") == layers


def test_weights_start_normal_and_scales_of_batch_norm_around_1():
  net = PixelDiscriminator(norm="batch")
  params = net.init(KEY, jnp.zeros((1, 1, 1, 3)), train=False)["params"]
  of = lambda name: np.concatenate(
    [np.ravel(leaf) for path, leaf in flatten_dict(params).items() if path[-1] == name]
  )
  for name, mean in (("kernel", 0), ("scale", 1)):
    np.testing.assert_allclose([of(name).mean(), of(name).std()], [mean, 0.02], atol=5e-3)
  assert not of("bias").any()


@pytest.mark.parametrize(
  "net, size, message",
  [
    (ResnetTranslator(), (30, 32), r"multiples of 4, at least 8; got \(1, 30, 32, 3\)"),
    (ResnetTranslator(), (4, 4), "at least 8"),
    (UnetTranslator(), (256, 384), "multiples of 256, at least 256"),
    (PatchDiscriminator(), (16, 16), "multiples of 8, at least 24"),
  ],
)
def test_other_sizes_are_refused(net, size, message):
  with pytest.raises(ValueError, match=message):
    shapes(net, 1, *size, 3)
