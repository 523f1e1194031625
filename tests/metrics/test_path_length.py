"""Perceptual path length: linear maps in closed form, arcs, and steps lost in rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import lerp, perceptual_path_length, slerp
from gan_jax.metrics.features.extractor import forward
from gan_jax.metrics.features.pixels import pixels

RNG = np.random.default_rng(0)
START, END, T = RNG.normal(size=(300, 8)), RNG.normal(size=(300, 8)), RNG.uniform(size=300)
A, B = RNG.normal(size=(8, 12)), RNG.normal(size=(12, 5))  # a linear generator, linear features


def linear(z: np.ndarray) -> np.ndarray:
  return 128 + (z @ A).reshape(-1, 2, 2, 3)


def features(images: np.ndarray) -> np.ndarray:
  return images.reshape(len(images), -1) @ B


def length(start=START, end=END, t=T, generate=linear, embed=features, **options):
  return perceptual_path_length(generate, embed, start, end, t, **{"discard": 0, **options})


def test_closed_form_of_a_linear_generator():
  """Along straight lines each step is (z₂ - z₁) A B, whatever t and ε; its mean 2 tr (AB)ᵀAB."""
  found = length(interpolate=lerp)
  squares = (((END - START) @ A @ B) ** 2).sum(axis=1)
  assert found.mean == pytest.approx(squares.mean(), rel=1e-6)
  assert found.error == pytest.approx(squares.std(ddof=1) / np.sqrt(300), rel=1e-6)
  expected = 2 * ((A @ B) ** 2).sum()
  assert abs(found.mean - expected) < 4 * found.error
  assert length(interpolate=lerp, t=0 * T, epsilon=0.1).mean == pytest.approx(found.mean, rel=1e-6)


def test_closed_form_of_an_arc():
  """Between unit vectors the speed is the angle between them, everywhere."""
  unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
  found = length(
    unit(START),
    unit(END),
    generate=lambda z: z.reshape(-1, 2, 2, 2),
    embed=lambda x: x.reshape(len(x), -1),
  )
  angles = np.arccos((unit(START) * unit(END)).sum(axis=1))
  assert found.mean == pytest.approx((angles**2).mean(), rel=1e-6)


def test_paths_begin_and_end_where_they_should():
  for path in (lerp, slerp):
    np.testing.assert_allclose(path(START, END, np.zeros(300)), START, atol=1e-12)
    np.testing.assert_allclose(path(START, END, np.ones(300)), END, atol=1e-12)
  halfway = slerp(np.array([[2.0, 0]]), np.array([[0, 2.0]]), np.array([0.5]))
  np.testing.assert_allclose(halfway, [[np.sqrt(2), np.sqrt(2)]])


def test_vectors_on_one_line_and_zero_are_interpolated_along_it():
  x, t = START[:3], np.array([0.25, 0.5, 1.0])
  for end in (2 * x, -x, 0 * x):
    np.testing.assert_allclose(slerp(x, end, t), lerp(x, end, t), rtol=1e-6, atol=1e-12)


def test_the_order_and_the_batches_change_nothing():
  once = length()
  assert length(batch_size=7).mean == pytest.approx(once.mean, rel=1e-9)
  assert length(START[::-1], END[::-1], T[::-1]).mean == pytest.approx(once.mean, rel=1e-9)


def test_the_largest_and_smallest_steps_may_be_left_out():
  squares = np.sort((((END - START) @ A @ B) ** 2).sum(axis=1))
  found = length(interpolate=lerp, discard=0.1)
  # Of 300, the 29.9th from either end is no step: the wider choice leaves out 29 and 29.
  assert found.n == 242 and found.mean == pytest.approx(squares[29:-29].mean(), rel=1e-6)


def test_an_extractor_in_float32_is_enough_for_the_papers_step():
  single = lambda z: jnp.asarray(z, jnp.float32) @ A.astype(np.float32)
  images = jax.jit(lambda z: 128 + single(z).reshape(-1, 2, 2, 3))
  embed = lambda x: forward(pixels(), x)["features"]
  found = length(interpolate=lerp, generate=images, embed=embed)
  exact = (((END - START) @ A / 255) ** 2).sum(axis=1).mean()
  assert found.mean == pytest.approx(exact, rel=0.01)


def test_whole_numbers_are_refused():
  with pytest.raises(ValueError, match="rounding hides a step this small"):
    length(generate=lambda z: linear(z).astype(np.uint8))


def test_what_does_not_fit_is_refused():
  for bad in (
    {"end": END[:9]},
    {"t": T[:9]},
    {"start": START[0], "end": END[0]},
    {"start": START[:1], "end": END[:1], "t": T[:1]},
  ):
    with pytest.raises(ValueError, match=r"expected \[n, d\], \[n, d\] and \[n\] with n >= 2"):
      length(**bad)
  for bad in ({"epsilon": 0}, {"discard": 0.5}):
    with pytest.raises(ValueError, match="a share below a half"):
      length(**bad)
  with pytest.raises(ValueError, match="NaN or infinite"):
    length(embed=lambda x: features(x) * np.nan)


def test_an_arc_keeps_lengths_and_goes_straight_between_parallels():
  t = np.linspace(0, 1, 5)
  a, b = np.tile([3.0, 0.0], (5, 1)), np.tile([0.0, 3.0], (5, 1))
  np.testing.assert_allclose(np.linalg.norm(slerp(a, b, t), axis=1), 3)
  np.testing.assert_allclose(slerp(a, 2 * a, t), a * (1 + t)[:, None])
  np.testing.assert_allclose(slerp(0 * a, a, t), a * t[:, None])
