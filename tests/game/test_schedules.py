"""Averages whose profile is a power of time, against EDM2's published code."""

import numpy as np
import pytest
from cases import load_case

from gan_jax.game.core import Clock
from gan_jax.game.schedules import (
  _inner_products,
  by_images,
  inverse_square_root,
  power_function,
  power_function_decay,
  power_function_gamma,
  power_function_profile,
  power_function_std,
  reconstruction_weights,
)

GAMMAS = {0.05: 16.972198602303447, 0.1: 6.937203937601809, 0.2886: 0.0015604288147535402}
# Of NVlabs/edm2, commit 4bf8162, training/phema.py.
BETAS = [0.0, 0.004080031659650188, 0.040024670494066675, 0.9998788942892373]


def case(name):
  arrays, found = load_case("phema", name)
  return arrays or found["numbers"]


def close(found, expected, rtol=1e-9):
  np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-300)


def test_exponents_decays_and_products_are_the_published_ones():
  for std, gamma in GAMMAS.items():
    close(power_function_gamma(std), gamma, 1e-8)
    close(power_function_std(power_function_gamma(std)), std)
  images = 2048 * np.array([1, 2, 3, 65536])
  close(power_function_decay(0.1, images, 2048), BETAS)
  rates = [float(power_function(0.1).rate(Clock(n, 2048 * n), 2048)) for n in (0, 1, 2, 65535)]
  np.testing.assert_allclose(rates, BETAS, rtol=1e-6)
  assert abs((1 - rates[-1]) / (1 - BETAS[-1]) - 1) < 1e-3  # though it is near 1 in float32
  profile = lambda time, std: (np.array([time]), np.array([power_function_gamma(std)]))
  close(_inner_products(profile(2000, 0.05), profile(1000, 0.1)), 2.2270736011808175e-08)


def test_realised_weights_are_differences_of_powers():
  """The network before the first move, and what a profile promises of later ones."""
  weights, power = np.zeros(17), power_function_gamma(0.1) + 1
  for n, one in enumerate(np.eye(17)):
    weights = one if n == 0 else weights + (1 - power_function_decay(0.1, n, 1)) * (one - weights)
  n = np.arange(1, 17)
  close(weights, np.append(0, n**power - (n - 1) ** power) / 16**power, 1e-8)
  steps = np.arange(1, 20001)
  profile, exact = power_function_profile(steps, 20000, 0.1), np.diff(np.append(0, steps) ** power)
  np.testing.assert_allclose(profile, exact / exact.sum(), atol=1e-7)
  mean = profile @ steps
  np.testing.assert_allclose(np.sqrt(profile @ (steps - mean) ** 2) / 20000, 0.1, rtol=1e-3)


def test_a_stored_average_is_reconstructed_as_itself_and_others_nearly():
  rng, times = np.random.default_rng(0), np.arange(8, 65, 8)
  nets = np.cumsum(rng.normal(size=(65, 3)), axis=0)

  def tracked(std):
    average, stored = nets[0], []
    for n in range(1, 65):
      beta = power_function_decay(std, n, 1)
      average = beta * average + (1 - beta) * nets[n]
      stored += [average] * (n in times)
    return np.stack(stored)

  snapshots = np.concatenate([tracked(0.05), tracked(0.1)])
  stds = [0.05] * 8 + [0.1] * 8
  weights = lambda std: reconstruction_weights(np.tile(times, 2), stds, 64, std)
  close(weights(0.1) @ snapshots, snapshots[-1], 1e-6)
  # Errors of about 0.008, 0.03 and 0.15, of nets of order 5, are those of the published code.
  for std, bound in ((0.075, 0.01), (0.15, 0.05), (0.2, 0.2)):
    error = np.abs(weights(std) @ snapshots - tracked(std)[-1]).max()
    assert bound / 10 < error < bound
  with pytest.raises(ValueError, match="expected times up to 60, with it"):
    reconstruction_weights(np.tile(times, 2), stds, 60, 0.1)


def test_the_inverse_square_root_rises_stays_and_falls():
  rate = by_images(inverse_square_root(0.01, 70000 * 2048, 1e7))
  found = [float(rate(Clock(0, n))) for n in (0, 2048, 10**7, 70000 * 2048, 4 * 70000 * 2048)]
  np.testing.assert_allclose(found, [0, 2.048e-6, 0.01, 0.01, 0.005], rtol=1e-6)
  assert float(inverse_square_root(0.01, 4)(16)) == pytest.approx(0.005)
  for counts in ((0, 0), (-5, 0), (4, -1)):  # rates of 0/0, of a root below 0, and below 0
    with pytest.raises(ValueError, match="the first > 0 and the second >= 0"):
      inverse_square_root(0.01, *counts)


def test_numbers_are_those_of_the_published_code():
  numbers = case("gamma_of_std")
  close([power_function_gamma(std) for std in numbers["std"]], numbers["gamma"], 1e-8)
  for gamma, std in numbers["std_of_gamma"].items():
    close(power_function_std(float(gamma)), std)
  numbers = case("beta_schedule")
  for std, betas in zip(numbers["std"], numbers["beta"], strict=True):
    close(power_function_decay(std, numbers["nimg"], numbers["batch"]), betas)
  for row in case("correlation")["rows"]:
    sides = [
      (np.array([row[f"t_{side}"]]), np.array([power_function_gamma(row[f"std_{side}"])]))
      for side in "ab"
    ]
    close(_inner_products(*sides)[0, 0], row["value"])
  numbers = case("response")
  given = zip(numbers["in/time"], numbers["in/std"], numbers["out/response"], strict=True)
  for time, std, expected in given:
    close(power_function_profile(np.arange(64), time, float(std)), expected)


def test_reconstruction_is_that_of_the_published_code():
  arrays, targets = case("track_and_reconstruct"), [0.05, 0.075, 0.15, 0.2]
  given = arrays["in/snapshot_nimg"], arrays["in/snapshot_std"]
  weights = np.stack([reconstruction_weights(*given, 1024, std) for std in targets], axis=1)
  np.testing.assert_allclose(weights, arrays["out/coefficients"], rtol=1e-7, atol=1e-7)
  close(weights.T @ arrays["out/snapshots"], arrays["out/reconstructed"], 1e-7)
  average = arrays["in/theta"][0]
  for n in range(1, 65):
    beta = power_function_decay(0.1, 16 * n, 16)
    average = beta * average + (1 - beta) * arrays["in/theta"][n]
  close(average, arrays["out/snapshots"][-1], 1e-7)
