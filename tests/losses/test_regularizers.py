"""Regularizers: closed forms on linear and quadratic discriminators, and one contract for all."""

import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from gan_jax import losses
from gan_jax.game.core import Clock
from gan_jax.game.random import Microbatch, example_keys
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import Match, as_term
from gan_jax.losses.regularizers import REGULARIZERS
from gan_jax.nets import NETWORKS


def make_match(discriminator, real, fake=None, *, seed=0, axis_name=None, **fields):
  """Makes the match of discriminator: x -> logits on real and fake examples."""
  real = jnp.asarray(real, jnp.result_type(float))
  fake = real if fake is None else jnp.asarray(fake, real.dtype)
  match = Match(
    real=real,
    fake=fake,
    real_logits=discriminator(real),
    fake_logits=discriminator(fake),
    discriminator=lambda x, kind="real": discriminator(x),
    generator=lambda z: z,
    latents=fake,
    params={},
    keys=example_keys(jax.random.key(seed), len(real), axis_name),
    clock=Clock(),
    axis_name=axis_name,
  )
  return match._replace(**fields)


def linear(w):
  return lambda x: x @ w + 7


def quadratic(s):
  """½ Σ s x², whose gradient is s x."""
  return lambda x: 0.5 * x**2 @ s


def values_of(penalty):
  """The penalty's values [B] of a match."""
  return lambda match: as_term(penalty).value(match, as_term(penalty).memory)[0]


def with_gradient(penalty, family, params, *args, **kwargs):
  """The penalty [B], and the gradient of its sum by the discriminator's parameters."""
  values = lambda w: values_of(penalty)(make_match(family(w), *args, **kwargs))
  both = jax.jit(lambda w: (values(w), jax.grad(lambda w: values(w).sum())(w)))
  return both(jnp.asarray(params))


# --- gradient penalties: closed form -------------------------------------------------------------

X = [[0.0, 0.0], [1.0, -2.0]]


@pytest.mark.parametrize(
  ("penalty", "value", "gradient"),
  [  # D(x) = (3, 4)·x + 7, whose gradient is (3, 4) of norm 5 everywhere; sums over two examples
    (regularizers.r1, 12.5, [6, 8]),
    (regularizers.r2, 12.5, [6, 8]),
    (regularizers.gradient_penalty(), 16, [9.6, 12.8]),
    (regularizers.gradient_penalty(target=0), 25, [12, 16]),
    (regularizers.gradient_penalty(target=2), 9, [7.2, 9.6]),
    (regularizers.gradient_penalty(target=6), 1, [-2.4, -3.2]),
    (regularizers.gradient_penalty(target=2, one_sided=True), 9, [7.2, 9.6]),
    (regularizers.gradient_penalty(target=6, one_sided=True), 0, [0, 0]),
    (regularizers.dragan(), 16, [9.6, 12.8]),
  ],
)
def test_on_a_linear_discriminator(penalty, value, gradient):
  values, slope = with_gradient(penalty, linear, [3.0, 4.0], X, np.ones((2, 2)))
  np.testing.assert_allclose(values, [value, value], rtol=1e-6)
  np.testing.assert_allclose(slope, gradient, rtol=1e-6)


@pytest.mark.parametrize(
  ("penalty", "value", "gradient"),
  [  # s = (2, 3); real (1, -1) and (2, 1): gradients (2, -3), (4, 3); fake (0, 1): (0, 3)
    (regularizers.r1, [6.5, 12.5], [2 + 8, 3 + 3]),
    (regularizers.r2, [4.5, 4.5], [0, 3 + 3]),
    (regularizers.dragan(scale=0), [6.7888974, 16], [2.8905997 + 12.8, 4.3358996 + 4.8]),
  ],
)
def test_on_a_quadratic_discriminator(penalty, value, gradient):
  real, fake = [[1.0, -1.0], [2.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]
  values, slope = with_gradient(penalty, quadratic, [2.0, 3.0], real, fake)
  np.testing.assert_allclose(values, value, rtol=1e-6)
  np.testing.assert_allclose(slope, gradient, rtol=1e-6)


def test_norms_sum_over_all_axes_of_an_example():
  flat = lambda x: jnp.sum(x, axis=(1, 2, 3))  # gradient 1 at each of 4*4*3 pixels
  match = make_match(flat, np.zeros((2, 4, 4, 3)))
  np.testing.assert_allclose(regularizers.r1(match), [24, 24])
  np.testing.assert_allclose(regularizers.gradient_penalty()(match), [35.143594] * 2, rtol=1e-6)


def test_interpolates_lie_between_real_and_fake_by_one_number_an_example():
  """D = ½‖x‖² has the gradient x: the penalty tells where it looked."""
  fake = np.tile([1, -2, 3, -4, 5], (64, 1))
  match = make_match(quadratic(jnp.ones(5)), np.zeros((64, 5)), fake, seed=3)
  alpha = np.asarray(jax.vmap(jax.random.uniform)(match.keys))
  values = regularizers.gradient_penalty()(match)
  np.testing.assert_allclose(values, (alpha * np.sqrt(55) - 1) ** 2, rtol=1e-4, atol=1e-6)
  assert alpha.min() < 0.1 and alpha.max() > 0.9 and len(set(alpha.tolist())) == 64


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_dragan_looks_within_a_standard_deviation_of_real_examples(scale):
  real = np.random.default_rng(0).normal(100, 3, (64, 2)).astype(np.float32)
  match = make_match(quadratic(jnp.ones(2)), real, seed=1)
  alpha = np.asarray(jax.vmap(lambda key: jax.random.uniform(key, (2,)))(match.keys))
  assert alpha.min() >= 0 and alpha.max() <= 1 and not np.allclose(alpha[:, 0], alpha[:, 1])
  nearby = real + scale * real.std(dtype=np.float64) * alpha
  expected = (np.linalg.norm(nearby, axis=1) - 1) ** 2
  np.testing.assert_allclose(
    values_of(regularizers.dragan(scale=scale))(match), expected, rtol=1e-5
  )


@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty", "dragan"])
def test_a_vanishing_gradient_is_safe(name):
  values, slope = with_gradient(REGULARIZERS[name](), linear, [0.0, 0.0], X)
  at_zero = 1 if name in ("gradient_penalty", "dragan") else 0
  np.testing.assert_array_equal(values, [at_zero, at_zero])
  np.testing.assert_array_equal(slope, [0, 0])


def test_the_safe_root_changes_no_other_value():
  penalty = regularizers.gradient_penalty(target=0)
  values, slope = with_gradient(penalty, linear, [3e-10, 4e-10], X)
  np.testing.assert_allclose(values, [2.5e-19, 2.5e-19], rtol=1e-5)
  np.testing.assert_allclose(slope, [1.2e-9, 1.6e-9], rtol=1e-5)


# --- LeCam ---------------------------------------------------------------------------------------


def test_lecam_against_a_loop():
  decay, start = 0.9, 3
  term = regularizers.lecam(decay=decay, start=start)
  memory, history = term.memory, {"real": [], "fake": []}
  for round_, logits in enumerate(np.random.default_rng(0).normal(1, 2, (6, 2, 4)).astype("f")):
    match = make_match(lambda x: x[:, 0], *logits[:, :, None], clock=Clock(jnp.asarray(round_)))
    values, memory = term.value(match, memory)
    history["real"].append(logits[0].mean())
    history["fake"].append(logits[1].mean())
    weights = decay ** np.arange(round_, -1, -1)
    real, fake = (np.average(history[kind], weights=weights) for kind in ("real", "fake"))
    tie = np.maximum(logits[0] - fake, 0) ** 2 + np.maximum(real - logits[1], 0) ** 2
    np.testing.assert_allclose(values, tie * (round_ >= start), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([memory["ema_real"], memory["ema_fake"]], [real, fake], rtol=1e-5)
    assert memory["updates"] == round_ + 1


@pytest.mark.parametrize("decay", [0.0, 0.9999, 1 - 1e-6, 1 - 1e-9])
def test_lecam_forgets_its_start_at_any_decay(decay):
  """The first batch is its own average, and of two the second weighs 1 / (1 + decay)."""
  term = regularizers.lecam(decay=decay)
  memory = term.memory
  for logit, average in ((3.0, 3.0), (5.0, (3 * decay + 5) / (1 + decay))):
    logits = jnp.full((2, 1), logit)
    _, memory = term.value(make_match(lambda x: x[:, 0], logits, -logits), memory)
    np.testing.assert_allclose(memory["ema_real"], average, rtol=1e-6)  # roundings of float32
    np.testing.assert_allclose(memory["ema_fake"], -average, rtol=1e-6)


def test_lecam_holds_its_averages_constant():
  """The slopes are 2 relu(a - ema_fake) and -2 relu(ema_real - b), though a and b move both."""
  term = regularizers.lecam(decay=0.5)
  memory = {"ema_real": jnp.asarray(2.0), "ema_fake": jnp.asarray(-1.0), "updates": jnp.asarray(9)}

  total = lambda a, b: jnp.sum(term.value(make_match(lambda x: x, a, b), memory)[0])
  a, b = jnp.asarray([1.0, -3.0]), jnp.asarray([-0.5, 4.0])
  # rate = .5/(1 - .5¹⁰) = .50048876, so that ema_real = 2 - 3 rate = .49853372 and
  # ema_fake = -1 + 2.75 rate = .37634409
  slopes = jax.grad(total, argnums=(0, 1))(a, b)
  np.testing.assert_allclose(slopes, [[1.24731183, 0], [-1.99706745, 0]], rtol=1e-5)


@pytest.mark.parametrize(
  "make",
  [
    lambda: regularizers.lecam(decay=1.0),
    lambda: regularizers.lecam(decay=-0.1),
    lambda: regularizers.gradient_penalty(target=-1),
    lambda: regularizers.dragan(scale=-1),
    lambda: regularizers.latent_consistency(scale=-1),
    lambda: losses.jitter(scale=-1),
  ],
)
def test_options_out_of_range_are_refused(make):
  with pytest.raises(ValueError, match="got"):
    make()


# --- consistency ---------------------------------------------------------------------------------

negate = lambda keys, x: -x


def test_consistency_closed_form():
  match = make_match(linear(jnp.asarray([3.0, 4.0])), [[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0]] * 2)
  np.testing.assert_allclose(regularizers.consistency(transform=negate)(match), [36, 256])
  balanced = regularizers.balanced_consistency(transform=negate)
  np.testing.assert_allclose(balanced(match), [36 + 196, 256 + 196])
  _, slope = with_gradient(balanced, linear, [3.0, 4.0], match.real, match.fake)
  # d/dw (2 w·x)² = 8 (w·x) x: real 8·3 (1, 0) and 8·8 (0, 1), fake twice 8·7 (1, 1)
  np.testing.assert_allclose(slope, [24 + 112, 128 + 112])


def test_an_invariant_discriminator_is_consistent():
  images = jax.random.normal(jax.random.key(0), (4, 16, 16, 1))
  even = make_match(lambda x: jnp.sum(x**2, axis=(1, 2, 3)), images)
  ramp = jnp.linspace(-1, 1, 256).reshape(1, 16, 16, 1)
  moved = make_match(lambda x: jnp.sum(x * ramp, axis=(1, 2, 3)), images, seed=1)
  factories = regularizers.consistency, regularizers.balanced_consistency
  for factory in factories:
    np.testing.assert_array_equal(factory(transform=negate)(even), np.zeros(4))
  for values in jax.jit(lambda: [factory()(moved) for factory in factories])():
    assert (values > 1e-3).all()


def test_balanced_consistency_looks_fakes_up_with_the_same_discriminator():
  """`fake_logits` of another dropout mask or spectral norm are no change under the transform."""
  match = make_match(linear(jnp.ones(2)), X)
  other = match._replace(fake_logits=match.fake_logits + 1)
  for penalty in (
    regularizers.balanced_consistency(transform=lambda keys, x: x),
    regularizers.latent_consistency(scale=0),
  ):
    np.testing.assert_array_equal(values_of(penalty)(other), [0, 0])


@pytest.mark.parametrize("packing", [1, 2])
def test_latent_consistency_closed_form(packing):
  """With D = w·x and a linear G the value is (w·G δ)²; a packed fake is made of m latents."""
  weights = jax.random.normal(jax.random.key(1), (3 * packing,))
  generator = lambda z: 2 * z.reshape(4, 3 * packing)
  z = jax.random.normal(jax.random.key(2), (4 * packing, 3))
  match = make_match(linear(weights), generator(z), latents=z, generator=generator)
  values = values_of(regularizers.latent_consistency(scale=0.5))(match)
  draws = jax.vmap(lambda key: jax.random.normal(key, (packing, 3)))(match.keys)
  np.testing.assert_allclose(values, (draws.reshape(4, -1) @ weights) ** 2, rtol=1e-3, atol=1e-5)


def test_flip_and_shift_is_a_flip_and_a_shift_with_reflection():
  image = np.random.default_rng(0).normal(size=(16, 8, 2)).astype(np.float32)
  allowed = set()
  for mirrored in (image, image[:, ::-1]):
    padded = np.pad(mirrored, [(2, 2), (1, 1), (0, 0)], mode="reflect")
    for i, j in itertools.product(range(5), range(3)):
      allowed.add(padded[i : i + 16, j : j + 8].tobytes())
  keys = example_keys(jax.random.key(0), 400)
  made = np.asarray(jax.jit(losses.flip_and_shift)(keys, np.tile(image, (400, 1, 1, 1))))
  assert {x.tobytes() for x in made} == allowed and len(allowed) == 30


def test_flip_and_shift_is_for_images():
  match = make_match(linear(jnp.ones(2)), X)
  with pytest.raises(ValueError, match=r"images \[B, H, W, C\], got \(2, 2\).*jitter"):
    regularizers.consistency()(match)


def test_affine_moves_images_within_its_bounds():
  """A row of light: its centre tells the shift, its second moments the angle and the scale."""
  keys, n = example_keys(jax.random.key(0), 200), 33
  image = np.zeros((n, n, 1), np.float32)
  image[14:19, 8:25] = 1
  images = np.tile(image, (200, 1, 1, 1))
  off = {"rotation": 0.0, "shear": 0.0, "scale": 0.0, "shift": 0.0}
  make = lambda **bounds: np.asarray(jax.jit(losses.affine(**off | bounds))(keys, images))[..., 0]
  np.testing.assert_allclose(make(), images[..., 0], atol=1e-5)
  places = np.arange(n) - (n - 1) / 2

  def moments(x):
    mass = x.sum((1, 2))
    mean = [(x * at).sum((1, 2)) / mass for at in (places[:, None], places)]
    product = (x * places[:, None] * places).sum((1, 2)) / mass
    return mass, mean, product / ((x * places**2).sum((1, 2)) / mass)

  mass, mean, slope = moments(make(shift=0.1))
  for centre in mean:
    assert 3.2 < np.abs(centre).max() <= 3.3 + 1e-3 and abs(centre.mean()) < 0.5
  mass, mean, slope = moments(make(rotation=0.3))
  assert np.abs(mean).max() < 0.1 and 0.2 < np.abs(slope).max() < np.tan(0.3)
  mass, *_ = moments(make(scale=0.2))
  assert 1.2 < mass.max() / image.sum() < np.exp(0.4) + 0.05 and mass.min() / image.sum() < 0.85


def test_affine_is_for_images_and_bounds():
  with pytest.raises(ValueError, match=r"affine takes images \[B, H, W, C\], got \(2, 2\)"):
    losses.affine()(example_keys(jax.random.key(0), 2), jnp.ones((2, 2)))
  with pytest.raises(ValueError, match="shear must be >= 0, got -1"):
    losses.affine(shear=-1)


def test_jitter_is_gaussian():
  x = jnp.ones((2000, 2))
  noise = np.asarray(losses.jitter(scale=0.1)(example_keys(jax.random.key(0), 2000), x)) - 1
  assert abs(noise.mean()) < 0.01 and abs(noise.std() - 0.1) < 0.01
  assert abs(np.mean(noise[:, 0] * noise[:, 1])) < 0.001


# --- orthogonal ----------------------------------------------------------------------------------


def off_diagonal(w):
  gram = np.float64(w).T @ np.float64(w)
  return np.sum((gram - np.diag(np.diag(gram))) ** 2)


def orthogonality(params):
  return values_of(regularizers.orthogonal())(make_match(linear(jnp.ones(2)), X, params=params))


def test_orthogonal_against_numpy():
  rng = np.random.default_rng(0)
  kernel, tall, wide = (rng.normal(size=s).astype("f") for s in [(3, 3, 4, 8), (7, 5), (5, 9)])
  params = {
    "discriminator": {
      "Conv_0": {"kernel": kernel, "bias": rng.normal(size=8)},
      "Dense_0": {"kernel": tall},
      "BatchNorm_0": {"scale": rng.normal(size=5), "bias": rng.normal(size=5)},
      "Embed_0": {"embedding": rng.normal(size=(10, 5))},
    },
    "other": {"Dense_0": {"kernel": wide}},
  }
  expected = sum(off_diagonal(w) for w in (kernel.reshape(-1, 8), tall, wide))
  np.testing.assert_allclose(orthogonality(params), [expected, expected], rtol=1e-5)
  slope = jax.grad(lambda w: orthogonality({"w": w})[0])
  for w in (tall, wide):  # d/dW ‖WᵀW - diag‖² = 4 W (WᵀW - diag)
    gram = w.T @ w
    np.testing.assert_allclose(slope(w), 4 * w @ (gram - np.diag(np.diag(gram))), rtol=2e-4)


@pytest.mark.parametrize("name", ["mlp_generator", "dcgan_discriminator", "sngan_generator"])
def test_orthogonal_leaves_what_labels_look_up_alone(name):
  shape = {"shape": (32, 32, 3)} if name.endswith("generator") else {}
  size = {"hidden": (4,)} if name.startswith("mlp") else {"width": 4}
  net = NETWORKS[name](num_classes=10, **shape, **size)
  x = jnp.zeros((2, 8)) if shape else jnp.zeros((2, 32, 32, 3))
  start = jax.jit(functools.partial(net.init, train=False))
  params = start(jax.random.key(0), x, jnp.zeros(2, int))["params"]
  by_class = lambda path: {"embedding", "scale", "shift"} & {key.key for key in path}
  double = lambda path, leaf: 2 * leaf if by_class(path) else leaf
  moved = jax.tree_util.tree_map_with_path(double, params)
  assert any(by_class(path) for path, _ in jax.tree_util.tree_leaves_with_path(params))
  before, after = orthogonality({"net": params}), orthogonality({"net": moved})
  np.testing.assert_array_equal(before, after)
  assert (before > 0).all()


def test_orthogonal_columns_cost_nothing_whatever_their_norm():
  q = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 5)))[0].astype(np.float32)
  scaled = q * np.float32([[0.1, 1, 2, 3, 4]])
  np.testing.assert_allclose(orthogonality({"w": scaled}), [0, 0], atol=1e-9)
  assert (orthogonality({"w": np.float32(q + 0.1)}) > 0.01).all()
  np.testing.assert_array_equal(orthogonality({"bias": q[0]}), [0, 0])


# --- contract ------------------------------------------------------------------------------------
# A smooth network on images, large enough for every regularizer to have something to penalise.

NORMAL = np.random.default_rng(0).normal
IMAGES, LATENTS, THETA = NORMAL(size=(16, 8, 8, 1)), NORMAL(size=(16, 3)), NORMAL(size=(3, 64))
IN, OUT, DIRECTION = NORMAL(0, 0.125, (64, 6)), NORMAL(size=6), NORMAL(size=(64, 6))
PARAMS = {"in": IN, "out": OUT}


def network(params, x):
  hidden = jnp.tanh(x.reshape(len(x), -1) @ params["in"])
  return hidden @ params["out"] + jnp.sum(hidden**3, axis=1)


def contract_match(params, theta, *, n=16, axis_name=None):
  """A match of images made by G(z) = tanh(z θ); its logits are D's alone, as a player's are."""
  first = 0 if axis_name is None else n * jax.lax.axis_index(axis_name)
  real, z = (jax.lax.dynamic_slice_in_dim(jnp.asarray(x), first, n) for x in (IMAGES, LATENTS))
  generator = lambda z: jnp.tanh(z @ theta).reshape(-1, 8, 8, 1)
  return make_match(
    lambda x: network(params, x),
    real,
    generator(z),
    fake_logits=network(params, jax.lax.stop_gradient(generator(z))),
    latents=z,
    generator=generator,
    params={"discriminator": params},
    axis_name=axis_name,
  )


def penalty(name):
  """(params, theta) -> [B] and the memory left, from a memory that has seen something."""
  term = as_term(REGULARIZERS[name]())

  def value(params, theta, **kwargs):
    match, memory = contract_match(params, theta, **kwargs), term.memory
    if memory:
      _, memory = term.value(match._replace(fake_logits=match.fake_logits + 1), memory)
    return term.value(match, memory)

  return value


@pytest.mark.parametrize("name", REGULARIZERS)
def test_contract(name):
  @jax.jit
  def look(params, theta):
    values, push = jax.linearize(lambda *own: penalty(name)(*own)[0], params, theta)
    return values, jax.linear_transpose(push, params, theta)(jnp.ones(16))  # as a move does it

  values, (by_params, by_theta) = look(PARAMS, THETA)
  assert values.shape == (16,) and values.dtype == jnp.float32
  assert (values >= 0).all() and (values > 0).any()
  assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(by_params))
  assert (by_params["in"] != 0).any()
  np.testing.assert_array_equal(by_theta, np.zeros_like(THETA))  # it does not reach the generator


@pytest.mark.parametrize("name", REGULARIZERS)
def test_what_a_term_declares_is_what_it_looks_at(name):
  """Other real data are other values; what looks across the batch refuses a part of it."""
  term, match = as_term(REGULARIZERS[name]()), contract_match(PARAMS, THETA)
  real = 2 * match.real + 1
  other = match._replace(real=real, real_logits=match.discriminator(real))
  values, others = (np.asarray(term.value(m, term.memory)[0]) for m in (match, other))
  assert (values != others).any() == term.uses_real
  look = lambda: term.value(match._replace(microbatch=Microbatch(0, 2)), term.memory)
  if term.couples:
    with pytest.raises(ValueError, match="looks across the batch"):
      look()
  else:
    look()


@pytest.mark.parametrize("name", REGULARIZERS)
def test_first_and_second_derivatives_against_differences(name):
  """Along a line of parameters, in float64."""
  with jax.enable_x64(True):
    along = lambda t: {"in": IN + t * DIRECTION, "out": OUT * (1 + t)}
    total = lambda t: jnp.sum(penalty(name)(along(t), THETA)[0])

    @jax.jit
    def derivatives(t):
      (value, slope), (_, bend) = jax.jvp(jax.value_and_grad(total), (t,), (1.0,))
      return value, slope, bend

    low, here, high = (jax.device_get(derivatives(t)) for t in (-1e-6, 0.0, 1e-6))
  assert np.isfinite(here).all() and here[1] != 0 and here[2] != 0
  if name != "lecam":  # its averages move along, but are constants to the derivative
    np.testing.assert_allclose(here[1:], (np.subtract(high, low) / 2e-6)[:2], rtol=1e-5)


def test_one_device_and_eight_give_the_same_numbers():
  everything = lambda **kwargs: (
    lambda params, theta: {name: penalty(name)(params, theta, **kwargs) for name in REGULARIZERS}
  )
  # In float64: finite differences divide rounding by 0.01, which in float32 left 1e-4 on one CPU
  # and 3e-4 on another; here it leaves 1e-13.
  with jax.enable_x64(True):
    single = jax.jit(everything())(PARAMS, THETA)
    sharded = jax.jit(
      jax.shard_map(
        everything(n=2, axis_name="batch"),
        mesh=Mesh(np.asarray(jax.devices()), ("batch",)),
        in_specs=P(),
        out_specs={name: (P("batch"), P()) for name in REGULARIZERS},
        check_vma=False,
      )
    )(PARAMS, THETA)
  assert len(jax.devices()) == 8
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10), single, sharded
  )


def test_every_option_is_a_keyword_with_a_default():
  for factory in REGULARIZERS.values():
    for option in inspect.signature(factory).parameters.values():
      assert option.kind is option.KEYWORD_ONLY and option.default is not option.empty
