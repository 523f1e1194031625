"""DiffAugment: the published code's images and gradients, borders, and the order of a policy."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case

from gan_jax.game import views
from gan_jax.game.core import Clock
from gan_jax.game.views import differentiable

CASE_NAMES = ["color_16", "translation_16", "cutout_16", "all_16"]


def augmented(images, policy, draws):
  """Images by functions of given draws [n, B], in the order of a policy."""
  left = iter(draws)
  whole = lambda: next(left).astype(jnp.int32)
  functions = {
    "color": lambda x: differentiable.color(x, jnp.stack([next(left) for _ in range(3)], 1)),
    "translation": lambda x: differentiable.translate(x, whole(), whole()),
    "cutout": lambda x: differentiable.cutout(x, whole(), whole()),
  }
  for name in policy.split(","):
    images = functions[name](images)
  return images


@pytest.mark.parametrize("name", CASE_NAMES)
def test_images_and_gradients_are_those_of_the_published_code(name):
  arrays, case = load_case("diffaugment", name)
  draws = [np.float32(x.reshape(len(x))) for key, x in arrays.items() if "/draw/" in key]
  images = np.moveaxis(arrays["in/images"], 1, 3)

  def projection(x):
    y = jnp.moveaxis(augmented(x, case["hyperparameters"]["policy"], draws), 3, 1)
    return jnp.vdot(y, jnp.cos(jnp.arange(y.size)).reshape(-1)), y

  gradient, y = jax.jit(jax.grad(projection, has_aux=True))(images)
  for found, key in ((y, "out/images"), (jnp.moveaxis(gradient, 3, 1), "grad/images")):
    atol = 1e-6 * np.abs(arrays[key]).max()
    np.testing.assert_allclose(found, arrays[key], rtol=0, atol=atol, err_msg=key)


def test_formulas_are_those_of_a_few_published_numbers():
  few = dict(np.load(pathlib.Path(__file__).parent / "published.npz"))
  policy, draws = "color,translation,cutout", few["diffaugment_draws"][:, None]
  y = jax.jit(augmented, static_argnums=1)(few["diffaugment_image"][None], policy, draws)
  np.testing.assert_allclose(y[0, ..., 1], few["diffaugment_output"], atol=1e-6)


KEYS = jax.random.split(jax.random.key(0), 256)


def applied(shape=(256, 8, 12, 1), **options):
  """Images of ones, shifted and cut by draws."""
  view = views.diffaugment(**options)
  return np.asarray(jax.jit(lambda x: view.apply(x, KEYS, Clock(), ()))(jnp.ones(shape)))


def test_a_cutout_is_at_least_a_quarter_and_hangs_over():
  cut = applied(policy="cutout")[..., 0] == 0
  rows, columns = cut.any(2).sum(1), cut.any(1).sum(1)
  assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 4, 3, 6)
  # Of an odd number of pixels the middle is never beyond the last: 3 of 6, from 2 on.
  odd = applied((256, 6, 6, 1), policy="cutout")[..., 0] == 0
  assert (odd.any(2).sum(1).min(), odd.any(2).sum(1).max()) == (2, 3)


def test_shifts_are_whole_and_zeros_enter():
  moved = applied(policy="translation", translation_ratio=0.25)[..., 0]
  gone = (1 - moved.max(2)).sum(1), (1 - moved.max(1)).sum(1)
  assert [sorted(set(x)) for x in gone] == [[0, 1, 2], [0, 1, 2, 3]]
  assert set(np.unique(moved)) == {0, 1}


def test_functions_are_applied_in_the_order_of_the_policy():
  shape = (256, 8, 8, 3)
  colored = applied(shape, policy="color,cutout"), applied(shape, policy="cutout,color")
  black = [(x == 0).any(axis=(1, 2, 3)).mean() for x in colored]
  assert black[0] == 1 and black[1] < 0.1  # what was cut out is coloured afterwards


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"policy": "color,flip"}, "policy is 'color,flip': expected one or more of color, "),
    ({"policy": ""}, "policy is '': expected one or more of color, "),
    ({"policy": 3}, "policy is 3: expected one or more of color, "),
    ({"cutout_ratio": 2}, r"cutout_ratio is 2: expected a share of a side, in \[0, 1\]"),
    ({"shape": (256, 2)}, r"DiffAugment is of images \[B, H, W, C\], got \(256, 2\)"),
  ],
)
def test_other_options_and_points_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    applied(**options)
