"""Losses of autoencoding discriminators, by hand: energies are negative logits."""

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
