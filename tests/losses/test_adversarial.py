"""Adversarial losses: numbers by hand, theory on discrete distributions, and one contract."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from gan_jax import losses
from gan_jax.losses.adversarial import LOSSES, AdversarialLoss
from gan_jax.losses.divergences import DIVERGENCES
from gan_jax.theory import OPTIMA, expected, kantorovich, wasserstein

REAL, FAKE = np.float32([2, -1]), np.float32([0.5, -1.5])
SIDES = AdversarialLoss._fields[:2]

# name: for each side (value [2], gradient of the sum by real logits [2], by fake logits [2]), at
# REAL and FAKE; computed in 40 digits from sigmoids and conjugates, and differentiated numerically.
# `...`: the discriminator's as without the suffix.
# fmt: off
BY_HAND = {
  "minimax": (
    ((1.101005, 1.514675), (-0.11920292, -0.73105858), (0.62245933, 0.18242552)),
    ((-0.97407698, -0.20141328), (0.0, 0.0), (-0.62245933, -0.18242552))),
  "non_saturating": (
    ((1.101005, 1.514675), (-0.11920292, -0.73105858), (0.62245933, 0.18242552)),
    ((0.47407698, 1.7014133), (0.0, 0.0), (-0.37754067, -0.81757448))),
  "maximum_likelihood": (
    ((1.101005, 1.514675), (-0.11920292, -0.73105858), (0.62245933, 0.18242552)),
    ((-1.6487213, -0.22313016), (0.0, 0.0), (-1.6487213, -0.22313016))),
  "least_squares": (
    ((0.625, 3.125), (1.0, -2.0), (0.5, -1.5)),
    ((0.125, 3.125), (0.0, 0.0), (-0.5, -2.5))),
  "hinge": (
    ((1.5, 2.0), (0.0, -1.0), (1.0, 0.0)),
    ((-0.5, 1.5), (0.0, 0.0), (-1.0, -1.0))),
  "wasserstein": (
    ((-1.5, -0.5), (-1.0, -1.0), (1.0, 1.0)),
    ((-0.5, 1.5), (0.0, 0.0), (-1.0, -1.0))),
  "relativistic": (
    ((0.20141328, 0.47407698), (-0.18242552, -0.37754067), (0.18242552, 0.37754067)),
    ((1.7014133, 0.97407698), (0.81757448, 0.62245933), (-0.81757448, -0.62245933))),
  "relativistic_average": (
    ((0.77203691, 1.101005), (-0.38545964, -0.93206079), (0.84915876, 0.46836168)),
    ((3.2720369, 2.601005), (1.6145404, 1.0679392), (-1.1508412, -1.5316383))),
  "relativistic_average_hinge": (
    ((1.0, 1.5), (-0.5, -1.5), (1.5, 0.5)),
    ((4.5, 3.5), (2.0, 2.0), (-2.0, -2.0))),
  "relativistic_average_least_squares": (
    ((1.625, 1.625), (1.5, -1.5), (1.0, -1.0)),
    ((6.625, 4.625), (5.5, 2.5), (-3.0, -5.0))),
  "f_gan_kl": (
    ((-1.3934693, 1.082085), (-1.0, -1.0), (0.60653066, 0.082084999)),
    ((-0.60653066, -0.082084999), (0.0, 0.0), (-0.60653066, -0.082084999))),
  "f_gan_kl_alternative": (
    ..., ((-0.5, 1.5), (0.0, 0.0), (-1.0, -1.0))),
  "f_gan_reverse_kl": (
    ((-0.36466472, 0.21828183), (-0.13533528, -2.7182818), (1.0, 1.0)),
    ((0.5, 2.5), (0.0, 0.0), (-1.0, -1.0))),
  "f_gan_reverse_kl_alternative": (
    ..., ((0.60653066, 4.4816891), (0.0, 0.0), (-0.60653066, -4.4816891))),
  "f_gan_pearson": (
    ((-1.4375, 0.0625), (-1.0, -1.0), (1.25, 0.25)),
    ((-0.5625, 0.9375), (0.0, 0.0), (-1.25, -0.25))),
  "f_gan_pearson_alternative": (
    ..., ((-0.5, 1.5), (0.0, 0.0), (-1.0, -1.0))),
  "f_gan_neyman": (
    ((-0.42226628, -0.5157182), (-0.13533528, -2.7182818), (0.77880078, 2.117)),
    ((-0.44239843, 2.234), (0.0, 0.0), (-0.77880078, -2.117))),
  "f_gan_neyman_alternative": (
    ..., ((-0.39346934, 3.4816891), (0.0, 0.0), (-0.60653066, -4.4816891))),
  "f_gan_squared_hellinger": (
    ((-0.21594345, 0.94141199), (-0.13533528, -2.7182818), (1.6487213, 0.22313016)),
    ((-0.64872127, 0.77686984), (0.0, 0.0), (-1.6487213, -0.22313016))),
  "f_gan_squared_hellinger_alternative": (
    ..., ((-0.39346934, 3.4816891), (0.0, 0.0), (-0.60653066, -4.4816891))),
  "f_gan_jensen_shannon": (
    ((-0.28528937, 0.1283806), (-0.11920292, -0.73105858), (0.62245933, 0.18242552)),
    ((-0.2809298, 0.4917339), (0.0, 0.0), (-0.62245933, -0.18242552))),
  "f_gan_jensen_shannon_alternative": (
    ..., ((-0.2190702, 1.0082661), (0.0, 0.0), (-0.37754067, -0.81757448))),
  "f_gan_total_variation": (
    ((-0.25095521, -0.071777049), (-0.035325412, -0.20998717), (0.39322387, 0.090353319)),
    ((-0.23105858, 0.45257413), (0.0, 0.0), (-0.39322387, -0.090353319))),
  "f_gan_total_variation_alternative": (
    ..., ((-0.23105858, 0.45257413), (0.0, 0.0), (-0.39322387, -0.090353319))),
  "smooth 0.9 non_saturating": (
    ((1.301005, 1.414675), (-0.019202922, -0.63105858), (0.62245933, 0.18242552)),
    ((0.47407698, 1.7014133), (0.0, 0.0), (-0.37754067, -0.81757448))),
  "smooth 0.9 least_squares": (
    ((0.73, 2.93), (1.1, -1.9), (0.5, -1.5)),
    ((0.125, 3.125), (0.0, 0.0), (-0.5, -2.5))),
}
# fmt: on
ALL = {
  **LOSSES,
  "smooth 0.9 non_saturating": losses.smooth(losses.non_saturating, 0.9),
  "smooth 0.9 least_squares": losses.smooth(losses.least_squares, 0.9),
}
side_of_every_loss = pytest.mark.parametrize(
  ("name", "side"), [(name, side) for name in ALL for side in SIDES]
)


def value_and_gradients(side, real, fake):
  """Values [B] and the gradients of their sum by both logits."""
  values, pull = jax.vjp(side, real, fake)
  return values, *pull(jnp.ones_like(values))


# --- closed form, gradients ----------------------------------------------------------------------


def test_every_loss_has_numbers_by_hand():
  assert set(BY_HAND) == set(ALL)


@side_of_every_loss
def test_values_and_gradients_by_hand(name, side):
  expected = BY_HAND[name][SIDES.index(side)]
  if expected is ...:
    expected = BY_HAND[name.removesuffix("_alternative")][0]
  got = value_and_gradients(getattr(ALL[name], side), REAL, FAKE)
  np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


TWO_LOG_2 = 1.3862943611198906
AT_ZERO = {  # discriminator, generator
  "minimax": (TWO_LOG_2, -TWO_LOG_2 / 2),
  "non_saturating": (TWO_LOG_2, TWO_LOG_2 / 2),
  "maximum_likelihood": (TWO_LOG_2, -1),
  "least_squares": (0.5, 0.5),
  "hinge": (2, 0),
  "wasserstein": (0, 0),
  "relativistic": (TWO_LOG_2 / 2, TWO_LOG_2 / 2),
  "relativistic_average": (TWO_LOG_2, TWO_LOG_2),
  "relativistic_average_hinge": (2, 2),
  "relativistic_average_least_squares": (1, 1),
  "f_gan_kl": (0.36787944, -0.36787944),
  "f_gan_reverse_kl": (0, 1),
  "f_gan_pearson": (0, 0),
  "f_gan_neyman": (0, 0),
  "f_gan_squared_hellinger": (0, 0),
  "f_gan_jensen_shannon": (0, 0),
  "f_gan_total_variation": (0, 0),
}


@pytest.mark.parametrize("name", AT_ZERO)
def test_values_at_zero_logits(name):
  zeros = jnp.zeros(4)
  got = [side(zeros, zeros) for side in LOSSES[name][:2]]
  np.testing.assert_allclose(got, np.outer(AT_ZERO[name], np.ones(4)), rtol=1e-6, atol=1e-7)


def test_minimax_saturates_and_non_saturating_does_not():
  b = jnp.asarray([-20.0, -4.0, 0.0, 4.0])
  sigmoid = np.array([2.0611537e-9, 0.01798621, 0.5, 0.98201379])
  slope = lambda loss: value_and_gradients(loss.generator, b, b)[2]
  np.testing.assert_allclose(slope(losses.minimax), -sigmoid, rtol=1e-5)
  np.testing.assert_allclose(slope(losses.non_saturating), sigmoid - 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["minimax", *(f"f_gan_{name}" for name in DIVERGENCES)])
def test_the_game_is_zero_sum(name):
  """G's loss is the exact negative of the only term of D's that it can move."""
  loss, b = LOSSES[name], jnp.asarray([-5, -0.5, 0.5, 5])
  by_fake = lambda side: np.asarray(value_and_gradients(side, jnp.zeros(4), b)[2])
  np.testing.assert_array_equal(by_fake(loss.generator), -by_fake(loss.discriminator))
  if name == "minimax":
    np.testing.assert_array_equal(loss.generator(b, b), -jax.nn.softplus(b))


# --- contract ------------------------------------------------------------------------------------


@side_of_every_loss
def test_contract(name, side):
  side = getattr(ALL[name], side)
  real, fake = jax.random.normal(jax.random.key(0), (2, 4))
  eager, compiled = (value_and_gradients(f, real, fake) for f in (side, jax.jit(side)))
  for got, again in zip(eager, compiled, strict=True):
    assert got.shape == (4,) and got.dtype == jnp.float32
    np.testing.assert_allclose(got, again, rtol=1e-5, atol=1e-6)
  corners = (np.float32([-50, -50, 50, 50]), np.float32([-50, 50, -50, 50]))
  for x in value_and_gradients(side, *corners):
    assert np.isfinite(x).all()


@pytest.mark.parametrize("name", ALL)
def test_d_pushes_real_up_and_fake_down_and_g_pushes_fake_up(name):
  real, fake = jnp.asarray([0.3, 0.1]), jnp.asarray([0.2, 0.4])
  _, d_real, d_fake = value_and_gradients(ALL[name].discriminator, real, fake)
  _, _, g_fake = value_and_gradients(ALL[name].generator, real, fake)
  assert (d_real < 0).all() and (d_fake > 0).all() and (g_fake < 0).all()


def test_what_a_loss_declares_is_what_it_looks_at():
  for name, loss in ALL.items():
    assert loss.uses_real == losses.reaches_real(loss.generator), name
    assert losses.reaches_real(loss.discriminator), name
    coupled = [losses.depends_on_others(side) for side in (loss.discriminator, loss.generator)]
    assert coupled == [loss.couples] * 2, name
    losses.check_loss(loss)


def test_which_losses_are_signed():
  """Their optimal logits have the sign of p - q, and do not go along with a constant added to all.

  Of least squares optimal logits are p/(p+q) > 0, and of the f-GAN of KL 1 + log p/q.
  """
  p, q = np.array([0.4, 0.3, 0.3]), np.array([0.2, 0.4, 0.4])
  for name, loss in LOSSES.items():
    moved = loss.discriminator(REAL + 3, FAKE + 3) - loss.discriminator(REAL, FAKE)
    if np.abs(moved).max() < 1e-5:  # rounding of logits up to 5: differences alone matter
      assert not loss.signed, name
    elif name in OPTIMA:
      told = np.sign(OPTIMA[name].logits(p, q)) == np.sign(p - q)
      assert loss.signed == told.all(), name


def test_what_a_loss_does_not_declare_is_refused():
  by_average = lambda a, b: b - jnp.mean(a)
  pairwise = lambda a, b: b - a
  for generator, missing in ((pairwise, "uses_real=True"), (by_average, "uses_real=True")):
    with pytest.raises(ValueError, match=missing):
      losses.check_loss(AdversarialLoss(pairwise, generator))
  with pytest.raises(ValueError, match="couples=True"):
    losses.check_loss(AdversarialLoss(pairwise, by_average, uses_real=True))
  losses.check_loss(AdversarialLoss(pairwise, by_average, uses_real=True, couples=True))


def test_whether_real_logits_are_used_is_seen_through_inner_functions():
  assert not losses.reaches_real(jax.jit(lambda a, b: jax.jit(lambda a, b: -b)(a, b)))
  assert not losses.reaches_real(lambda a, b: jnp.zeros_like(a) + b)
  assert losses.reaches_real(jax.jit(lambda a, b: b + jax.jit(jnp.mean)(a)))
  assert losses.reaches_real(lambda a, b: a)


# --- smoothing -----------------------------------------------------------------------------------


def test_smoothing_moves_the_optimum_to_the_target():
  """On real examples alone: σ(a) = 0.9, so a = log 9, for cross-entropy; a = 0.9 for squares."""
  for name, optimum in [("minimax", np.log(9)), ("least_squares", 0.9)]:
    side = losses.smooth(LOSSES[name], 0.9).discriminator
    _, slope, _ = value_and_gradients(side, jnp.full(1, optimum), jnp.zeros(1))
    np.testing.assert_allclose(slope, [0], atol=1e-6)


def test_smoothing_leaves_the_generator_and_a_target_of_one_alone():
  for name in ("minimax", "non_saturating", "maximum_likelihood", "least_squares"):
    assert losses.smooth(LOSSES[name], 0.9).generator is LOSSES[name].generator
  for loss in LOSSES.values():
    assert losses.smooth(loss, 1.0) is loss


@pytest.mark.parametrize("name", ["hinge", "wasserstein", "relativistic", "f_gan_kl"])
def test_smoothing_is_refused_where_there_is_no_target(name):
  with pytest.raises(ValueError, match="no target"):
    losses.smooth(LOSSES[name], 0.9)


@pytest.mark.parametrize("target", [0.0, -0.1, 1.1, float("nan")])
def test_smoothing_refuses_a_target_out_of_range(target):
  with pytest.raises(ValueError, match=r"\(0, 1\]"):
    losses.smooth(losses.minimax, target)


# --- theory --------------------------------------------------------------------------------------
# On K points with probabilities p and q a discriminator is K free numbers: gan_jax.theory is exact.


def distributions(seed, k=5):
  p, q = np.random.default_rng(seed).dirichlet(np.ones(k), 2) + 0.05
  return p / p.sum(), q / q.sum()


# An alternative has the discriminator of the loss without the suffix, and an average over the batch
# is no expectation over pairs.
DISCRIMINATORS = [n for n in OPTIMA if not n.endswith("_alternative") and "average" not in n]
KINKED = ("hinge", "f_gan_total_variation")  # their optimum is in a corner, or at infinity


def expected_loss(loss, p, q):
  """logits [K] -> D's expected loss and its gradient."""
  of = lambda logits: expected(loss.discriminator, logits, jnp.asarray(p), jnp.asarray(q))
  compiled = jax.jit(jax.value_and_grad(of))
  return lambda logits: jax.device_get(compiled(logits))


def minimise_numerically(name, p, q, of):
  if name in KINKED:  # these are sums of a term of each logit: search each of them on a grid
    grid, zeros = jnp.linspace(-40, 40, 801), jnp.zeros(801)
    discriminator = LOSSES[name].discriminator
    at_zero = discriminator(zeros, zeros)
    of_real, of_fake = discriminator(grid, zeros) - at_zero, discriminator(zeros, grid) - at_zero
    return at_zero[0] + jnp.sum(jnp.min(jnp.outer(p, of_real) + jnp.outer(q, of_fake), axis=1))
  return scipy.optimize.minimize(of, np.zeros(len(p)), jac=True, options={"gtol": 1e-9}).fun


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_numeric_optimum_is_that_of_theory(name):
  p, q = distributions(0)
  logits, value = OPTIMA[name].logits(p, q), OPTIMA[name].loss(p, q)
  with jax.enable_x64(True):
    of = expected_loss(LOSSES[name], p, q)
    there, slope = of(logits)
    np.testing.assert_allclose(there, value, rtol=1e-10)
    np.testing.assert_allclose(minimise_numerically(name, p, q, of), value, rtol=1e-8)
    if name != "hinge":
      np.testing.assert_allclose(slope, np.zeros(5), atol=1e-10)
    for seed, size in enumerate([0.01, 0.1, 1.0]):
      moved, _ = of(logits + size * np.random.default_rng(seed).normal(size=5))
      assert moved > value if name != "f_gan_total_variation" else moved >= value - 1e-12


def in_shares(p, q, n=40):
  """Rounds to nths, none 0; and how to pick a batch of n in which each point has its share."""
  of = lambda p: np.append(whole := np.maximum(1, np.round(n * p[:-1])), n - whole.sum()).astype(
    int
  )
  counts = of(p), of(q)
  picks = [np.repeat(np.arange(len(p)), count) for count in counts]
  return *(count / n for count in counts), *picks


@pytest.mark.parametrize("name", [*DISCRIMINATORS, "relativistic_average_least_squares"])
def test_gradient_descent_ends_at_the_optimum_of_theory(name):
  """Adam on free logits, 3000 steps from 0 at a rate that falls from 0.1 to 0; three p and q."""
  side, optimum = LOSSES[name].discriminator, OPTIMA[name]

  def loss(logits, p, q, real, fake):
    if "average" in name:
      return jnp.mean(side(logits[real], logits[fake]))
    return expected(side, logits, p, q)

  def descend(*given):
    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 3000), b2=0.99)

    def step(carry, _):
      logits, state = carry
      updates, state = optimizer.update(jax.grad(loss)(logits, *given), state)
      return (optax.apply_updates(logits, updates), state), None

    start = jnp.zeros(5)
    (logits, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=3000)
    return logits, loss(logits, *given)

  with jax.enable_x64(True):
    problems = [in_shares(*distributions(seed)) for seed in range(3)]
    found, values = jax.jit(jax.vmap(descend))(*map(jnp.stack, zip(*problems, strict=True)))
    for logits, value, (p, q, *_) in zip(found, values, problems, strict=True):
      np.testing.assert_allclose(value, optimum.loss(p, q), rtol=1e-5, atol=1e-7)
      got, want = logits, optimum.logits(p, q)
      if name.startswith("relativistic"):  # only differences matter
        got, want = got - got.mean(), want - want.mean()
      if name == "f_gan_total_variation":  # at infinity; T = tanh(v)/2 gets there
        got, want = np.tanh(got), np.tanh(want)
      np.testing.assert_allclose(got, want, atol=1e-4)


def test_every_loss_with_a_theorem_is_held_to_it():
  without = {"wasserstein", "relativistic_average", "relativistic_average_hinge"}
  assert set(OPTIMA) == set(LOSSES) - without


def test_wasserstein_over_lipschitz_discriminators_is_minus_w1():
  """The expected loss is linear in the logits: the Kantorovich dual on a line, solved as an LP."""
  p, q = distributions(1, k=6)
  x = np.cumsum(np.random.default_rng(2).uniform(0.2, 2, 6))
  with jax.enable_x64(True):
    of = expected_loss(losses.wasserstein, p, q)
    _, costs = of(np.zeros(6))
    np.testing.assert_allclose(of(kantorovich(p, q, x))[0], -wasserstein(p, q, x), rtol=1e-12)
  steps = np.diff(np.eye(6), axis=0)
  bounds = np.tile(np.diff(x), 2)
  # The value does not change with a constant added to the logits: pin the first one.
  pinned = [(0, 0)] + [(None, None)] * 5
  found = scipy.optimize.linprog(costs, np.vstack([steps, -steps]), bounds, bounds=pinned).fun
  np.testing.assert_allclose(found, -wasserstein(p, q, x), rtol=1e-9)


# --- f-divergences -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_is_consistent(name):
  f = DIVERGENCES[name]
  u = np.array([0.1, 0.5, 0.9, 1.3, 2.0, 6.0])
  v = np.linspace(-4, 4, 17)
  with jax.enable_x64(True):
    np.testing.assert_allclose(f.generator(jnp.ones(1)), [0], atol=1e-15)
    slope = jax.vmap(jax.grad(f.generator))(u)
    np.testing.assert_allclose(f.derivative(u), slope, rtol=1e-12, atol=1e-15)
    # Fenchel-Young: equality at t = f'(u), and f* is the supremum.
    np.testing.assert_allclose(f.conjugate(slope), u * slope - f.generator(u), atol=1e-12)
    grid = jnp.geomspace(1e-4, 1e3, 4001)
    sup = jnp.max(jnp.outer(slope, grid) - f.generator(grid)[None], axis=1)
    np.testing.assert_allclose(f.conjugate(slope), sup, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(f.conjugate_activation(v), f.conjugate(f.activation(v)), atol=1e-10)
    assert (jnp.diff(f.activation(v)) > 0).all()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_has_its_density_ratio_at_the_optimal_logits(name):
  p, q = distributions(4)
  optimum = OPTIMA[f"f_gan_{name}"]
  logits, value = optimum.logits(p, q), optimum.loss(p, q)
  f = DIVERGENCES[name]
  with jax.enable_x64(True):
    np.testing.assert_allclose(f.activation(logits), f.derivative(p / q), rtol=1e-12)
    np.testing.assert_allclose(-jnp.sum(q * f.generator(p / q)), value, rtol=1e-12)
