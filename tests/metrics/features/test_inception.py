"""InceptionV3: each trap where implementations differ, by hand, and the network as a whole.

tests/agreement holds every block against independent packages.
"""

import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics.features import weights
from gan_jax.metrics.features.inception import inception, network
from gan_jax.metrics.features.inception.inception import prepare
from gan_jax.metrics.features.inception.network import Block, Network, Unit


def arrays(seed: int) -> dict[str, np.ndarray]:
  """Random weights under the names and in the shapes of the PyTorch file."""
  rng = np.random.default_rng(seed)
  shapes = jax.eval_shape(Network().init, jax.random.key(0), jnp.zeros((1, 299, 299, 3)))
  found = {"fc.bias": np.ones(1008, np.float32)}
  for path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
    _, *modules, name = (key.key for key in path)
    *window, i, o = leaf.shape if name == "kernel" else (0, 0)
    shape = (o, i, *window) if name == "kernel" else leaf.shape
    std = 0.1 if name != "kernel" else np.sqrt(2 / (i * np.prod(window)))
    values = rng.standard_normal(shape, np.float32) * np.float32(std)
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    key = ".".join([*modules, names.get(name, name)])
    found[key] = values + (name in ("scale", "var"))
  return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, np.ndarray]]:
  """An .npz of random weights."""
  path = tmp_path_factory.mktemp("weights") / "random.npz"
  found = arrays(0)
  weights.save(path, weights.Weights(found, "0" * 64))
  return path, found


def filled(layer: network.Layer, x: np.ndarray, **values: float) -> np.ndarray:
  """Applies a layer whose arrays are each filled with one value, by the name of their kind."""
  module = Block(layer)
  shapes = jax.eval_shape(module.init, jax.random.key(0), x)
  fill = lambda path, leaf: np.full(leaf.shape, values[path[-1].key], leaf.dtype)
  return np.asarray(jax.jit(module.apply)(jax.tree_util.tree_map_with_path(fill, shapes), x))


PLAIN = {"kernel": 1.0, "scale": 1.0, "bias": 0.0, "mean": 0.0, "var": 1 - 1e-3}
SPIKE = np.zeros((1, 3, 3, 1), np.float32)
SPIKE[0, 0, 0] = 36
BLOCKS = dict(zip(("5b", "5c", "5d", "6a", "6b", "6c", "6d"), network.TRUNK[-7:], strict=True))
BLOCKS |= dict(zip(("6e", "7a", "7b", "7c"), network.TOP, strict=True))
AVERAGING = {"5b": 32, "5c": 64, "5d": 64, **{f"6{i}": 192 for i in "bcde"}, "7b": 192}


def test_averages_do_not_count_the_padding():
  """A corner has 4 neighbours, an edge 6, the middle 9; padding that counts makes all of them 9."""
  expected = 36 / np.array([[4, 6, np.inf], [6, 9, np.inf], [np.inf] * 3])
  np.testing.assert_allclose(network.average(SPIKE)[0, ..., 0], expected, rtol=1e-6)
  np.testing.assert_allclose(network.average(jnp.ones((1, 5, 5, 2))), 1, rtol=1e-6)


def assert_pooled(name: str, width: int, expected: list[list[float]]) -> None:
  """Holds the pooled branch of a block, its last, to what is expected of a spike in a corner."""
  pooled = filled(BLOCKS[name], SPIKE, **PLAIN)[0, ..., -width:]  # its unit passes on what it gets
  np.testing.assert_allclose(pooled, np.stack([expected] * width, axis=-1), rtol=1e-5)


@pytest.mark.parametrize("name, width", AVERAGING.items())
def test_blocks_that_average(name: str, width: int):
  assert_pooled(name, width, [[9, 6, 0], [6, 4, 0], [0, 0, 0]])


def test_the_last_block_takes_the_maximum():
  assert_pooled("7c", 192, [[36, 36, 0], [36, 36, 0], [0, 0, 0]])


def test_blocks_that_halve_take_the_maximum_without_padding():
  x = np.arange(49, dtype=np.float32).reshape(1, 7, 7, 1)
  for name in ("6a", "7a"):
    out = filled(BLOCKS[name], x, **PLAIN)
    assert out.shape[1:3] == (3, 3)
    np.testing.assert_array_equal(out[0, ..., -1], x[0, 2::2, 2::2, 0])


@pytest.mark.parametrize(
  "values, expected",
  [
    (dict(kernel=1, scale=1, bias=0, mean=0, var=0), 31.6227766),  # of 1e-5 it were 316
    (dict(kernel=5, scale=3, bias=0.5, mean=2, var=3.999), (5 - 2) / 2 * 3 + 0.5),
    (dict(kernel=1, scale=1, bias=0, mean=2, var=0), 0),  # the ReLU
  ],
)
def test_a_unit(values: dict[str, float], expected: float):
  """relu(scale (kernel x - mean) / sqrt(var + epsilon) + bias) with epsilon 1e-3, at x = 1."""
  x = np.ones((1, 1, 1, 1), np.float32)
  out = filled(network.unit("u", 1, 1, 1), x, **values)
  np.testing.assert_allclose(out, expected, rtol=1e-6)


def rows(values: np.ndarray) -> np.ndarray:
  """Makes an image [1, H, 3, 1] of these rows."""
  return np.broadcast_to(values.astype(np.uint8)[None, :, None, None], (1, len(values), 3, 1))


def column(images: np.ndarray) -> np.ndarray:
  """Returns a column of the prepared image, taken back to 0 .. 255."""
  return (np.asarray(prepare(images))[0, :, 0, 0] + 1) * 255 / 2


def test_shrinking_does_not_antialias():
  """At a third of the size the centre of every three rows remains: antialiasing would mix them, and
  a resize without half-pixel centres would take the first."""
  values = np.random.default_rng(0).integers(0, 256, 3 * 299)
  np.testing.assert_allclose(column(rows(values)), values[1::3], atol=1e-3)
  values = np.random.default_rng(1).integers(0, 256, 2 * 299)
  np.testing.assert_allclose(column(rows(values)), (values[::2] + values[1::2]) / 2, atol=1e-3)


def test_growing_interpolates_between_pixel_centres():
  """Row i of 299 lies at (i + 1/2) n / 299 - 1/2 of n; beyond the outer centres nothing changes."""
  values = np.array([10, 200, 60, 90])
  places = (np.arange(299) + 0.5) * len(values) / 299 - 0.5
  expected = np.interp(places, np.arange(len(values)), values)
  np.testing.assert_allclose(column(rows(values)), expected, atol=1e-3)


def test_the_range():
  values = np.arange(256).astype(np.uint8)[:, None, None, None]
  found = np.asarray(prepare(np.broadcast_to(values, (256, 1, 1, 1))))[:, 7, 7, 0]
  assert found[0] == -1 and found[255] == 1
  np.testing.assert_allclose(found, 2 * np.arange(256) / 255 - 1, atol=1e-6)


def test_gray_images_are_repeated():
  x = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 1)).astype(np.uint8)
  np.testing.assert_array_equal(prepare(x), prepare(np.repeat(x, 3, axis=-1)))


@pytest.mark.parametrize(
  "images",
  [np.zeros((1, 8, 8, 3), int), np.zeros((1, 8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.uint8)],
)
def test_other_images_are_refused(images: np.ndarray):
  with pytest.raises(ValueError, match=r"expects uint8 \[B, H, W, 1 or 3\]"):
    prepare(images)


def test_the_shapes_of_the_paper():
  """Table 1 of Szegedy et al. 2015, whose last 8 x 8 are pooled."""
  sizes = {}

  def watch(next_fun, args, kwargs, context):
    out = next_fun(*args, **kwargs)
    if isinstance(context.module, (Block, Unit)) and len(context.module.path) == 1:
      sizes[context.module.name] = out.shape[1:]
    return out

  with nn.intercept_methods(watch):
    jax.eval_shape(Network().init, jax.random.key(0), jnp.zeros((1, 299, 299, 3)))
  assert sizes == {
    "Conv2d_1a_3x3": (149, 149, 32),
    "Conv2d_2a_3x3": (147, 147, 32),
    "Conv2d_2b_3x3": (147, 147, 64),
    "Conv2d_3b_1x1": (73, 73, 80),
    "Conv2d_4a_3x3": (71, 71, 192),
    "Mixed_5b": (35, 35, 256),
    "Mixed_5c": (35, 35, 288),
    "Mixed_5d": (35, 35, 288),
    "Mixed_6a": (17, 17, 768),
    **{f"Mixed_6{i}": (17, 17, 768) for i in "bcde"},
    "Mixed_7a": (8, 8, 1280),
    "Mixed_7b": (8, 8, 2048),
    "Mixed_7c": (8, 8, 2048),
  }


def test_as_a_whole(ours):
  """What it returns, the place it is taken from, and what a card needs to say."""
  path, found = ours
  card, look, _ = inception.inception(path, sha256=None)
  assert card["name"] == "InceptionV3 of 2015-12-05" and card["sha256"] == "0" * 64
  images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)

  @jax.jit
  def run(look, images):
    (variables,) = look.args
    kept = Network().apply(
      variables, prepare(images), capture_intermediates=True, mutable=["intermediates"]
    )[1]["intermediates"]
    return look(images), kept["Mixed_6d"]["__call__"][0], kept["Mixed_7c"]["__call__"][0]

  out, inner, last = jax.device_get(run(look, images))
  assert {name: x.shape for name, x in out.items()} == {
    "features": (2, 2048),
    "logits": (2, 1008),
    "spatial": (2, 2023),
  }
  assert all(x.dtype == np.float32 and np.isfinite(x).all() for x in out.values())
  np.testing.assert_allclose(out["features"], last.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
  unbiased = out["features"] @ found["fc.weight"].T
  np.testing.assert_allclose(out["logits"], unbiased, rtol=1e-4, atol=1e-4)
  np.testing.assert_array_equal(out["spatial"], inner[..., :7].reshape(2, -1))
  assert 0.1 < out["features"].std() < 10 and out["spatial"].std() > 0.1


def test_products_are_of_the_highest_precision(ours):
  """Which CPUs have anyway, and TPUs do not: 94 convolutions, the last layer, and the resize."""
  variables = inception.variables_of(ours[1])
  look = lambda images: Network().apply(variables, prepare(images))
  text = str(jax.make_jaxpr(look)(np.zeros((1, 8, 8, 3), np.uint8)))
  products = text.count("= conv_general_dilated[") + text.count("= dot_general[")
  assert products == 94 + 1 + 2 == text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)")


def test_the_size_of_the_file(ours):
  """472 arrays of 23,885,392 numbers, counters of training steps apart."""
  assert len(ours[1]) == 472 and sum(x.size for x in ours[1].values()) == 23_885_392


def test_weights_of_another_network_are_refused(ours):
  _, found = ours
  missing = {name: x for name, x in found.items() if name != "Mixed_6b.branch1x1.bn.running_var"}
  with pytest.raises(ValueError, match="no Mixed_6b.branch1x1.bn.running_var: these are not"):
    inception.variables_of(missing)
  zoo = found | {"fc.weight": np.zeros((1000, 2048), np.float32)}
  with pytest.raises(ValueError, match=r"fc.weight of shape \[1000, 2048\].*has \[1008, 2048\]"):
    inception.variables_of(zoo)
  other = found | {"Mixed_5b.branch5x5_2.conv.weight": np.zeros((64, 48, 3, 3), np.float32)}
  with pytest.raises(ValueError, match=r"shape \[64, 48, 3, 3\].*has \[64, 48, 5, 5\]"):
    inception.variables_of(other)
  flat = found | {"fc.weight": np.zeros(1008 * 2048, np.float32)}
  with pytest.raises(ValueError, match="fc.weight of shape"):
    inception.variables_of(flat)
