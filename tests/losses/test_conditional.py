"""Losses of embeddings, places and rotations: published numbers, closed forms, broken gradients."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import check_case, load_case

from gan_jax.game.core import Clock
from gan_jax.game.kinds.info import normal_nll
from gan_jax.losses import least_squares
from gan_jax.losses.conditional import conditional_contrastive, crammer_singer, data_to_data
from gan_jax.losses.generator_terms import feature_distance
from gan_jax.losses.objectives import Match
from gan_jax.losses.regularizers import lecam
from gan_jax.losses.self_supervised import info_nce, rotate_batch

SMALL = json.loads(pathlib.Path(__file__).with_name("published.json").read_text())


def places_last(local, whole):
  """InfoNCE of the published layout, [N, units, places]."""
  return info_nce(jnp.moveaxis(local, 1, 2), whole[..., 0])


CASES = {  # name -> method, function, names of its inputs, those with gradients first
  "contragan_2c": ("conditional_losses", conditional_contrastive, ("embed", "proxy", "label")),
  "reacgan_d2dce": ("conditional_losses", data_to_data, ("embed", "proxy", "label")),
  "infogan_continuous": (
    "conditional_losses",
    lambda mu, log_var, code: normal_nll(code, mu, log_var),
    ("mu", "log_var", "code"),
  ),
  "infonce": ("ssgan_infomax", places_last, ("local", "global")),
}


def evaluate(name, arrays):
  """Returns the loss and its two gradients, by the names of a case."""
  _, function, inputs = CASES[name]
  given = [jnp.asarray(arrays[f"in/{key}"]) for key in inputs]
  loss = jax.value_and_grad(lambda *given: jnp.mean(function(*given)), (0, 1))
  value, slopes = jax.jit(loss)(*given)
  of = {f"grad/{key}": slope for key, slope in zip(inputs, slopes, strict=False)}
  return {"out/nll" if name == "infogan_continuous" else "out/loss": value, **of}


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_the_published_code(name):
  arrays, case = load_case(CASES[name][0], name)
  check_case(arrays, case, evaluate(name, arrays))


@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_the_small_copy(name):
  """The same cases, with the first row of each gradient."""
  for key, found in evaluate(name, SMALL[name]).items():
    row = found[0] if key.startswith("grad") else found
    np.testing.assert_allclose(row, SMALL[name][key], rtol=1e-4, atol=1e-6, err_msg=key)


def test_other_losses_of_the_published_code():
  arrays, case = load_case("conditional_losses", "others")
  real, fake = arrays["in/real"], arrays["in/fake"]
  means = (arrays[f"in/{which}_embed"].mean(0) for which in ("real", "fake"))
  found = {
    "crammer_singer": jnp.mean(crammer_singer(arrays["in/adv_output"], arrays["in/label"])),
    "feature_matching": feature_distance(*means, norm="l1"),
    "ls_d": jnp.mean(least_squares.discriminator(real, fake)),
    "ls_g": jnp.mean(least_squares.generator(real, fake)),
  }
  for key, value in found.items():
    np.testing.assert_allclose(value, case["numbers"][key], rtol=1e-6, err_msg=key)
  assert case["numbers"].keys() - found.keys() == {"lecam"}


def test_crammer_singer_by_hand():
  logits = jnp.array([[3.0, 1.0, 0.0], [0.5, 0.0, 2.0]])
  assert crammer_singer(logits, jnp.array([0, 1])).tolist() == [0, 3]


LABELS = jnp.array([0, 0, 1, 1, 2, 2])
ALIKE = jnp.ones((6, 3))
CLUSTERS = jnp.eye(3)[LABELS]  # of one point each, orthogonal


def test_uniform_embeddings_and_perfect_clusters():
  """Of 6 examples in 3 classes; the last is D2D-CE's shift by the row's greatest, m/T."""
  expected = [
    np.log(6 / 2),
    np.log((2 * np.e + 4) / (2 * np.e)),
    np.log(1 + 4),
    np.log(1 + 4 * np.exp(-0.98 / 0.5)),
  ]
  of = lambda loss: [loss(e, e, LABELS) for e in (ALIKE, CLUSTERS)]
  found = jax.jit(lambda: [*of(conditional_contrastive), *of(data_to_data)])()
  np.testing.assert_allclose(found, np.tile(np.array(expected)[:, None], (1, 6)), rtol=1e-5)


def test_gradients_are_finite_at_zeros_and_of_one_example():
  total = lambda e: sum(
    jnp.sum(loss(x, jnp.ones((len(x), 3)), jnp.zeros(len(x), jnp.int32)))
    for loss in (conditional_contrastive, data_to_data)
    for x in (e, e[:1])
  )
  values, slope = jax.jit(jax.value_and_grad(total))(jnp.zeros((4, 3)))
  assert np.isfinite(values) and np.isfinite(slope).all()


def test_info_nce_of_equal_features_has_the_scores_that_were_replaced():
  """Scores of 1: of 2 images with 3 places e among e + 3 e + 3 exp(-10)."""
  values = info_nce(jnp.ones((2, 3, 1)), jnp.ones((2, 1)))
  np.testing.assert_allclose(values, [np.log(4 + 3 * np.exp(-11))] * 2, rtol=1e-6)


def test_rotations_are_those_of_the_published_code():
  arrays, _ = load_case("ssgan_infomax", "rotate_8")
  rotated, quarters = rotate_batch(jnp.moveaxis(arrays["in/images"], 1, 3))
  np.testing.assert_array_equal(jnp.moveaxis(rotated, 3, 1), arrays["out/rotated"])
  np.testing.assert_array_equal(quarters, arrays["out/labels"])


def test_rotations_by_hand():
  """Counter-clockwise: the last column becomes the first row; by the place in the global batch."""
  image = jnp.array([[1, 2], [3, 4]])[None, ..., None]
  rotated, quarters = rotate_batch(jnp.tile(image, (5, 1, 1, 1)))
  assert quarters.tolist() == [0, 0, 1, 2, 3]
  expected = [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
  assert rotated[1:, ..., 0].tolist() == expected
  part, quarters = rotate_batch(jnp.tile(image, (2, 1, 1, 1)), places=jnp.array([2, 3]), size=5)
  assert quarters.tolist() == [1, 2] and part[..., 0].tolist() == expected[1:3]
  with pytest.raises(ValueError, match="square images"):
    rotate_batch(jnp.zeros((4, 2, 3, 1)))


def test_lecam_of_averages_that_hardly_move():
  """The published number, with averages .4 and -.3 that a rate of 1e-7 leaves there."""
  arrays, case = load_case("conditional_losses", "others")
  logits = arrays["in/real"], arrays["in/fake"]
  given = Match(*logits, *logits, None, None, None, {}, None, Clock())
  memory = {"ema_real": 0.4, "ema_fake": -0.3, "updates": jnp.int32(2**30)}
  values, _ = lecam(decay=1 - 1e-7).value(given, memory)
  np.testing.assert_allclose(jnp.mean(values), case["numbers"]["lecam"], rtol=1e-6)
