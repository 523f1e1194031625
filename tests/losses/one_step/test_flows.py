"""Adversarial flow models: the published steps of both players, and their terms by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import load_case

from gan_jax.losses.adversarial import relativistic
from gan_jax.losses.one_step import courses, flows
from gan_jax.nets.flow import sinusoidal_encoding


def case(name):
  return load_case("afm", name)[::-1]


def weights(arrays, net):
  prefix = f"w/{net}."
  return {key.removeprefix(prefix): x for key, x in arrays.items() if key.startswith(prefix)}


def apply(w, labels, x, *times):
  """The cases' toy network: Linear, silu, Linear, silu, Linear, of pixels, class and times."""
  one_hot = jax.nn.one_hot(labels, 5)
  h = jnp.concatenate([x.reshape(len(x), -1), one_hot, *(t[:, None] for t in times)], axis=1)
  for i in range(3):
    matrix, bias = w[f"l.{i}.weight"], w[f"l.{i}.bias"]
    h = jnp.matmul(h, matrix.T, precision="highest") + bias[None]
    h = jax.nn.silu(h) if i < 2 else h
  return h


def generate(w, labels, x, *times):
  return apply(w, labels, x, *times).reshape(x.shape)


def discriminate(w, labels, x, t):
  return apply(w, labels, x, t)[:, 0]


def check(found, arrays, case):
  errors = case["tolerance"].get("measured_float32_error_over_max_abs", {})
  for key, value in found.items():
    tolerance = max(1e-5, 8 * errors.get(key, 0)) * np.abs(arrays[key]).max()
    np.testing.assert_allclose(value, arrays[key], rtol=0, atol=tolerance, err_msg=key)


def compare(numbers, expected, rtol=1e-4):
  for key, value in numbers.items():
    np.testing.assert_allclose(value, expected[key], rtol=rtol, err_msg=key)


def scene(arrays, options):
  """What both steps begin with: the generator's inputs, target examples, and the step's width."""
  times = arrays["in/timesteps_src"], arrays["in/timesteps_tgt"]
  points = [
    flows.interpolate(arrays["in/latents"], arrays[f"in/noises_{side}"], t)
    for side, t in zip(("src", "tgt"), times, strict=True)
  ]
  velocity = options["prediction"] == "v"
  go = lambda w: flows.transported(
    points[0],
    generate(w, arrays["in/labels"], points[0], *times),
    *map(jnp.asarray, times),
    velocity=velocity,
  )
  return go, *points, times[1], flows.step_width(*times)


@pytest.mark.parametrize("name", ["afm_d_one_step", "afm_d_two_step_v"])
def test_discriminator_steps_are_the_published_ones(name):
  each, arrays = case(name)
  options, labels = each["hyperparameters"], arrays["in/labels"]
  go, _, real, t, width = scene(arrays, options)
  fake = go(weights(arrays, "G"))

  @jax.jit
  def loss(w):
    logits = lambda x: discriminate(w, labels, x, t)
    a, b = logits(real), logits(fake)
    given = {"epsilon": options["gp_eps"], "share": options["gp_bsz_ratio"]}
    noises = arrays["in/noises_r1"], arrays["in/noises_r2"]
    r1, r2 = (
      options["gp_scale"] * flows.approximate_penalty(logits, x, n, width, **given).mean()
      for x, n in zip((real, fake), noises, strict=True)
    )
    terms = {
      "dis": relativistic.discriminator(a, b).mean(),
      "cp": options["cp_scale"] * jnp.mean((a + b) ** 2),
    }
    total = sum(terms.values()) + r1 + r2
    return total, terms | {"total": total, "r1": r1, "r2": r2}

  grads, numbers = jax.grad(loss, has_aux=True)(weights(arrays, "D"))
  found = {f"grad/D.{key}": value for key, value in grads.items()} | {"out/x_tgt_pred": fake}
  check(found, arrays, each)
  loose = {key: numbers.pop(key) for key in ("r1", "r2")}
  compare(numbers, each["numbers"])
  compare(loose, each["numbers"], 1e-3)  # differences of logits over 0.01


@pytest.mark.parametrize("name", ["afm_g_one_step", "afm_g_no_grad_norm", "afm_g_two_step_v"])
def test_generator_steps_are_the_published_ones(name):
  each, arrays = case(name)
  options, labels, w = each["hyperparameters"], arrays["in/labels"], weights(arrays, "D")
  go, source, real, t, width = scene(arrays, options)
  normaliser = flows.normalise_gradient() if options["grad_norm"] else optax.identity()

  @jax.jit
  def loss(g):
    x = go(g)
    a = discriminate(w, labels, real, t)
    adversarial = lambda x: relativistic.generator(a, discriminate(w, labels, x, t)).mean()
    value, slope = jax.value_and_grad(adversarial)(x)
    slope, state = normaliser.update(slope, normaliser.init(None))
    ot = options["ot_scale"] * flows.transport(x, source, width).mean()
    total = flows.with_gradient(x, value, slope) + ot
    numbers = {"total": total, "gen": value, "ot": ot}
    if options["grad_norm"]:
      numbers["running_square_after"] = state.square
    return total, (numbers, slope)

  grads, (numbers, slope) = jax.grad(loss, has_aux=True)(weights(arrays, "G"))
  found = {f"grad/G.{key}": value for key, value in grads.items()}
  found["grad/of_adversarial_loss_at_G_output_after_normalising"] = slope
  check(found, arrays, each)
  compare(numbers, each["numbers"])


def test_gradients_are_normalised_as_published():
  each, arrays = case("gradient_normalisation")
  transformation = flows.normalise_gradient(**each["hyperparameters"])
  state, update = transformation.init(None), jax.jit(transformation.update)
  given = zip(
    arrays["in/gradients"], arrays["out/gradients"], each["numbers"]["running_square"], strict=True
  )
  for gradient, expected, square in given:
    found, state = update(jnp.asarray(gradient), state)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(state.square, square, rtol=1e-5)


@pytest.mark.parametrize("name", ["cafm_d", "cafm_g"])
def test_continuous_steps_are_the_published_ones(name):
  each, arrays = case(name)
  options, labels = each["hyperparameters"], arrays["in/labels"]
  t, data, noise = arrays["in/timesteps"], arrays["in/latents"], arrays["in/noises"]
  x = flows.interpolate(data, noise, t)

  @jax.jit
  def loss(g, d):
    u = generate(g, labels, x, t)
    judge = lambda x, t: discriminate(d, labels, x, t)
    along = lambda v: flows.directional_derivative(judge, x, jnp.asarray(t), v)
    (out, real), (_, fake) = along(noise - data), along(u)
    if name == "cafm_d":
      total = flows.continuous_discriminator(real, fake, out, options["cp_scale"]).mean()
    else:
      total = flows.continuous_generator(fake, u, options["ot_scale"]).mean()
    arrays = {"out/derivative_along_G_velocity": fake, "out/D": out, "out/G": u}
    if name == "cafm_d":
      arrays["out/derivative_along_data_velocity"] = real
    return total, arrays

  own = name[-1].upper()
  given = weights(arrays, "G"), weights(arrays, "D")
  (total, found), grads = jax.value_and_grad(loss, int(own == "D"), has_aux=True)(*given)
  check({f"grad/{own}.{key}": value for key, value in grads.items()} | found, arrays, each)
  np.testing.assert_allclose(total, each["numbers"]["loss/total"], rtol=1e-4)


@pytest.mark.parametrize("name", ["sample_afm_x", "sample_afm_v", "sample_cafm_euler"])
def test_samples_are_the_published_ones(name):
  each, arrays = case(name)
  w, labels, continuous = weights(arrays, "G"), arrays["in/labels"], name == "sample_cafm_euler"
  go = lambda x, t, s: generate(w, labels, x, *([t] if continuous else [t, s]))
  velocity = each["hyperparameters"]["prediction"] == "v"
  sample = lambda z: courses.sample_flow(go, z, each["hyperparameters"]["steps"], velocity=velocity)
  check({"out/x": jax.jit(sample)(arrays["in/z"])}, arrays, each)


def test_courses_and_codes_are_the_published_ones():
  numbers = case("whose_turn")[0]["numbers"]
  options = {
    "afm_ttur1": {"repeats": 1},
    "afm_ttur2": {"repeats": 2},
    "cafm_N3_warmup5": {"repeats": 3, "warm_up": 5},
    "cafm_N3_no_warmup": {"repeats": 3},
  }
  for name, expected in numbers.items():
    found = [courses.is_discriminator_step(i, **options[name]) for i in range(len(expected))]
    assert found == expected, name
  _, arrays = case("notebook_encoding")
  code = sinusoidal_encoding(arrays["in/value"])
  np.testing.assert_allclose(code, arrays["out/code"], rtol=0, atol=2e-5)
  numbers = case("transport_schedule")[0]["numbers"]
  start, end, steps = (numbers[key] for key in ("start", "end", "steps"))
  with jax.enable_x64(True):  # the published schedule is optax's
    schedule = optax.cosine_decay_schedule(start, steps - 1, end / start)
    found = [float(schedule(jnp.float64(step))) for step in numbers["step"]]
  np.testing.assert_allclose(found, numbers["value"], rtol=1e-9)


# --- without the published numbers ----------------------------------------------------------------


def test_the_width_of_a_step_divides_transport_and_multiplies_penalties():
  x, n = jnp.ones((10, 2)), jnp.ones((10, 2))
  width = flows.step_width(jnp.linspace(1, 0.1, 10), jnp.full(10, 0.1))
  np.testing.assert_allclose(width[-1], 1e-3)
  np.testing.assert_allclose(flows.transport(3 * x, x, width) * width, 4, rtol=1e-6)
  penalty = flows.approximate_penalty(lambda x: x @ jnp.array([3.0, 4.0]), x, n, width, share=0.25)
  np.testing.assert_allclose(penalty, 49 * width[:2], rtol=1e-3)  # 2.5 rows are 2; (3 + 4)²
  t = jnp.array([1.0])
  moved = flows.transported(x[:1], 2 * x[:1], t, 0.5 * t, velocity=True)
  np.testing.assert_allclose(moved, 0)


def test_a_steady_gradient_ends_with_root_mean_square_of_one_over_n():
  gradient = {"a": jnp.array([3.0, 4.0]), "b": jnp.zeros((2, 4))}
  published, corrected = flows.normalise_gradient(), flows.normalise_gradient_corrected()
  first, last = {}, {}
  for name, each in {"published": published, "corrected": corrected}.items():
    step = lambda state, _, each=each: (lambda out: (out[1], optax.tree.norm(out[0])))(
      each.update(gradient, state)
    )
    _, norms = jax.lax.scan(step, each.init(gradient), length=60)
    first[name], last[name] = norms[0], norms[-1]
  np.testing.assert_allclose(list(last.values()), 10**-0.5, rtol=2e-3)  # RMS 1/10 of 10 elements
  np.testing.assert_allclose(first["published"], 1.0, rtol=1e-5)  # √10 too large
  np.testing.assert_allclose(first["corrected"], 10**-0.5, rtol=1e-5)


def test_the_derivative_is_along_velocity_and_time():
  judge = lambda x, t: jnp.sum(x**2, axis=1) + 5 * t
  x, v = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, -1.0]])
  value, slope = flows.directional_derivative(judge, x, jnp.array([2.0]), v)
  np.testing.assert_allclose([value[0], slope[0]], [15, 2 * (3 - 2) + 5])
  loss = flows.continuous_discriminator(slope, 2 * slope, value, 0.1)
  np.testing.assert_allclose(loss, [36 + 225 + 22.5])
  np.testing.assert_allclose(flows.continuous_generator(slope, v, 0.5), [36 + 2.5])


def test_steps_reach_data_by_euler_and_by_heun():
  """dx/dt = x from t = 1 to 0 makes x / e; a generator that knows the target needs one step."""
  z, go = jnp.ones((1, 1)), lambda x, t, s: x
  exact = np.exp(-1)
  euler, heun = (float(courses.sample_flow(go, z, 8, heun=heun)[0, 0]) for heun in (False, True))
  np.testing.assert_allclose(euler, (7 / 8) ** 8, rtol=1e-6)
  np.testing.assert_allclose(heun, (1 - 1 / 4 + 1 / 32) ** 4, rtol=1e-6)
  assert abs(heun - exact) < abs(euler - exact)
  np.testing.assert_allclose(courses.sample_flow(lambda x, t, s: 7 * x, z, 1, velocity=False), 7)
