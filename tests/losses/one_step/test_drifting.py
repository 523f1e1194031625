"""Drifting: both published fields, the published step, its memory, and what they are by hand."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case

from gan_jax.losses.one_step import drifting
from gan_jax.theory.drift import gaussian_field

FIELDS = (
  *("one_temperature", "three_temperatures", "feature_scale_1", "feature_scale_1000"),
  *("cfg_negatives", "self_not_excluded", "self_excluded", "collapsed", "same_set"),
)


def case(name):
  return load_case("drifting", name)[::-1]


def check(found, arrays, each):
  errors = each["tolerance"].get("measured_float32_error_over_max_abs", {})
  for key, value in found.items():
    tolerance = max(1e-5, 8 * errors.get(key, 0)) * np.abs(arrays[key]).max()
    np.testing.assert_allclose(value, arrays[key], rtol=0, atol=tolerance, err_msg=key)


@functools.partial(jax.jit, static_argnames="temperatures")
def rows_and_field(generated, data, negatives, weights, temperatures):
  def loss(generated):
    drift = drifting.drift_field(generated, data, negatives, temperatures=temperatures, **weights)
    rows = drifting.follow(generated, drift)
    return rows.sum(), (rows, drift)

  return jax.grad(loss, has_aux=True)(generated)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_the_published_ones(name):
  each, arrays = case(name)
  weights = {
    f"{ours}_weights": arrays[f"in/weight_{key}"]
    for key, ours in (("gen", "generated"), ("neg", "negative"))
    if f"in/weight_{key}" in arrays
  }
  temperatures = tuple(each["hyperparameters"]["R_list"])
  inputs = arrays["in/gen"], arrays["in/pos"], arrays.get("in/neg")
  slope, (rows, drift) = rows_and_field(*inputs, weights, temperatures)
  check({"out/loss": rows, "out/V_scaled": drift.field, "grad/gen": slope}, arrays, each)
  numbers = each["numbers"]
  np.testing.assert_allclose(drift.scale, numbers["scale_inputs"], rtol=1e-5)
  np.testing.assert_allclose(drift.distance, numbers["scale"], rtol=1e-5)
  forces = [numbers["force_mean_square_by_temperature"][str(t)] for t in temperatures]
  np.testing.assert_allclose(drift.forces, forces, rtol=1e-3)


def test_the_field_is_antisymmetric_as_published():
  _, arrays = case("antisymmetry")
  x, p, q = (jnp.asarray(arrays[f"in/{name}"]) for name in "xPQ")
  field = jax.jit(
    lambda p, q: (
      drifting.drift_field(
        x, p, q, temperatures=(0.02, 0.05, 0.2), generated_weights=jnp.zeros(x.shape[:2])
      ).field
    )
  )
  pq, qp = field(p, q), field(q, p)
  np.testing.assert_allclose(pq, arrays["out/V_pq"], rtol=0, atol=1e-4)
  np.testing.assert_allclose(qp, arrays["out/V_qp"], rtol=0, atol=1e-4)
  np.testing.assert_allclose(pq + qp, 0, atol=1e-5)


@pytest.mark.parametrize("name", ["toy_V_t.2", "toy_V_t.05"])
def test_the_notebooks_field_is_the_published_one(name):
  each, arrays = case(name)

  def loss(generated):
    data = jnp.asarray(arrays["in/pos"])[None]
    drift = drifting.toy_field(generated[None], data, **each["hyperparameters"])
    return drifting.follow(generated[None], drift)[0], drift.field[0]

  (value, field), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(arrays["in/gen"])
  check({"out/V": field, "grad/gen": slope}, arrays, each)
  np.testing.assert_allclose(value, each["numbers"]["loss"], rtol=1e-4)


def test_mean_shift_is_that_of_the_formula():
  """By hand in float64, of the exponential kernel; of the Gaussian one it is that of the theory."""
  rng = np.random.default_rng(0)
  g, d = rng.normal(size=(5, 2)), rng.normal(size=(7, 2)) + 1

  def shift(points, own, t):
    k = np.exp(-np.linalg.norm(g[:, None] - points, axis=-1) / t) * (1 - own)
    return k @ points / k.sum(1, keepdims=True) - g

  pairs = [(shift(d, np.zeros((5, 7)), t), shift(g, np.eye(5), t)) for t in (0.3, 2.0)]
  expected = [attract - repel for attract, repel in pairs]
  g, d = jnp.asarray(g, jnp.float32), jnp.asarray(d, jnp.float32)
  field = lambda **options: jax.jit(functools.partial(drifting.mean_shift_field, **options))
  found = field(temperatures=(0.3, 2.0))(g[None], d[None])
  np.testing.assert_allclose(found.field[0], sum(expected), atol=1e-5)
  np.testing.assert_allclose(found.forces, [np.mean(v**2) for v in expected], rtol=1e-4)
  found = field(temperatures=(0.5,), gaussian=True, exclude_self=False)(g[None], d[None])
  np.testing.assert_allclose(found.field[0], jax.jit(gaussian_field)(g, d, g, 0.5), atol=1e-5)


def test_mean_shift_moves_a_far_start():
  """Where the field of the notebook is 1e-19: to the nearest data."""
  cloud = jnp.asarray([[4.0, 0.0]]) + 0.01 * jax.random.normal(jax.random.key(0), (64, 2))
  angles = 2 * jnp.pi * jnp.arange(64) / 8
  ring = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
  assert jnp.max(jnp.abs(drifting.toy_field(cloud[None], ring[None]).field)) < 1e-12
  field = jax.jit(drifting.mean_shift_field)(cloud[None], ring[None]).field[0]
  np.testing.assert_allclose(jnp.mean(field, axis=0), [-3, 0], atol=0.01)


def test_the_notebooks_field_vanishes_far_off_as_published():
  each, arrays = case("toy_far_field")

  @jax.jit
  @jax.vmap
  def length(distance):
    data = arrays["in/pos_at_0"] + jnp.stack([distance, 0.0])[None]
    field = drifting.toy_field(arrays["in/gen"][None], data[None]).field
    return jnp.mean(jnp.linalg.norm(field, axis=-1))

  rows = [row for row in each["numbers"]["rows"] if row["distance"] <= 1.5]
  found = length(jnp.array([row["distance"] for row in rows] + [4.0]))
  expected = [row["mean_length_of_V_float64"] for row in rows]
  np.testing.assert_allclose(found[:-1], expected, rtol=1e-3)
  assert found[-1] == 0


def test_a_whole_step_is_the_published_one():
  each, arrays = case("train_step")
  options = each["hyperparameters"]
  u = arrays["in/draw/00-uniform-guidance"]
  a = drifting.guidance(u, options["cfg_min"], options["cfg_max"], options["neg_cfg_pw"])
  np.testing.assert_allclose(a, arrays["out/guidance"], rtol=1e-5)
  flat = lambda x: x.reshape(-1, 12)
  dot = functools.partial(jnp.matmul, precision="highest")
  rows = functools.partial(drifting.by_place, labels=3)

  def features(x):
    whole = flat(x)[:, None]
    tokens = jnp.tanh(dot(x.reshape(-1, 4, 3), arrays["w/feature_a"]))
    made = {"global": whole, "tokens": tokens, "whole": jnp.tanh(dot(whole, arrays["w/feature_g"]))}
    return {name: rows(value) for name, value in made.items()}

  def loss(w):
    own = jnp.repeat(w["e"][arrays["in/labels"]] + a[:, None] * w["c"][None], 6, axis=0)
    x = dot(arrays["in/draw/02-normal-z"], w["w"]) + own
    total, parts = 0.0, {}
    sides = [features(side) for side in (x, flat(arrays["in/pos"]), flat(arrays["in/neg"]))]
    for name in sides[0]:
      particles, data, negatives = (side[name] for side in sides)
      weight = jnp.repeat(drifting.negative_weight(a, 6, 4), len(data) // 3)[:, None]
      drift = drifting.drift_field(
        particles,
        data,
        negatives,
        temperatures=tuple(options["R_list"]),
        negative_weights=weight,
      )
      parts[name] = drifting.follow(particles, drift).mean()
      total += parts[name]
    return total, (parts, x)

  w = {name: jnp.asarray(arrays[f"w/{name}"]) for name in "wec"}
  (total, (parts, x)), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(w)
  np.testing.assert_allclose(total, each["numbers"]["loss"], rtol=1e-4)
  for name, value in parts.items():
    np.testing.assert_allclose(value, each["numbers"]["loss_of_feature"][name], rtol=1e-4)
  np.testing.assert_allclose(flat(x), flat(arrays["out/samples"]), rtol=1e-5, atol=1e-6)
  for name, value in grads.items():
    np.testing.assert_allclose(value, arrays[f"grad/{name}"], rtol=1e-4, atol=1e-4)


def test_guidance_and_features_are_the_published_ones():
  numbers = case("guidance_of_u")[0]["numbers"]
  for power, expected in numbers["guidance_by_power"].items():
    found = drifting.guidance(np.array(numbers["u"]), power=float(power))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
  _, arrays = case("features_of_a_map")
  found = drifting.map_features(jnp.asarray(arrays["in/map"]), 8)
  found["norm_x"] = drifting.root_mean_square(jnp.asarray(arrays["in/image"]))
  del found["map"]
  for name, value in found.items():
    np.testing.assert_allclose(value, arrays[f"out/{name}"], rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_bank_is_the_published_one():
  _, arrays = case("memory_bank")
  bank, add = drifting.Bank.empty(4, 5, (2,)), jax.jit(drifting.Bank.add)
  for i in range(10):
    part = slice(4 * i, 4 * i + 4)
    bank = add(bank, arrays["in/items"][part], arrays["in/labels"][part])
    np.testing.assert_array_equal(bank.pointers, arrays["out/pointers"][i])
    np.testing.assert_array_equal(bank.counts, arrays["out/counts"][i])
  np.testing.assert_array_equal(bank.store, arrays["out/store"])


# --- with a few published numbers -----------------------------------------------------------------


def test_fields_are_those_recorded():
  """Of the published code, in drifting.json: no file beside is needed."""
  recorded = json.loads((pathlib.Path(__file__).parent / "drifting.json").read_text())
  arrays = {
    name: {k: np.float32(x[k]).reshape(shape) for k, shape in x["shapes"].items()}
    for name, x in recorded.items()
    if name != "source"
  }
  scaled, toy = arrays["self_excluded"], arrays["toy_V_t.2"]
  _, (rows, drift) = rows_and_field(scaled["in/gen"], scaled["in/pos"], None, {}, (0.2, 0.05, 0.02))
  np.testing.assert_allclose(drift.field, scaled["out/V_scaled"], rtol=0, atol=1e-4)
  np.testing.assert_allclose(rows, scaled["out/loss"], rtol=1e-5)
  field = jax.jit(lambda *x: drifting.toy_field(*x, temperature=0.2).field)
  found = field(toy["in/gen"][None], toy["in/pos"][None])[0]
  np.testing.assert_allclose(found, toy["out/V"], rtol=0, atol=2e-6)


# --- without the published numbers ----------------------------------------------------------------


def test_maps_enter_with_their_moments_and_the_last_whole():
  fine, coarse = (np.random.default_rng(0).normal(size=(2, n, n, 3)) for n in (4, 2))
  found = drifting.features_of_maps([jnp.asarray(fine), jnp.asarray(coarse)], most_places=4)
  shapes = {"whole": (2, 1, 12), "map_1": (2, 4, 3), "mean_0": (2, 1, 3), "mean_2_0": (2, 4, 3)}
  assert {name: found[name].shape for name in shapes} == shapes and "map_0" not in found
  np.testing.assert_allclose(found["whole"][:, 0], coarse.reshape(2, 12), rtol=1e-6)
  np.testing.assert_allclose(found["mean_0"][:, 0], fine.mean((1, 2)), atol=1e-6)
  np.testing.assert_allclose(found["mean_2_0"][:, 1], fine[:, :2, 2:].mean((1, 2)), atol=1e-6)
  spread = np.sqrt(coarse.var((1, 2)) + 1e-6)
  np.testing.assert_allclose(found["std_1"][:, 0], spread, rtol=1e-5)


def test_the_bank_samples_without_replacement_where_it_holds_enough():
  bank = drifting.Bank.empty(3, 5, ())
  labels = jnp.array([0] * 7 + [1] * 2)
  bank = jax.jit(drifting.Bank.add)(bank, jnp.arange(1.0, 10.0), labels)
  np.testing.assert_array_equal(bank.store, [[6, 7, 3, 4, 5], [8, 9, 0, 0, 0], [0] * 5])
  sample = jax.jit(drifting.Bank.sample, static_argnums=3)
  found = np.asarray(sample(bank, jax.random.key(0), jnp.array([0] * 40 + [1] * 40 + [2]), 4))
  assert all(len({*row}) == 4 and {*row} <= {3, 4, 5, 6, 7} for row in found[:40].tolist())
  assert {*np.ravel(found[:40])} == {3, 4, 5, 6, 7}
  assert {*np.ravel(found[40:80])} == {8, 9}
  assert not found[80].any()
  assert sample(bank, jax.random.key(0), jnp.array([0]), 6).shape == (1, 6)


RNG = np.random.default_rng(0)
PARTICLES, DATA = (RNG.normal(size=(2, n, 3)).astype("f") for n in (5, 7))


def by_hand(generated, data, temperature):
  """The notebook's field by a loop over particles, in float64."""
  targets = np.concatenate([generated, data])
  k = np.exp(-np.linalg.norm(generated[:, None] - targets[None], axis=-1) / temperature)
  k[np.arange(len(generated)), np.arange(len(generated))] = 0
  a = k / np.sqrt(k.sum(1, keepdims=True) * k.sum(0, keepdims=True))
  near, far = a[:, : len(generated)], a[:, len(generated) :]
  return np.stack(
    [
      n.sum() * (f[:, None] * data).sum(0) - f.sum() * (n[:, None] * generated).sum(0)
      for n, f in zip(near, far, strict=True)
    ]
  )


def test_fields_by_hand_and_what_the_division_hides():
  toy = jax.jit(lambda g: drifting.toy_field(g, jnp.asarray(DATA), temperature=0.7))(PARTICLES)
  expected = [
    by_hand(*pair, 0.7) for pair in zip(np.float64(PARTICLES), np.float64(DATA), strict=True)
  ]
  np.testing.assert_allclose(toy.field, expected, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(toy.forces, [np.mean(np.square(expected))], rtol=1e-4)
  slope, (rows, drift) = rows_and_field(PARTICLES, DATA, None, {}, (0.3,))
  # Of one temperature the loss is 1 whatever the data, which is why the force is logged.
  np.testing.assert_allclose(rows.mean(), 1, rtol=1e-5)
  np.testing.assert_allclose(rows, jnp.mean(drift.field**2, axis=(1, 2)), rtol=1e-5)
  np.testing.assert_allclose(slope, -2 * drift.field / (5 * 3 * drift.scale), rtol=1e-4, atol=1e-6)
  plain = jax.jit(
    lambda g: drifting.drift_field(g, jnp.asarray(DATA), temperatures=(0.3,), normalise=False)
  )(PARTICLES)
  np.testing.assert_allclose(plain.field / jnp.sqrt(plain.forces[0]), drift.field, rtol=1e-4)
  assert 0 < plain.forces[0] < 1
  # Its own row of the scale: of other units the features are those divided.
  other = rows_and_field(1024 * PARTICLES, 1024 * DATA, None, {}, (0.3,))[1][1]
  np.testing.assert_allclose(other.field, drift.field, rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(other.scale, 1024 * drift.scale, rtol=1e-4)


def test_places_are_rows_and_patches_are_tiles():
  x = jnp.arange(2 * 3 * 4 * 1.0).reshape(6, 4, 1)  # 2 labels of 3 examples, 4 places
  rows = drifting.by_place(x, 2)
  np.testing.assert_array_equal(rows[1, :, 0], [1, 5, 9])  # the first label's second place
  np.testing.assert_array_equal(rows[4, :, 0], [12, 16, 20])
  image = jnp.arange(16.0).reshape(1, 16, 1)
  features = jax.jit(drifting.map_features, static_argnums=1)(image, 4)
  np.testing.assert_allclose(features["mean_2"][0, :, 0], [2.5, 4.5, 10.5, 12.5])
  np.testing.assert_allclose(features["std_2"][0, 0, 0], np.std([0, 1, 4, 5]), rtol=1e-5)
  shapes = jax.eval_shape(lambda x: drifting.map_features(x, 2), image)
  assert shapes.keys() == {"map", "mean", "std", "mean_2", "std_2"}
  for power in (1.0, 1 + 1e-9):  # and beside the limit, to roundings of float32
    found = drifting.guidance(jnp.array([0.0, 0.5, 1.0]), power=power)
    np.testing.assert_allclose(found, [1, 2, 4], rtol=1e-6)
  np.testing.assert_allclose(drifting.negative_weight(jnp.array([1.0, 3.0]), 5, 4), [0, 2])
