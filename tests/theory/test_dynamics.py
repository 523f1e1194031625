"""Spectra of the Dirac-GAN against Mescheder et al. 2018, and of networks against themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.game.core import minibatches
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal
from gan_jax.game.play import init, play_round
from gan_jax.losses import regularizers
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.theory import dynamics
from gan_jax.theory.toys import dirac, dirac_batch

BATCH = {"x": jnp.zeros((4, 1))}


def game_at(loss, theta=0.0, psi=0.0, rate=0.1, turns=None, **terms):
  sgd = optax.sgd(rate)
  game = dirac(
    loss,
    optimizers={"discriminator": sgd, "generator": sgd},
    regularizers=terms,
    turns=turns or simultaneous(),
    theta=theta,
    psi=psi,
  )
  return game, init(game, jax.random.key(0), dirac_batch(minibatches(game), 4))


def jacobian(game, state, batch, of=dynamics.jacobian):
  return jax.jit(functools.partial(of, game))(state, batch)


def spectrum(loss, **options):
  game, state = game_at(loss, **options)
  return dynamics.eigenvalues(jacobian(game, state, BATCH))


def test_field_by_hand():
  game, state = game_at(losses.wasserstein, theta=2.0, psi=3.0)
  x, back = dynamics.flatten(game, state)
  assert x.tolist() == [3.0, 2.0]  # the discriminator's first
  assert back(x)["generator"]["theta"] == 2.0
  # D minimises psi theta, G minimises -psi theta.
  np.testing.assert_allclose(dynamics.field(game, state, BATCH)(x), [-2.0, 3.0])


@pytest.mark.parametrize(
  ("loss", "expected"),
  [("minimax", 0.5), ("non_saturating", 0.5), ("wasserstein", 1.0), ("relativistic", 0.5)],
)
def test_without_a_penalty_the_equilibrium_rotates(loss, expected):
  found = spectrum(losses.LOSSES[loss])
  np.testing.assert_allclose(found, [-1j * expected, 1j * expected], atol=1e-6)
  assert dynamics.classify(found) == "rotating"


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("penalty", ["r1", "r2"])
def test_r1_and_r2_converge_with_critical_penalty_one(penalty, gamma):
  """Mescheder et al. 2018, lemma 4.1: -gamma/2 ± sqrt(gamma²/4 - f'(0)²), with f'(0) = 1/2."""
  penalties = {"r1": regularizers.r1, "r2": regularizers.r2}
  found = spectrum(losses.non_saturating, **{penalty: (gamma, penalties[penalty])})
  root = np.sqrt(complex(gamma**2 / 4 - 1 / 4))
  expected = np.array([-gamma / 2 + root, -gamma / 2 - root])
  # At gamma = 1 both are one, where an error e in the matrix moves them by sqrt(e).
  np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-3)
  assert dynamics.classify(found) == "stable"
  assert (np.abs(found.imag) < 1e-3).all() == (gamma >= 1)


def test_a_zero_centred_penalty_is_smooth_at_the_flat_discriminator():
  """(‖g‖ - 0)² is R1 twice over; the root inside must not hide its curvature at g = 0."""
  zero = spectrum(losses.wasserstein, penalty=(0.5, regularizers.gradient_penalty(target=0.0)))
  np.testing.assert_allclose(
    zero, spectrum(losses.wasserstein, r1=(1.0, regularizers.r1)), atol=1e-6
  )


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_rounds_of_the_bilinear_game(rate):
  """Simultaneous descent spirals out, |1 ± i h|; alternating stays, |lambda| = 1 (h < 2)."""
  radius = {}
  for name, turns in (("simultaneous", simultaneous()), ("alternating", alternating())):
    game, state = game_at(losses.wasserstein, rate=rate, turns=turns)
    batch = dirac_batch(minibatches(game), 4)
    radius[name] = np.abs(
      dynamics.eigenvalues(jacobian(game, state, batch, dynamics.round_jacobian))
    )
  np.testing.assert_allclose(radius["simultaneous"], np.sqrt(1 + rate**2), rtol=1e-6)
  np.testing.assert_allclose(radius["alternating"], 1, rtol=1e-6)


def test_play_does_what_the_spectrum_says():
  def distance(**terms):
    game, state = game_at(losses.minimax, theta=1.0, psi=1.0, **terms)
    step, batch = functools.partial(play_round, game), dirac_batch(1, 4)
    state, _ = jax.lax.scan(lambda s, _: step(s, batch), state, length=500)
    return float(jnp.linalg.norm(dynamics.flatten(game, state)[0]))

  assert distance(r1=(1.0, regularizers.r1)) < 1e-3
  assert distance() > np.sqrt(2)  # the flow keeps its distance, steps add to it


def test_matrix_free_eigenvalues_are_those_of_the_jacobian():
  game = two_player(
    MLPGenerator(shape=(2,), hidden=(4,), activation="tanh"),
    MLPDiscriminator(hidden=(5,), activation="tanh"),
    loss=losses.non_saturating,
    optimizers={"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)},
    latent=normal(2),
    regularizers={"r1": (1.0, regularizers.r1)},
  )
  batch = {"x": jax.random.normal(jax.random.key(1), (16, 2))}
  state = init(game, jax.random.key(0), {"x": batch["x"][None]})
  dense = dynamics.eigenvalues(jacobian(game, state, batch))
  largest = dense[np.argsort(-np.abs(dense))]
  k = 2 if np.isclose(abs(largest[0]), abs(largest[1]), rtol=1e-4) else 1
  found = dynamics.top_eigenvalues(game, state, batch, k=k)
  np.testing.assert_allclose(
    np.sort_complex(found), np.sort_complex(largest[:k]), rtol=1e-3, atol=1e-4
  )
  with pytest.raises(ValueError, match="expected 0 < k <"):
    dynamics.top_eigenvalues(game, state, batch, k=10_000)


@pytest.mark.parametrize(
  ("found", "name"),
  [
    ([-1 + 1j, -1 - 1j], "stable"),
    ([1j, -1j], "rotating"),
    ([0.1, -1], "unstable"),
    ([0, -1], "degenerate"),
  ],
)
def test_classification(found, name):
  assert dynamics.classify(np.array(found)) == name
