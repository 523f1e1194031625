"""One round of the Dirac-GAN and of the bilinear game in closed form: who converges, how fast.

Near its equilibrium (0, 0), a round of `toys.dirac` multiplies (psi, theta) by a matrix. Let h be
the rate of both players, c the `slope` of the loss at equal logits, and γ the weight of ½‖∇D‖²,
that of `r1`, of `r2`, or of both together, which are equal here. The moves are

    psi <- (1 - hγ) psi - hc theta        of D
    theta <- theta + hc psi               of G, which sees the psi of D's move if it moves after it

|                     | at once                           | in turns, D first (or G first)   |
|---------------------|-----------------------------------|----------------------------------|
| trace               | 2 - hγ                            | 2 - hγ - h²c²                    |
| determinant         | 1 - hγ + h²c²                     | 1 - hγ                           |
| stable weights      | hc² < γ < (4 + h²c²) / (2h)       | 0 < γ < (4 - h²c²) / (2h)        |
| critical weight     | 2c                                | 2c - hc²                         |
| radius there        | 1 - hc                            | 1 - hc                           |

A matrix of two rows is stable if its determinant is below 1 and |trace| below 1 + determinant. At
the critical weight trace² is 4 determinants: both eigenvalues are one, beyond it they are real.
Mescheder et al. 2018 (arXiv:1801.04406), lemma 4.1, is the limit h -> 0: critical at 2c = 2 f'(0),
which is 1 for logistic losses. Arrays are of NumPy, in float64.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.losses.adversarial import AdversarialLoss

LOGISTIC = 0.5  # slope of minimax, non_saturating and relativistic


def slope(loss: AdversarialLoss) -> float:
  """Computes the slope c of a loss at equal logits, the geometric mean of both players' slopes."""
  at = jnp.zeros(1)
  of = lambda side: float(jax.grad(lambda b: jnp.sum(side(at, b)))(at)[0])
  return float(np.sqrt(max(-of(loss.discriminator) * of(loss.generator), 0.0)))


def round_matrix(
  rate: float, weight: float = 0.0, slope: float = LOGISTIC, *, alternating: bool = False
) -> np.ndarray:
  """Computes the matrix [2, 2] of a round at the equilibrium, of (psi, theta).

  Args:
    rate: h > 0 of both players, who descend.
    weight: γ >= 0 of ½‖∇D‖².
    slope: c of the loss; 1 of `wasserstein`, whose game is bilinear.
    alternating: whether G moves after D.
  """
  d_moves = np.array([[1 - rate * weight, -rate * slope], [0, 1]])
  g_moves = np.array([[1, 0], [rate * slope, 1]])
  return g_moves @ d_moves if alternating else d_moves + g_moves - np.eye(2)


def stable_weights(
  rate: float, slope: float = LOGISTIC, *, alternating: bool = False
) -> tuple[float, float]:
  """Computes the least and the greatest weight, both excluded, with which play converges.

  None does where the least is not below the greatest. Arguments as for `round_matrix`.
  """
  square = (rate * slope) ** 2
  if alternating:
    return 0.0, (4 - square) / (2 * rate)
  # Of the two bounds from above, determinant > -1 is never the lower one: hγ < 2 + h²c².
  return rate * slope**2, (4 + square) / (2 * rate)


def critical_weight(rate: float, slope: float = LOGISTIC, *, alternating: bool = False) -> float:
  """Computes the weight with which play converges fastest; arguments as for `round_matrix`.

  Both eigenvalues are 1 - hc, for hc <= 1.
  """
  return 2 * slope - alternating * rate * slope**2


def second_moments(
  rate: float,
  weight: float,
  draws: float,
  slope: float = LOGISTIC,
  *,
  alternating: bool = False,
) -> np.ndarray:
  """Computes the matrix [4, 4] that a round multiplies E z zᵀ by, z = (psi, theta), flat.

  A penalty by finite differences is ½ γ psi² times the mean of n² over its draws n ~ N(0, 1), of
  the mean 1 and the variance 2 / draws, whatever ε is: D is linear. The mean of play is that of the
  exact penalty; its spread shrinks only if the spectral radius of this matrix is below 1. Without
  an opponent (c = 0) that is γ < 2 / (h (1 + 2 / draws)), with one draw a third of the exact bound.

  Args:
    rate: as for `round_matrix`.
    weight: likewise, of the convention "gat".
    draws: examples that the penalty draws for, as share · B; of `r1_approximate` and
      `r2_approximate` with half of the weight each, the examples of both.
    slope: as for `round_matrix`.
    alternating: likewise.
  """
  matrix = round_matrix(rate, weight, slope, alternating=alternating)
  by_penalty = matrix - round_matrix(rate, 0.0, slope, alternating=alternating)
  return np.kron(matrix, matrix) + 2 / draws * np.kron(by_penalty, by_penalty)


def optimistic_eigenvalues(rate: float, slope: float = 1.0) -> np.ndarray:
  """Computes the eigenvalues [4] of a round at once by optimistic gradient descent, no penalty.

  z <- z - 2h F z + h F z', z' of the round before, F of the eigenvalues ±ic: λ² - (1 - 2is) λ - is
  = 0 with s = ±hc. For s <= ½ the larger |λ|² is (1 + √(1 - 4s²)) / 2, beyond it (1 + (2s +
  √(4s² - 1))²) / 4: stable below s = 1/√3 = 0.577, and fastest at ½, where |λ| = √½ = 0.707.
  Daskalakis et al. 2018, arXiv:1711.00141; Mokhtari et al. 2020, arXiv:1901.08511.

  Args:
    rate: h, as for `round_matrix`; the options alpha and beta of optax are 1.
    slope: c.
  """
  values = [np.roots([1, -(1 - 2j * s), -1j * s]) for s in (rate * slope, -rate * slope)]
  return np.concatenate(values)


def least_optimism(b1: float, *, nesterov: bool) -> float:
  """Computes the beta beyond which optimistic Adam converges in the bilinear game, at small rates.

  What lags L rounds behind the gradient turns z out: λ - 1 = ih (1 - L (1 - 1/λ)) has |λ|² = 1 +
  (2L + 1) h² up to terms of h³. The average of gradients lags b1 / (1 - b1), with Nesterov's look
  ahead b1² / (1 - b1), and optimism takes beta off: stable for beta > 1/2 + L. Derived here.

  Args:
    b1: decay of the average of gradients, [0, 1).
    nesterov: as of optax, whose alpha is 1.
  """
  return 0.5 + b1 ** (2 if nesterov else 1) / (1 - b1)


def bilinear_invariant(rate: float, slope: float = 1.0) -> np.ndarray:
  """Computes the form Q [2, 2] with zᵀQz constant in turns without penalty, psi² - hc psi theta +
  theta².

  Its eigenvalues are 1 ± hc/2. So for hc < 2 play is bounded, |z|² <= (2 + hc) / (2 - hc) times
  that at the start; at 2 both eigenvalues of a round are -1 with one eigenvector, and play grows
  linearly; beyond 2 it grows geometrically. Arguments as for `round_matrix`.
  """
  return np.array([[1, -rate * slope / 2], [-rate * slope / 2, 1]])


def with_transport(
  weight: float, source: float, slope: float = LOGISTIC
) -> tuple[np.ndarray, np.ndarray]:
  """Computes where the Dirac-GAN with a cost of transport and no penalty rests, and its Jacobian.

  G also descends τ (theta - x)², as `flows.transport` of fakes that come from x. D's gradient,
  theta/2, vanishes at theta = 0 alone, so that data are met whatever τ is; there G's balance is
  psi = -2τx/c. The trace of the Jacobian, -(2τ + psi²/4) of the logistic loss, is negative, its
  determinant c²: the cost alone makes the game converge. Together with `r1` of weight γ the
  equilibrium moves off the data, to about theta = 2τγx / (2τγ + c²).

  Args:
    weight: τ > 0.
    source: x.
    slope: c = 1/2; the term psi²/4 is that of the logistic losses.

  Returns:
    ((psi, theta) [2], Jacobian [2, 2] of the field there).
  """
  psi = -2 * weight * source / slope
  damping = 2 * weight + psi**2 / 4
  return np.array([psi, 0.0]), np.array([[0.0, -slope], [slope, -damping]])


def distillation_matrix(step: float, critic_step: float, k: int = 1) -> np.ndarray:
  """Computes the matrix [2, 2] of a round of distribution matching between points.

  Data are at 0, which the teacher denoises everything to, fakes at theta, and the critic denoises
  everything to psi. It moves k times, psi <- psi + a (theta - psi), and then the generator does,
  theta <- theta - h psi. With r = (1 - a)^k, what is left of the critic's error, the determinant is
  r and the trace 1 + r - h (1 - r). DMD2 (Yin et al. 2024, arXiv:2405.14867) has k = 5.

  Args:
    step: h > 0 of the generator, of the direction without its normalisation.
    critic_step: share a of its error that a move takes off the critic, in (0, 1].
    k: moves of the critic in a round.

  Returns:
    The matrix of (psi, theta).
  """
  r = (1 - critic_step) ** k
  return np.array([[r, 1 - r], [-step * r, 1 - step * (1 - r)]])


def distillation_steps(critic_step: float, k: int = 1) -> tuple[float, float]:
  """Computes up to which step of the generator distillation does not rotate, and does not diverge.

  (1 - √r) / (1 + √r) and 2 (1 + r) / (1 - r), r of `distillation_matrix`. Of a slow critic the
  first is ka / 4: it has to be four times as fast as the generator. Between the first and its
  inverse both eigenvalues have the magnitude √r, whatever the step. Arguments as there.
  """
  r = (1 - critic_step) ** k
  return (1 - np.sqrt(r)) / (1 + np.sqrt(r)), 2 * (1 + r) / (1 - r)


def spectral_radius(matrix: np.ndarray) -> float:
  """Computes the largest magnitude of an eigenvalue of a square matrix, or of eigenvalues [n]."""
  values = np.asarray(matrix)
  return float(np.abs(np.linalg.eigvals(values) if values.ndim == 2 else values).max())
