"""Rounds of the Dirac-GAN in closed form, against the Jacobians of rounds that are played."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.game.core import minibatches
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.play import init, play_round
from gan_jax.losses import regularizers
from gan_jax.losses.one_step import flows
from gan_jax.theory import dynamics, rounds
from gan_jax.theory.toys import dirac, dirac_batch

TURNS = {False: simultaneous(), True: alternating()}
BOTH = pytest.mark.parametrize("in_turns", [False, True])
PAIRED = losses.relativistic


def optimizers(make):
  return {"discriminator": make(), "generator": make()}


def game_and_state(loss, make, in_turns, at=(0.0, 0.0), size=1, **options):
  """Builds a game at (psi, theta), its state and its data."""
  psi, theta = at
  game = dirac(
    loss, optimizers=optimizers(make), turns=TURNS[in_turns], theta=theta, psi=psi, **options
  )
  batch = dirac_batch(minibatches(game), size)
  return game, init(game, jax.random.key(0), batch), batch


TERMS = {
  "r1": regularizers.r1,
  "r2": lambda match: regularizers.r2(match),
  "centering": regularizers.centering,
}


@functools.cache
def compiled(name, in_turns):
  """Compiles (rates [n], weights of TERMS [n, 3]) -> Jacobians [n, 2, 2] of rounds at (0, 0)."""
  loss = losses.LOSSES[name]
  _, state, batch = game_and_state(loss, lambda: optax.sgd(0.1), in_turns)

  def of_one(rate, weights):
    # Traced, so that one compilation serves all; a weight is traced as a schedule.
    terms = {
      name: (lambda clock, w=w: w, term)
      for (name, term), w in zip(TERMS.items(), weights, strict=True)
    }
    game = dirac(
      loss,
      optimizers=optimizers(lambda: optax.sgd(rate)),
      turns=TURNS[in_turns],
      regularizers=terms,
    )
    return dynamics.round_jacobian(game, state, batch)

  return jax.jit(jax.vmap(of_one))


def jacobians(name, in_turns, rates, **weights):
  """Computes Jacobians of rounds; weights of terms [n], 0 by default."""
  columns = [weights.get(term, np.zeros(len(rates))) for term in TERMS]
  # Always as many, so that one program serves all.
  rows = np.concatenate([np.stack([rates, *columns], 1), np.ones((ROWS - len(rates), 4))])
  found = compiled(name, in_turns)(rows[:, 0], rows[:, 1:])
  return np.asarray(found[: len(rates)], np.float64)


ROWS = 21
GRID = np.stack(np.meshgrid([0.1, 0.5, 1.0], [0.0, 0.02, 0.3, 0.9, 1.5, 3.5, 30.0]), -1)


@BOTH
@pytest.mark.parametrize("name", ["relativistic", "wasserstein"])
def test_rounds_with_r1_are_those_played(name, in_turns):
  rates, weights = GRID.reshape(-1, 2).T
  found = jacobians(name, in_turns, rates, r1=weights)
  slope = rounds.slope(losses.LOSSES[name])
  for matrix, rate, weight in zip(found, rates, weights, strict=True):
    expected = rounds.round_matrix(rate, weight, slope, alternating=in_turns)
    # Entries up to 30 in float32.
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-6)
    low, high = rounds.stable_weights(rate, slope, alternating=in_turns)
    if weight:  # at weight 0 in turns, the radius is 1 but for rounding
      assert (rounds.spectral_radius(matrix) < 1) == (low < weight < high)


@BOTH
def test_the_stable_weights_end_where_the_radius_is_one(in_turns):
  rate = 0.5
  low, high = rounds.stable_weights(rate, alternating=in_turns)
  weights = np.array([1.001 * low + 1e-3, low - 1e-3, 0.999 * high, 1.001 * high])
  found = jacobians("relativistic", in_turns, np.full(4, rate), r1=weights)
  assert [rounds.spectral_radius(matrix) < 1 for matrix in found] == [True, False, True, False]
  # As the statement is usually given: logistic loss, at once and in turns.
  assert high == pytest.approx((4 + (-1) ** in_turns * rate**2 / 4) / (2 * rate))
  assert low == pytest.approx(0 if in_turns else rate / 4)


@BOTH
def test_play_is_fastest_at_the_critical_weight(in_turns):
  rate = 0.4
  critical = rounds.critical_weight(rate, alternating=in_turns)
  assert critical == pytest.approx(1 - in_turns * rate / 4)
  weights = critical * np.array([0.9, 1.0, 1.1])
  found = jacobians("relativistic", in_turns, np.full(3, rate), r1=weights)
  slower, fastest, also_slower = map(rounds.spectral_radius, found)
  # Two eigenvalues in one: an error e of the matrix, 1e-7 here, moves them by its root.
  assert fastest == pytest.approx(1 - rate / 2, abs=2e-3)
  assert fastest < min(slower, also_slower) - 0.01


@BOTH
def test_paired_play_converges_with_r1_and_r2_and_not_without(in_turns):
  """R3GAN, arXiv:2501.05441, propositions I and II, on the game that proves the first."""
  of = functools.partial(jacobians, "relativistic", in_turns, np.full(1, 0.2))
  half = np.full(1, 0.25)
  (both,), (alone,), (centred,) = of(r1=half, r2=half), of(), of(centering=2 * half)
  np.testing.assert_allclose(both, rounds.round_matrix(0.2, 0.5, alternating=in_turns), rtol=1e-6)
  assert rounds.spectral_radius(both) < 0.96
  # The determinant is 1 + h²c² at once, and 1 in turns.
  expected = np.sqrt(1 + (not in_turns) * 0.01)
  assert rounds.spectral_radius(alone) == pytest.approx(expected, rel=1e-6)
  # Centred logits have no slope at the equilibrium, and change nothing there.
  np.testing.assert_allclose(centred, alone, atol=1e-7)


def test_a_free_constant_of_the_discriminator_is_held_by_centering():
  """RpGAN leaves the constant of D where it is; ν (a + b)² brings it back at the rate 8ν."""
  r1 = {"r1": (1.0, regularizers.r1)}
  found = {}
  for name, terms in (("free", r1), ("held", r1 | {"c": (0.01, regularizers.centering)})):
    game, state, batch = game_and_state(
      PAIRED, lambda: optax.sgd(0.1), False, regularizers=terms, bias=0.0
    )
    minibatch = jax.tree.map(lambda x: x[0], batch)
    found[name] = dynamics.eigenvalues(
      jax.jit(functools.partial(dynamics.jacobian, game))(state, minibatch)
    )
  assert dynamics.classify(found["free"]) == "degenerate"
  assert dynamics.classify(found["held"]) == "stable"
  np.testing.assert_allclose(found["held"].real.max(), -0.08, rtol=1e-4)
  np.testing.assert_allclose(found["free"][0], 0, atol=1e-6)


# --- penalties by finite differences --------------------------------------------------------------


@pytest.mark.parametrize("in_turns, share, draws", [(True, 1.0, 4), (False, 0.25, 1)])
def test_second_moments_with_an_approximate_penalty(in_turns, share, draws):
  """Of Jacobians of rounds that are played under 4,096 keys."""
  rate, weight = 0.3, 1.2
  penalty = regularizers.r1_approximate(share=share)
  game, state, batch = game_and_state(
    PAIRED, lambda: optax.sgd(rate), in_turns, size=4, regularizers={"r1": (weight, penalty)}
  )

  @jax.jit
  @jax.vmap
  def look(key):
    return dynamics.round_jacobian(game, state.replace(key=key), batch)

  found = np.asarray(look(jax.random.split(jax.random.key(1), 4096)), np.float64)
  expected = rounds.round_matrix(rate, weight, alternating=in_turns)
  # The standard error of the mean is rate · weight · √(2 / draws / 4096) < 0.01.
  np.testing.assert_allclose(found.mean(axis=0), expected, atol=0.035)
  squares = np.einsum("nij,nkl->ikjl", found, found).reshape(4, 4) / len(found)
  moments = rounds.second_moments(rate, weight, draws, alternating=in_turns)
  # And that of squares, of fourth moments of n², below 0.02.
  np.testing.assert_allclose(squares, moments, atol=0.07)
  assert np.abs(moments - np.kron(expected, expected)).max() > 0.06  # by which an exact one is off


def test_noise_of_the_penalty_lowers_the_greatest_weight():
  """Where the mean of play converges, its spread may not: γ < 2 / (h (1 + 2 / draws)) at c = 0."""
  rate = 0.2
  radius = lambda weight, draws: rounds.spectral_radius(
    rounds.second_moments(rate, weight, draws, 1e-6, alternating=True)
  )
  for draws, bound in ((1, 2 / (3 * rate)), (2, 1 / rate), (1e9, 2 / rate)):
    # The other coordinate, which does not move, has the radius 1.
    assert radius(0.99 * bound, draws) == pytest.approx(1, abs=1e-5)
    assert radius(1.01 * bound, draws) > 1.005
  assert rounds.stable_weights(rate, 1e-6)[1] == pytest.approx(2 / rate)


def test_critical_weights_by_convention():
  """Of the same penalty: 1 of gat, as of r1, ½ of afm, 1 / (2ε²) of apt."""
  critical = {"gat": 1.0, "afm": 0.5, "apt": 1 / (2 * 0.1**2)}
  sgd, of = (lambda: optax.sgd(0.1)), regularizers.r1_approximate
  terms = {name: of(convention=name, epsilon=0.1) for name in critical}
  _, state, batch = game_and_state(PAIRED, sgd, False, size=8192)

  @jax.jit
  @jax.vmap
  def look(weights):
    weighed = {
      name: (lambda clock, w=w: w, term)
      for (name, term), w in zip(terms.items(), weights, strict=True)
    }
    game = dirac(PAIRED, optimizers=optimizers(sgd), turns=simultaneous(), regularizers=weighed)
    return dynamics.round_jacobian(game, state, batch)

  for found in look(jnp.diag(jnp.array(list(critical.values())))):
    # One standard error of the mean of n² over 8,192 draws is 1.6%.
    np.testing.assert_allclose(found, rounds.round_matrix(0.1, 1.0), atol=0.1 * 0.05)


# --- optimizers -----------------------------------------------------------------------------------


def test_optimistic_descent_of_the_bilinear_game():
  @jax.jit
  @jax.vmap
  def look(rate):
    make = lambda: optax.optimistic_gradient_descent(rate)
    game, _, batch = game_and_state(losses.wasserstein, make, False)
    played, _ = play_round(game, state, batch)  # its first update differs
    return dynamics.round_jacobian(game, played, batch, memory=True)

  # Its state does not depend on the rate.
  make = lambda: optax.optimistic_gradient_descent(0.1)
  state = game_and_state(losses.wasserstein, make, False)[1]
  rates = np.array([0.3, 0.5, 0.57, 0.58])
  for rate, matrix in zip(rates, look(rates), strict=True):
    found, expected = dynamics.eigenvalues(matrix), rounds.optimistic_eigenvalues(rate)
    # At ½ two eigenvalues are one, which rounding of 1e-7 moves by its root.
    in_order = lambda values: sorted(np.round(values, 2), key=lambda v: (v.imag, v.real))
    np.testing.assert_allclose(in_order(found), in_order(expected), atol=0.011)
    radius = rounds.spectral_radius(expected)
    assert (radius < 1) == (rate < 1 / np.sqrt(3))
    assert rounds.spectral_radius(found) == pytest.approx(radius, abs=1e-3)


def test_optimistic_descent_is_fastest_at_one_half():
  radius = lambda rate: rounds.spectral_radius(rounds.optimistic_eigenvalues(rate))
  assert radius(0.5) == pytest.approx(np.sqrt(0.5))
  assert radius(1 / np.sqrt(3)) == pytest.approx(1)
  rates = np.linspace(0.01, 0.57, 57)
  assert rates[np.argmin([radius(rate) for rate in rates])] == pytest.approx(0.5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_optimistic_adam_needs_more_optimism_than_its_momentum_lags(nesterov):
  rate, b1 = 0.02, np.array([0.0, 0.5, 0.9])
  bounds = np.array([rounds.least_optimism(b, nesterov=nesterov) for b in b1])

  @jax.jit
  @functools.partial(jax.vmap, in_axes=(None, 0, 0))
  def look(state, b1, beta):
    # At the equilibrium, where gradients vanish, Adam divides by the root of eps_root.
    options = {"eps": 0.0, "eps_root": 1.0, "nesterov": nesterov}
    make = lambda: optax.optimistic_adam_v2(rate, b1=b1, beta=beta, **options)
    game = game_and_state(losses.wasserstein, make, False)[0]
    return dynamics.round_jacobian(game, play_round(game, state, batch)[0], batch, memory=True)

  make = lambda: optax.optimistic_adam_v2(rate)  # whose state depends on no number
  _, state, batch = game_and_state(losses.wasserstein, make, False)
  # Late, when the averages no longer have a bias that is corrected.
  late = lambda x: jnp.full_like(x, 10_000) if jnp.issubdtype(x.dtype, jnp.integer) else x
  state = state.replace(opt=jax.tree.map(late, state.opt))
  for distance in (-0.25, 0.25):
    found = [
      rounds.spectral_radius(dynamics.eigenvalues(m)) for m in look(state, b1, bounds + distance)
    ]
    # Beside the terms of h³: L h is at most .18.
    np.testing.assert_allclose(found, 1 - distance * rate**2, atol=0.4 * 0.25 * rate**2)


def adam_path(eps, rate, at, count, b2=0.9, decay=0.0):
  """Plays in turns with R1 of weight 0.8: (psi, theta) before each of count + 1 rounds."""
  make = lambda: optax.adamw(rate, b1=0.0, b2=b2, eps=eps, weight_decay=decay)
  r1 = {"r1": (0.8, regularizers.r1)}
  game, state, batch = game_and_state(PAIRED, make, True, at=at, regularizers=r1)
  return np.asarray(jax.jit(lambda state: path(game, state, batch, count))(state), np.float64)


def path(game, state, batch, count):
  """Plays rounds: parameters before each of count + 1 of them."""
  play = lambda state, _: (play_round(game, state, batch)[0], dynamics.flatten(game, state)[0])
  return jax.lax.scan(play, state, length=count + 1)[1]


def test_adam_without_momentum_is_descent_at_rate_over_eps():
  """Near the equilibrium. A decay of AdamW pulls as R1 does, and G too, to 0: where this game has
  its equilibrium."""
  rate, decay = 0.2, 0.5
  kept = 1 - rate * decay
  # The columns by hand: D's move with R1 and decay, then G's, which sees it.
  of_psi = kept - rate * 0.8
  expected = {(1e-3, 0.0): [of_psi, rate / 2 * of_psi]}
  expected[0.0, 1e-3] = [-rate / 2, kept - (rate / 2) ** 2]
  for at, column in expected.items():
    # A step from near by, as the root of the second moment has no derivative at 0; |g| / eps 1e-3.
    found = adam_path(1.0, rate, at, 1, decay=decay)[1] / 1e-3
    np.testing.assert_allclose(found, column, atol=1e-3)


def test_so_at_the_usual_eps_it_ends_at_a_distance_of_its_rate():
  """Each parameter jumps between ± half a rate, where its second moment is that of its gradient."""
  rate = 0.01
  assert rounds.stable_weights(rate / 1e-8, alternating=True)[1] < 0  # no weight is stable
  late = np.abs(adam_path(1e-8, rate, (1.0, 1.0), 1500)[-100:])
  np.testing.assert_allclose(late, rate / 2, rtol=1e-3)
  arrived = np.abs(adam_path(0.1, rate, (1.0, 1.0), 1500)[-100:])  # rate / eps is 0.1
  assert arrived.max() < 1e-6


# --- the bilinear game in turns -------------------------------------------------------------------


def test_alternating_descent_is_bounded_below_two_and_grows_linearly_at_two():
  game, state, batch = game_and_state(
    losses.wasserstein, lambda: optax.sgd(0.1), True, at=(1.0, -1.0)
  )

  @jax.jit
  @jax.vmap
  def look(rate):
    players = {
      name: player._replace(optimizer=optax.sgd(rate)) for name, player in game.players.items()
    }
    return path(game._replace(players=players), state, batch, 100)

  rates = np.array([0.5, 1.9, 2.0, 2.05])
  for rate, places in zip(rates, np.asarray(look(rates), np.float64), strict=True):
    square = np.sum(places**2, axis=1)
    if rate < 2:
      values = np.einsum("ni,ij,nj->n", places, rounds.bilinear_invariant(rate), places)
      # 100 rounds of float32 in which nothing decays.
      np.testing.assert_allclose(values, values[0], rtol=1e-3)
      # Which a start along the long axis of the form comes to.
      bound = (2 + rate) / (2 - rate) * square[0]
      assert 0.98 * bound < square.max() < 1.001 * bound
    else:
      growth = np.sqrt(square[100] / square[50])
      assert growth == pytest.approx(2, rel=0.02) if rate == 2 else growth > 1e3


# --- a cost of transport --------------------------------------------------------------------------


def test_a_cost_of_transport_makes_the_game_converge():
  weight, source = 0.3, 0.5
  equilibrium, expected = rounds.with_transport(weight, source)
  term = lambda match: flows.transport(match.fake, jnp.full_like(match.fake, source))
  options = {"generator_regularizers": {"transport": (weight, term)}}
  sgd = lambda: optax.sgd(0.1)
  game, state, batch = game_and_state(PAIRED, sgd, False, tuple(equilibrium), **options)
  minibatch = jax.tree.map(lambda x: x[0], batch)
  found = jax.jit(lambda: dynamics.jacobian(game, state, minibatch))()
  np.testing.assert_allclose(found, expected, atol=1e-6)
  field = dynamics.field(game, state, minibatch)(dynamics.flatten(game, state)[0])
  np.testing.assert_allclose(field, 0, atol=1e-6)
  assert dynamics.classify(dynamics.eigenvalues(found)) == "stable"


def test_slopes_of_losses():
  assert rounds.slope(losses.non_saturating) == rounds.slope(PAIRED) == rounds.LOGISTIC
  assert rounds.slope(losses.wasserstein) == rounds.slope(losses.hinge) == 1
  # Its real and fake targets are not symmetric about 0: at equal logits 0, D is at its fake target.
  assert rounds.slope(losses.least_squares) == 0
