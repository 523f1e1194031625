"""GAT: its noise levels and its augmentation; its steps are held in test_multi_level.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case

from gan_jax.game.optimizers import rate_of_width
from gan_jax.game.random import example_keys
from gan_jax.losses.one_step import levels
from gan_jax.nets.mlp import output_blocks

nhwc = lambda x: jnp.moveaxis(jnp.asarray(x), -3, -1)
nchw = lambda x: jnp.moveaxis(jnp.asarray(x), -1, -3)


def case(name):
  return load_case("gat", name)[::-1]


def draws(arrays, start, count):
  prefix = "in/draw/"
  names = sorted(key for key in arrays if key.startswith(prefix))
  return [jnp.asarray(arrays[key]) for key in names[start : start + count]]


def augmentation(drawn):
  u, v, w, mask, *places, flip = drawn
  b, s, c = (x.ravel() for x in (u - 0.5, 2 * v, w + 0.5))
  pair = lambda x, y: jnp.stack([x.ravel(), y.ravel()], axis=1)
  shift, hole = pair(*places[:2]), pair(*places[2:])
  return levels.Augmentation(b, s, c, mask < 0.5, shift, hole, flip < 0.4)


def check(found, arrays, each):
  errors = each["tolerance"].get("measured_float32_error_over_max_abs", {})
  for key, value in found.items():
    tolerance = max(1e-5, 8 * errors.get(key, 0)) * np.abs(arrays[key]).max()
    np.testing.assert_allclose(value, arrays[key], rtol=0, atol=tolerance, err_msg=key)


def test_levels_are_the_published_ones():
  numbers = case("levels")[0]["numbers"]
  t = levels.noise_levels()
  np.testing.assert_allclose(t, numbers["t"], rtol=1e-9)
  expected = numbers["from_final_to_earliest"]
  kept, fresh = (x[::-1] for x in levels.noise_steps(t))
  np.testing.assert_allclose(kept, [row["kept"] for row in expected], rtol=1e-9)
  np.testing.assert_allclose(fresh, [row["fresh_noise_std"] for row in expected], rtol=1e-9)
  numbers = case("learning_rate")[0]["numbers"]
  widths = {"S": 384, "B": 768, "L": 1024, "XL": 1152}
  rates = {name: rate_of_width(numbers["base"], width) for name, width in widths.items()}
  assert rates == pytest.approx(numbers["rate"], rel=1e-9)
  for depth, blocks in case("output_blocks")[0]["numbers"].items():
    assert output_blocks(int(depth)) == blocks
  each, arrays = case("noise_chain")
  drawn = jnp.stack(draws(arrays, 0, 4)[::-1])
  check({"out/noised": levels.noise_chain(arrays["in/images"], drawn)}, arrays, each)


def test_augmentation_is_the_published_one():
  each, arrays = case("augment")
  p, x, x2 = augmentation(draws(arrays, 0, 9)), *map(nhwc, (arrays["in/x"], arrays["in/x2"]))
  y, y2 = jax.jit(lambda x, x2: (levels.augment(x, x, p), levels.augment(x2, x, p)))(x, x2)
  check({"out/y": nchw(y), "out/y2": nchw(y2)}, arrays, each)


# --- without the published numbers ----------------------------------------------------------------


def test_noise_of_every_level_has_its_variance():
  t = levels.noise_levels()
  np.testing.assert_allclose(t, [0.885, 0.76, 0.51, 0.01], rtol=1e-12)
  kept, fresh = levels.noise_steps(t)
  variance = 0.0
  for k in (3, 2, 1, 0):
    variance = kept[k] ** 2 * variance + fresh[k] ** 2
    np.testing.assert_allclose(variance, t[k] ** 2, rtol=1e-12)
  images = jnp.arange(4.0).reshape(4, 1, 1)
  draws = jnp.zeros((4, 1, 1)).at[3].set(1.0)  # of the final image alone
  found = levels.noise_chain(images, draws)[:, 0, 0]
  carried = 0.01 * np.cumprod(np.append(1, kept[2::-1]))[::-1]
  np.testing.assert_allclose(found, (1 - t) * np.arange(4) + carried, rtol=1e-6)
  assert levels.judged_as_one(jnp.zeros((4, 2, 8, 8, 3))).shape == (2, 8, 8, 12)
  with pytest.raises(ValueError, match="expected a multiple of 4"):
    output_blocks(10)


def test_augmentation_by_hand():
  """Means are of the image that is named, a shift brings zeros, a hole is half as wide."""
  x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  still = levels.Augmentation(
    *jnp.array([[0.0], [1.0], [1.0]]),
    jnp.array([True]),
    *jnp.array([[[0, 0]], [[9, 9]]]),
    jnp.array([False]),
  )
  look = jax.jit(lambda of, p: levels.augment(x, of, p)[0, ..., 0])
  np.testing.assert_array_equal(look(x, still), x[0, ..., 0])
  low = look(0 * x + 3, still._replace(contrast=jnp.array([0.5])))
  np.testing.assert_allclose(low, (x[0, ..., 0] - 3) / 2 + 3)
  moved = look(x, still._replace(shift=jnp.array([[1, -1]]), flipped=jnp.array([True])))
  np.testing.assert_array_equal(moved[:, ::-1], np.pad(x[0, 1:, :-1, 0], [(0, 1), (1, 0)]))
  holed = look(x, still._replace(hole=jnp.array([[1, 4]])))
  np.testing.assert_array_equal(np.argwhere(holed != x[0, ..., 0]), [[0, 3], [1, 3]])
  p = levels.draw_augmentation(example_keys(jax.random.key(0), 2000), (8, 8, 4))
  assert {*np.unique(p.shift)} == {-1, 0, 1} and {*np.unique(p.hole)} == {*range(9)}
  shares = [float(jnp.mean(flag)) for flag in (p.coloured, p.flipped)]
  np.testing.assert_allclose(shares, [0.5, 0.4], atol=0.04)
  bounds = [(float(u.min()), float(u.max())) for u in (p.brightness, p.saturation, p.contrast)]
  np.testing.assert_allclose(bounds, [(-0.5, 0.5), (0, 2), (0.5, 1.5)], atol=0.01)


def test_the_target_of_features_is_a_cosine():
  x, y = jnp.array([[[3.0, 4.0], [1.0, 0.0]]]), jnp.array([[[4.0, 3.0], [0.0, 2.0]]])
  np.testing.assert_allclose(levels.feature_target(x, y), [1 - 0.96 / 2], rtol=1e-6)
  np.testing.assert_allclose(levels.feature_target(x[:, 0], 7 * x[:, 0]), [0], atol=1e-6)
  # A token of zeros has the cosine 0, and leaves the slopes of others: those of 1 - cos / 2.
  rows = jnp.array([[[0.0, 0.0], [3.0, 4.0]]])
  value, slope = jax.jit(jax.value_and_grad(lambda x: levels.feature_target(x, y[:, :1])[0]))(rows)
  np.testing.assert_allclose(value, 1 - 0.96 / 2, rtol=1e-6)
  # (4, 3) / 5 less its part along (3, 4) / 5 is (.224, -.168), over 2 · 5 tokens and lengths
  np.testing.assert_allclose(slope[0, 1], [-0.0224, 0.0168], rtol=1e-5)
  assert jnp.isfinite(slope).all()
