"""The keyed permutation: a bijection, the same in NumPy and JAX, and as random as a shuffle."""

import math

import jax
import numpy as np
import pytest

from gan_jax.data.permutation import hash_words, mix, permute

SIZES = (1, 2, 3, 4, 5, 7, 10, 16, 17, 99, 100, 101, 9999, 10000, 10001, 60000)


@pytest.mark.parametrize("n", SIZES)
def test_bijection(n: int):
  for key in ((0, 0), (1, 0), (0, 1), (2**32 - 1, 2**32 - 1)):
    assert (np.sort(permute(np.arange(n, dtype=np.uint32), n, *key)) == np.arange(n)).all()


@pytest.mark.parametrize("n", [1, 3, 100, 60000, 2**31 - 1])
def test_numpy_equals_jax_inside_jit(n: int):
  positions = np.linspace(0, n - 1, min(n, 1000), dtype=np.uint32)
  jitted = jax.jit(lambda p, epoch: permute(p, n, 7, epoch))
  for epoch in (0, 1, 2**31):
    on_host = permute(positions, n, 7, epoch)
    assert on_host.dtype == np.uint32 and (on_host < n).all()
    assert (jitted(positions, np.uint32(epoch)) == on_host).all()


def test_points_do_not_depend_on_their_neighbours():
  whole = permute(np.arange(1000, dtype=np.uint32), 1000, 3)
  assert all(permute(np.array([i], np.uint32), 1000, 3)[0] == whole[i] for i in (0, 1, 500, 999))


def chi_square(values: np.ndarray, bins: int) -> float:
  """(chi2 - mean) / standard deviation under the uniform distribution: beyond 5 is no accident."""
  expected = len(values) / bins
  statistic = ((np.bincount(values, minlength=bins) - expected) ** 2 / expected).sum()
  return (statistic - (bins - 1)) / math.sqrt(2 * (bins - 1))


def over_epochs(position: int, n: int, epochs: int) -> np.ndarray:
  """Where one position goes in each of many epochs."""
  repeated = np.full(epochs, position, np.uint32)
  return permute(repeated, n, 7, np.arange(epochs, dtype=np.uint32)).astype(np.int64)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_all_orders_are_equally_likely(n: int):
  epochs = 50 * math.factorial(n)
  digits = sum(over_epochs(i, n, epochs) * n**i for i in range(n))
  _, orders = np.unique(digits, return_inverse=True)
  assert orders.max() == math.factorial(n) - 1
  assert chi_square(orders, math.factorial(n)) < 5


@pytest.mark.parametrize("n", [10, 100, 101])
def test_positions_and_distances_are_uniform(n: int):
  first, second, last = (over_epochs(i, n, 20000) for i in (0, 1, n - 1))
  assert chi_square(first, n) < 5 and chi_square(last, n) < 5
  assert chi_square((second - first) % n - 1, n - 1) < 5  # neighbours do not stay near


def test_order_of_a_large_set_has_no_trend():
  """Correlations of a random order are about N(0, 1/n); fixed points are Poisson(1)."""
  n = 60000
  order = permute(np.arange(n, dtype=np.uint32), n, 1, 0).astype(float)
  shifted = permute(np.arange(n, dtype=np.uint32), n, 1, 1).astype(float)
  seeded = permute(np.arange(n, dtype=np.uint32), n, 2, 0).astype(float)
  pairs = ((order[1:], order[:-1]), (order, np.arange(n)), (order, shifted), (order, seeded))
  for a, b in pairs:
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(n)
    assert (a == b).sum() < 10


def test_mix_is_one_to_one_and_flips_half_of_the_bits():
  x = np.arange(2**16, dtype=np.uint32)
  assert len(np.unique(mix(x))) == len(x)
  changed = np.unpackbits((mix(x) ^ mix(x ^ np.uint32(1))).view(np.uint8)).mean()
  assert abs(changed - 0.5) < 0.01


def test_hash_tells_words_and_their_order_apart():
  words = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (2**32 - 1,)]
  assert len({int(hash_words(*w)[0]) for w in words}) == len(words)
  mixed = jax.jit(lambda t: hash_words(5, t, np.arange(9, dtype=np.uint32)))(np.uint32(3))
  assert (mixed == hash_words(5, 3, np.arange(9, dtype=np.uint32))).all()
