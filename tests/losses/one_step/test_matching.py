"""Distribution matching: denoisers are scores, and their difference descends KL of the noised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm
from scipy.special import softmax

from gan_jax.data import Batches, load
from gan_jax.data.sources.endless import LINE4
from gan_jax.losses.one_step import distribution_matching as dm
from gan_jax.theory.drift import smoothed_score

RNG = np.random.default_rng(0)
MEANS = np.array([[-1.0, 0.5], [1.0, 0.0], [0.0, -1.0]])
STD, SHARES = 0.3, np.array([0.5, 0.3, 0.2])
GRID = np.linspace(-7, 7, 281)  # of standard normal numbers; sums of smooth functions are exact
WEIGHTS = np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum()


# --- the teacher ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.01, 0.4, 5.0])
def test_a_teacher_has_the_score_of_the_noised_mixture(sigma):
  """Of the gradient of the log density by JAX, and of that in closed form."""
  x = RNG.normal(size=(7, 2))
  teacher = dm.mixture_denoiser(MEANS, STD, SHARES)
  variance = STD**2 + sigma**2

  def log_density(x):
    square = jnp.sum((x[:, None] - MEANS[None]) ** 2, axis=-1)
    return jnp.sum(logsumexp(jnp.log(SHARES)[None] - square / (2 * variance), axis=1))

  @jax.jit
  def look(x):
    score = (teacher(x, jnp.full(7, sigma)) - x) / sigma**2
    return score, jax.grad(log_density)(x), smoothed_score(x, MEANS, np.full(3, STD), SHARES, sigma)

  with jax.enable_x64(True):
    score, slope, closed = jax.device_get(look(x))
  np.testing.assert_allclose(slope, closed, rtol=1e-9)
  # (μ - x) / σ² loses digits to the difference, and logarithms of shares are float32.
  np.testing.assert_allclose(score, slope, rtol=1e-5, atol=1e-6)


def test_of_one_gaussian_it_is_linear():
  """Examples of other shapes too; points are themselves what is denoised to."""
  x, sigma = jnp.asarray(RNG.normal(size=(3, 2, 2)), jnp.float32), jnp.array([0.1, 1.0, 3.0])
  center = jnp.arange(4.0)
  denoised = dm.mixture_denoiser(center[None], 0.5)(x, sigma)
  share = (0.25 / (0.25 + sigma**2))[:, None, None]
  expected = share * x + (1 - share) * center.reshape(1, 2, 2)
  np.testing.assert_allclose(denoised, expected, rtol=1e-6, atol=1e-6)
  of_points = dm.mixture_denoiser(center[None], 0.0)(x, sigma)
  np.testing.assert_allclose(of_points, np.broadcast_to(center.reshape(1, 2, 2), x.shape))


@pytest.mark.parametrize("std", [0.0, 0.3])
def test_of_three_examples_it_is_their_posterior_mean(std):
  """In float32 beside sums in float64: at low levels the nearest example, at high ones the mean."""
  examples = np.array([[1.0, 0.0], [1.5, 0.5], [0.0, 2.0]]) + 1000  # far from 0, where floats part
  levels = np.array([0.01, 0.2, 0.5, 1.0, 1000.0])
  x = np.array([[1.1, 0.1], [1.3, 0.3], [0.8, 0.9], [0.2, 1.5], [0.4, 0.6]]) + 1000
  teacher = jax.jit(dm.mixture_denoiser(examples, std))
  found = teacher(jnp.asarray(x, jnp.float32), jnp.asarray(levels, jnp.float32))
  variance = (std**2 + levels**2)[:, None]
  chance = np.exp(-((x[:, None] - examples) ** 2).sum(axis=2) / (2 * variance))
  center = (chance / chance.sum(axis=1, keepdims=True)) @ examples
  expected = (std**2 * x + levels[:, None] ** 2 * center) / variance
  # Floats near 1000 are 6e-5 apart; 0.2 times as large a level makes no more of it.
  np.testing.assert_allclose(found, expected, rtol=0, atol=3e-4)
  if not std:
    np.testing.assert_allclose(found[0], examples[0], rtol=0, atol=7e-5)
    np.testing.assert_allclose(found[4], examples.mean(axis=0), rtol=0, atol=1.3e-4)


def test_of_real_digits_it_is_exact_in_float32_and_has_a_slope():
  """At levels from below the distance of neighbours to beyond that of all, in one product."""
  batches = Batches(load("mnist10k"), 16, 0)
  examples = batches.every(1 << 26)[:1500].reshape(1500, -1)
  sigma = np.tile(np.array([0.05, 0.3, 1.0, 3.0, 20.0]), 4).astype(np.float32)
  between = (examples[:20] + examples[20:40]) / 2
  x = (between + sigma[:, None] * RNG.normal(size=between.shape)).astype(np.float32)
  teacher = dm.mixture_denoiser(examples, 0.0)
  look = jax.jit(lambda x: (teacher(x, sigma), jax.grad(lambda x: jnp.sum(teacher(x, sigma)))(x)))
  found, slope = jax.device_get(look(x))
  square = ((x[:, None].astype(float) - examples[None]) ** 2).sum(axis=2)
  share = softmax(-square / (2 * sigma[:, None].astype(float) ** 2), axis=1)
  # Of sums of 784 products as large as 1000, over twice a variance of 0.09.
  np.testing.assert_allclose(found, share @ examples.astype(float), rtol=0, atol=5e-3)
  assert np.isfinite(slope).all() and np.abs(slope).max() > 0.1


def test_the_mean_of_what_is_clean_minimises_the_denoising_loss():
  """The loss is quadratic in what is denoised to at each place, so that one Newton step is it."""
  centers, std, sigma, data_std = np.array([[-1.0], [0.5]]), 0.2, 0.4, 0.7
  clean = (centers + std * GRID[None, ::4]).reshape(-1)
  noised = np.linspace(-2, 2, 9)
  density = np.tile(WEIGHTS[::4], 2)[:, None] * norm.pdf(noised[None], clean[:, None], sigma)
  rows = density.size

  def expected_loss(denoised):
    each = dm.denoising_loss(
      jnp.tile(denoised, len(clean))[:, None],
      jnp.repeat(clean, len(noised))[:, None],
      jnp.full(rows, sigma),
      data_std,
    )
    return jnp.sum(density.reshape(-1) * each)

  @jax.jit
  def look():
    slope = jax.grad(expected_loss)
    at_0, at_1 = slope(jnp.zeros(len(noised))), slope(jnp.ones(len(noised)))
    teacher = dm.mixture_denoiser(centers, std)
    return -at_0 / (at_1 - at_0), at_1 - at_0, teacher(noised[:, None], jnp.full(9, sigma))[:, 0]

  with jax.enable_x64(True):
    best, curvature, teacher = jax.device_get(look())
  assert (curvature > 0).all()
  np.testing.assert_allclose(best, teacher, rtol=0, atol=1e-6)  # centres are float32


# --- what the generator descends ------------------------------------------------------------------


def test_it_descends_the_divergence_of_the_noised_and_rests_where_they_agree():
  """In the mean and the deviation of a Gaussian generator, at each level times σ²."""
  mean, std, levels = 0.8, 0.5, (0.2, 1.0)
  pairs = np.stack(np.meshgrid(GRID[::2], GRID[::2], indexing="ij"), axis=-1).reshape(-1, 2)
  weight = np.outer(WEIGHTS[::2], WEIGHTS[::2]).reshape(-1) * 4
  line = np.linspace(-12, 12, 4001)
  teacher, critic = dm.mixture_denoiser(*LINE4), dm.mixture_denoiser(np.array([[mean]]), std)

  def divergence(parameters, sigma):
    m, s = parameters
    log_q = norm.logpdf(line, m, jnp.sqrt(s**2 + sigma**2))
    scale = np.sqrt(LINE4.std**2 + sigma**2)
    of_modes = norm.logpdf(line[None], LINE4.centers.astype(float), scale)
    log_p = logsumexp(of_modes, axis=0) - np.log(4)
    return jnp.sum(jnp.exp(log_q) * (log_q - log_p)) * (line[1] - line[0])

  def loss(parameters, sigma, teacher):
    z, noise = pairs.T
    fake = (parameters[0] + parameters[1] * z)[:, None]
    noised, level = fake + sigma * noise[:, None], jnp.full(len(pairs), sigma)
    direction = dm.matching_direction(
      fake, critic(noised, level), teacher(noised, level), normalise=False
    )
    return jnp.sum(weight * dm.follow_direction(fake, jax.lax.stop_gradient(direction)))

  @jax.jit
  def look(parameters):
    own = [jax.grad(loss)(parameters, sigma, teacher) for sigma in levels]
    rest = [jax.grad(loss)(parameters, sigma, critic) for sigma in levels]
    theirs = [sigma**2 * jax.grad(divergence)(parameters, sigma) for sigma in levels]
    return jnp.stack(own), jnp.stack(theirs), jnp.stack(rest)

  with jax.enable_x64(True):
    own, theirs, rest = jax.device_get(look(jnp.array([mean, std])))
  # Centres and shares are float32 in the denoisers.
  np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-6)
  np.testing.assert_allclose(own.mean(axis=0), theirs.mean(axis=0), rtol=0, atol=1e-6)
  assert np.abs(theirs).min() > 1e-3 and not rest.any()


def test_a_direction_is_divided_by_the_teachers_error_and_followed():
  fake, by_critic, by_teacher = jnp.asarray(RNG.normal(size=(3, 4, 2, 3)), jnp.float32)
  by_teacher = by_teacher.at[0].set(fake[0])  # no error, and so no direction: nan_to_num
  found, slope, value = jax.jit(
    lambda: (
      (found := dm.matching_direction(fake, by_critic, by_teacher)),
      jax.grad(lambda x: jnp.mean(dm.follow_direction(x, found)))(fake),
      dm.follow_direction(fake, found),
    )
  )()
  error = np.abs(np.asarray(fake - by_teacher)[1:]).mean(axis=(1, 2), keepdims=True)
  np.testing.assert_allclose(found[1:], (by_critic - by_teacher)[1:] / error, rtol=1e-6)
  assert not found[0].any()
  # As of ½ mse(x, stop(x - g)), a mean over the whole array.
  np.testing.assert_allclose(slope, found / found.size, rtol=1e-6)
  np.testing.assert_allclose(value, np.mean(np.asarray(found) ** 2, axis=(1, 2)) / 2, rtol=1e-6)


# --- noise ----------------------------------------------------------------------------------------


def test_a_network_is_given_and_asked_for_numbers_of_one_size():
  """For data of N(0, σ_d²) inputs, and targets at the best linear denoiser, have variance 1."""
  sigma, std = np.array([0.01, 0.7, 40.0], np.float32), 0.7
  scales = dm.preconditioning(jnp.asarray(sigma), std)
  np.testing.assert_allclose(scales.into**2 * (sigma**2 + std**2), 1, rtol=1e-6)
  # (x - skip (x + σn)) / out: of independent x and n.
  target = ((1 - scales.skip) ** 2 * std**2 + scales.skip**2 * sigma**2) / scales.out**2
  np.testing.assert_allclose(target, 1, rtol=1e-5)
  # The weight of the loss is 1 / out², so that it is the network's own error.
  loss = dm.denoising_loss(scales.out[:, None], jnp.zeros((3, 1)), jnp.asarray(sigma), std)
  np.testing.assert_allclose(loss, 1, rtol=1e-5)
  np.testing.assert_allclose(scales.time, np.log(sigma) / 4, rtol=1e-6)


def test_levels_are_those_of_a_share_of_the_way():
  keys = jax.random.split(jax.random.key(0), 2048)
  sigma = dm.karras_levels(0.01, 5.0, 3.0, between=(0.25, 0.75))(keys)
  low, high = 0.01 ** (1 / 3), 5.0 ** (1 / 3)
  share = (sigma ** (1 / 3) - low) / (high - low)
  # Of a uniform law; four standard errors of its mean are 0.013.
  np.testing.assert_allclose([share.min(), share.max()], [0.25, 0.75], atol=1e-2)
  np.testing.assert_allclose(share.mean(), 0.5, atol=0.013)


@pytest.mark.parametrize(
  "arguments, message",
  [
    ((0.0, 1.0), "between two numbers from 1e-9 to 1e9, the lower one first, got 0.0 and 1.0"),
    ((1.0, 0.5), "the lower one first, got 1.0 and 0.5"),
    ((1e-25, 1.0), "got 1e-25 and 1.0"),
    ((0.1, 1e25), r"got 0.1 and 1e\+25"),
    ((0.1, 80.0, 1e-3), r"rho is 0.001: expected a number in \[1, 100\]"),  # 80^1000 is no float
    ((0.1, 80.0, 1e20), r"rho is 1e\+20"),  # of which every root is 1
    ((0.1, 1.0, 7.0, (0.5, 1.5)), r"two shares in \[0, 1\], got \(0.5, 1.5\)"),
  ],
)
def test_levels_that_cannot_be_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    dm.karras_levels(*arguments)


def test_all_scales_that_are_taken_have_finite_numbers():
  for least, largest in ((1e-9, 1e-9 * 2), (5e8, 1e9)):
    for rho in (1.0, 100.0):
      sigma = dm.karras_levels(least, largest, rho)(jax.random.split(jax.random.key(0), 16))
      # A base of float32 errs by 6e-8 of itself, and its power rho times as much.
      assert (sigma > 0.999 * least).all() and (sigma < 1.001 * largest).all()
      for std in (0.0, 1e-9, 1e9):
        denoised = dm.mixture_denoiser(MEANS, std)(jnp.ones((16, 2)), sigma)
        assert np.isfinite(denoised).all()


def test_a_teacher_of_other_examples_is_refused():
  with pytest.raises(ValueError, match="of examples of 2 numbers, got 3"):
    dm.mixture_denoiser(MEANS, STD)(jnp.zeros((1, 3)), jnp.ones(1))
  for std in (-1, 1e25):
    with pytest.raises(ValueError, match="std is .*: expected a number >= 0, to 1e9"):
      dm.mixture_denoiser(MEANS, std)
