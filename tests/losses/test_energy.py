"""Losses of autoencoding discriminators, by hand: energies are negative logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.game.core import Clock
from gan_jax.losses.energy import boundary_equilibrium, energy_margin, pulling_away
from gan_jax.losses.objectives import Match, adversarial_term, every


def match(real=(1.0, 3.0), fake=(0.5, 1.5), **outputs):
  """Builds the match of these energies."""
  nothing = jnp.zeros(len(fake))
  logits = (-jnp.asarray(real), -jnp.asarray(fake))
  return Match(nothing, nothing, *logits, None, None, nothing, {}, nothing, Clock(), **outputs)


def test_the_margin_by_hand():
  """E(x) + max(0, m - E(G(z))) for D, E(G(z)) for G; equations 1 and 2."""
  loss = energy_margin(1.0)
  assert loss.discriminator(jnp.array([-1.0, -3.0]), jnp.array([-0.5, -1.5])).tolist() == [1.5, 3]
  assert loss.generator(jnp.array([-1.0, -3.0]), jnp.array([-0.5, -1.5])).tolist() == [0.5, 1.5]


def test_the_equilibrium_by_hand():
  """With k = 1/4: L(x) - k L(G(z)); then k moves by λ (γ E L(x) - E L(G(z)))."""
  loss = boundary_equilibrium(ratio=0.75, rate=0.1)
  term = adversarial_term(loss, "discriminator")
  values, memory = term.value(match(), {**term.memory, "k": jnp.float32(0.25)})
  np.testing.assert_allclose(values, [1 - 0.125, 3 - 0.375])
  np.testing.assert_allclose(memory["k"], 0.25 + 0.1 * (0.75 * 2 - 1))
  np.testing.assert_allclose(memory["convergence"], 2 + 0.5)
  assert term.metrics(memory) == memory
  np.testing.assert_allclose(adversarial_term(loss, "generator").value(match(), ())[0], [0.5, 1.5])


def test_k_stays_within_0_and_1():
  term = boundary_equilibrium(ratio=0.5, rate=10.0).discriminator
  for real, expected in ((9.0, 1.0), (0.0, 0.0)):
    _, memory = term.value(match(real=(real, real)), {**term.memory, "k": jnp.float32(0.5)})
    assert float(memory["k"]) == expected


def test_metrics_of_a_lazy_term_are_those_of_the_term():
  term = every(2, boundary_equilibrium().discriminator)
  _, memory = term.value(match(), term.memory)
  np.testing.assert_allclose(term.metrics(memory)["convergence"], 2 + 0)


def test_pulling_away_is_the_mean_squared_cosine_of_others():
  embedding = jnp.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
  values, _ = pulling_away().value(match(fake_outputs={"embedding": embedding}), ())
  np.testing.assert_allclose(values, [0.25, 0.25, 0.5], rtol=1e-6)


def test_pulling_away_from_an_embedding_of_zeros_is_0_with_a_slope():
  """Of rows 0, (1, 0), (1, 1) / √2 the cosines of different ones are 0, 0 and 1 / √2."""
  value = jax.jit(lambda s: pulling_away().value(match(fake_outputs={"embedding": s}), ())[0])
  rows = jnp.array([[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
  np.testing.assert_allclose(value(rows), [0, 0.25, 0.25], atol=1e-6)  # a few roundings of 1
  # The mean is cos² φ / 3, of slope -sin 2φ / 3 = -1/3 in the angle φ between the two. It changes
  # by 1/2 per unit of the second entry of (2, 0), or of one of the entries of (1, 1).
  slope = jax.jit(jax.grad(lambda s: jnp.mean(value(s))))(rows)
  np.testing.assert_allclose(slope, [[0, 0], [0, 1 / 6], [1 / 6, -1 / 6]], atol=1e-6)


@pytest.mark.parametrize(
  "make",
  [
    lambda: energy_margin(0),
    lambda: boundary_equilibrium(ratio=0),
    lambda: boundary_equilibrium(ratio=1.5),
    lambda: boundary_equilibrium(rate=-1),
  ],
)
def test_numbers_out_of_range_are_refused(make):
  with pytest.raises(ValueError, match="expected a number"):
    make()
