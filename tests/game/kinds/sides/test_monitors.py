"""What the step measures, against closed forms."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.data import RING8
from gan_jax.game.core import Clock
from gan_jax.game.kinds.sides import monitors
from gan_jax.losses.objectives import Match


def ring(n, modes=8, seed=0):
  """Draws from the first modes of the ring: [n, 2]."""
  rng = np.random.default_rng(seed)
  x = RING8.centers[rng.integers(modes, size=n)] + RING8.std * rng.normal(size=(n, 2))
  return jnp.asarray(x, jnp.float32)


@functools.cache
def compiled(reach):
  del reach  # is read when it is traced, once for each
  return jax.jit(lambda real, fake: monitors.batch_diversity(real, fake))


def compare(real, fake):
  found = compiled(monitors.REACH)(real, fake)
  return {name: float(value) for name, value in found.items()}


def test_two_draws_of_the_data_are_as_diverse_and_cover_each_other():
  pairs = [compare(ring(64, seed=i), ring(64, seed=100 + i)) for i in range(20)]
  mean = {name: np.mean([found[name] for found in pairs]) for name in pairs[0]}
  assert abs(mean["diversity"] - 1) < 0.02  # the ratio of one pair deviates by 0.03
  assert mean["coverage"] > 0.99 and mean["precision"] > 0.99  # a mode is unvisited once in 5000


def test_coverage_without_a_least_reach_is_that_of_the_paper(monkeypatch):
  """Naeem et al. 2020: 1 - C(2n-1-k, n) / C(2n-1, n) is expected of two draws of n."""
  monkeypatch.setattr(monitors, "REACH", 0.0)
  draw = lambda seed: jnp.asarray(np.random.default_rng(seed).normal(size=(64, 50)), jnp.float32)
  found = np.mean([compare(draw(i), draw(100 + i))["coverage"] for i in range(40)])
  k, n = monitors.NEIGHBOURS, 64
  expected = 1 - math.comb(2 * n - 1 - k, n) / math.comb(2 * n - 1, n)
  assert found == pytest.approx(expected, abs=0.02)  # in 50 dimensions one draw deviates by 0.03


@pytest.mark.parametrize("modes", [1, 2, 4])
def test_modes_that_are_missing(modes):
  found = [compare(ring(64, seed=i), ring(64, modes, seed=100 + i)) for i in range(20)]
  coverage = np.mean([x["coverage"] for x in found])
  assert abs(coverage - modes / 8) < 0.04  # binomial: sd of a mean of 20 x 64 is at most 0.014
  assert min(x["precision"] for x in found) > 0.9
  if modes == 1:
    assert max(x["diversity"] for x in found) < 0.02  # 0.01 sqrt(pi) beside 1.26, the mean chord


@pytest.mark.parametrize("shape", [(64, 2), (16, 784)])
def test_fakes_that_are_one_point(shape):
  real = jax.random.normal(jax.random.key(0), shape) + 3
  found = compare(real, jnp.broadcast_to(real[:1], shape))
  assert found["diversity"] < 2e-3


def test_data_that_are_one_point():
  point = jnp.zeros((8, 1))
  for theta in (0.0, 1e-6, 2.0):
    found = compare(point, point + theta)
    assert found["diversity"] == pytest.approx(1) and found["coverage"] == 1


def test_fakes_far_from_the_data_are_not_collapsed_but_wrong():
  found = compare(ring(64), 3 * ring(64, seed=1) + 9)
  assert found["diversity"] == pytest.approx(3, rel=0.1)
  assert found["coverage"] == found["precision"] == 0


def test_secant_of_a_linear_generator():
  q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
  z = jax.random.normal(jax.random.key(0), (20, 5))
  assert float(
    monitors.jacobian_norm_estimate(z, 3 * z @ jnp.asarray(q, jnp.float32))
  ) == pytest.approx(3, rel=1e-5)
  assert float(monitors.jacobian_norm_estimate(z, jnp.ones((20, 2)))) == 0
  assert float(monitors.jacobian_norm_estimate(jnp.zeros((20, 5)), jnp.ones((20, 2)))) == 0


def test_position_moves_with_every_entry_it_reads():
  params = {"a": jnp.zeros((3, 2)), "b": jnp.zeros(4)}
  position = jax.jit(monitors.parameter_projection)
  slope = jax.grad(position)(params)
  assert all((x == 0).all() for x in jax.tree.leaves(slope))  # it is no part of a loss
  for name, size in (("a", 6), ("b", 4)):
    for i in range(size):
      moved = params[name].ravel().at[i].set(1.0).reshape(params[name].shape)
      assert abs(float(position(params | {name: moved}))) == 1
  large = {"a": jnp.ones(10_000)}
  assert float(monitors.parameter_projection(large)) == float(
    monitors.parameter_projection({"a": jnp.ones(1024)})
  )


def saw(logits):
  """Makes a match of which only fake logits matter."""
  b = jnp.asarray(logits)
  empty = {"generator": {}, "discriminator": {}}
  return Match(b, b, jnp.zeros_like(b), b, None, None, b, empty, b, Clock())


@pytest.mark.parametrize("logit", [-12.0, -3.0, 0.0, 3.0])
def test_slopes_of_the_losses(logit):
  names = ("minimax", "non_saturating", "wasserstein", "hinge", "relativistic")
  match = saw([logit] * 4)
  found = jax.jit(
    lambda: {name: monitors.of_generator(losses.LOSSES[name], match) for name in names}
  )()
  trusted = 1 / (1 + math.exp(-logit))
  slope = lambda name: float(found[name]["monitor/slope"])
  assert slope("minimax") == pytest.approx(trusted, rel=1e-5)
  assert slope("non_saturating") == pytest.approx(1 - trusted, rel=1e-4)
  assert slope("wasserstein") == slope("hinge") == 1
  assert slope("relativistic") == pytest.approx(1 - trusted, rel=1e-4)  # real logits are 0
  ratio = float(found["hinge"]["monitor/slope_ratio"])
  assert ratio == pytest.approx(trusted / (1 - trusted), rel=1e-4)


def test_monitors_see_the_first_examples_of_the_global_batch_on_every_layout(monkeypatch):
  """Of 32 examples on 8 devices with a limit of 10: the share of two and a half devices."""
  monkeypatch.setattr(monitors, "EXAMPLES", 10)

  def look(x, axis_name=None):
    logits = x[0, :, 0]
    match = Match(x[0], x[1], logits, logits, None, None, x[2], {}, x, Clock(), axis_name)
    match = match._replace(params={"discriminator": jnp.ones(3), "generator": jnp.ones(3)})
    found = monitors.of_discriminator(match, monitors.UNMEASURED)[0]
    found |= monitors.of_generator(losses.relativistic_average, match)
    return found if axis_name is None else jax.lax.pmean(found, axis_name)

  x = jax.random.normal(jax.random.key(1), (3, 32, 2))  # real, fake, latents
  one = jax.jit(look)(x)
  shares = jnp.moveaxis(x.reshape(3, 8, 4, 2), 1, 0)
  many = jax.pmap(functools.partial(look, axis_name="i"), "i")(shares)
  assert len(one) == 8
  for name in one:
    np.testing.assert_allclose(many[name], jnp.full(8, one[name]), rtol=1e-5, err_msg=name)
  assert float(one["monitor/diversity"]) == pytest.approx(
    compare(x[0, :10], x[1, :10])["diversity"]
  )


def test_a_batch_of_one_example_has_positions_alone():
  match = saw([1.0])._replace(axis_name=None)
  found, memory = monitors.of_discriminator(match, monitors.UNMEASURED)
  assert set(found) == {"monitor/position_discriminator"} and memory is monitors.UNMEASURED


def test_comparisons_are_made_every_ten_rounds_and_repeated_between():
  x = ring(16)
  match = saw([1.0] * 16)._replace(real=x, latents=x)
  look = jax.jit(
    lambda fake, round, memory: monitors.of_discriminator(
      match._replace(fake=fake, clock=Clock(round)), memory
    )
  )
  memory = monitors.UNMEASURED
  for round, scale in ((0, 1.0), (1, 2.0), (9, 3.0), (10, 4.0), (15, 5.0)):
    found, memory = look(scale * x, jnp.int32(round), memory)
    assert found["monitor/position_discriminator"] == 0  # every round
    assert found["monitor/diversity"] == pytest.approx(1.0 if round < 10 else 4.0, rel=1e-2)
    assert {f"monitor/{name}": value for name, value in memory.items()}.items() <= found.items()
