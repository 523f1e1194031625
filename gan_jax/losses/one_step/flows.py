"""Adversarial flow models: a generator that carries x from time t to time s, and a discriminator.

AFM, Lin et al. 2025, arXiv:2511.22475, and CAFM, its continuous form, arXiv:2604.11521. Time 0 is
data and 1 is noise. The adversarial loss of AFM is `relativistic`, its penalties are those of
`approximate` by the convention "afm", times `step_width`. Pure functions of arrays.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax.checks import is_number, shown
from gan_jax.losses.approximate import penalised, squared_slope
from gan_jax.losses.consistency import require
from gan_jax.losses.objectives import per_example

SHORTEST = 1e-3  # least width of a step


def interpolate(data: jax.Array, noise: jax.Array, t: jax.Array) -> jax.Array:
  """Computes x at times t [B] on the straight line, (1 - t) data + t noise."""
  t = _beside(t, data)
  return (1 - t) * data + t * noise


def transported(
  x: jax.Array, output: jax.Array, t_from: jax.Array, t_to: jax.Array, *, velocity: bool
) -> jax.Array:
  """Computes x at the target times: the generator's output, or a step along it as a velocity."""
  return x + _beside(t_to - t_from, x) * output if velocity else output


def step_width(t_from: jax.Array, t_to: jax.Array) -> jax.Array:
  """Computes the width w [B] of steps, at least 0.001."""
  return jnp.maximum(jnp.abs(t_from - t_to), SHORTEST)


def transport(x_to: jax.Array, x_from: jax.Array, width: Any = 1.0) -> jax.Array:
  """Computes the cost of transport, the mean square over pixels divided by the step's width: [B].

  Args:
    x_to: [B, ...] predictions, without augmentation.
    x_from: [B, ...] inputs of the generator.
    width: width w [B] of the steps.
  """
  return per_example((x_to - x_from) ** 2) / width


def approximate_penalty(
  discriminator: Callable[[jax.Array], jax.Array],
  x: jax.Array,
  noise: jax.Array,
  width: Any = 1.0,
  *,
  epsilon: float = 0.01,
  share: float = 1.0,
) -> jax.Array:
  """Computes AFM's penalty w ((D(x + εn) - D(x)) / ε)² of the first examples.

  Args:
    discriminator: x [B, ...] -> logits [B].
    x: [B, ...] examples, real or fake.
    noise: n, of the shape of x or of the rows that are penalised.
    width: width w [B] of the steps; the penalty is multiplied by it, `transport` divided.
    epsilon: standard deviation of the noise.
    share: share of the examples; a half is rounded to even, and at least one is left.

  Returns:
    [k], k = round(share · B); AFM weighs its mean by 0.25.
  """
  k, logits = penalised(share, len(x)), discriminator(x)
  # All of the batch, not k rows: labels and times of the discriminator are closed over.
  moved = discriminator(jnp.asarray(x).at[:k].add(epsilon * noise[:k]))
  return jnp.broadcast_to(width, logits.shape)[:k] * squared_slope(moved, logits, epsilon)[:k]


class RunningSquare(NamedTuple):
  """State of `normalise_gradient`.

  Attributes:
    square: float32 scalar, running mean of n Σ g².
    updates: int32 scalar, number of gradients seen.
  """

  square: jax.Array
  updates: jax.Array


def normalise_gradient(
  decay: float = 0.9, eps: float = 1e-8, target_scale: float = 1.0
) -> optax.GradientTransformation:
  """Divides gradients by the root of their running square, as AFM does at the generator's output.

  v = decay v + (1 - decay) n Σ g², g / (√v + eps), n the number of elements: a steady gradient ends
  with the root mean square 1 / n, as that of a mean over elements. As published, v starts at 0 and
  is not bias-corrected, so that the first gradient is √(1 / (1 - decay)) = 3.16 times that.

  Args:
    decay: of the running square, in [0, 1).
    eps: added to the root.
    target_scale: factor of the result.

  Returns:
    An optax transformation, of a gradient of the loss with respect to fakes as well as of one with
    respect to parameters. Only the adversarial part of the loss is normalised in AFM.
  """
  return _normalise(decay, eps, target_scale, corrected=False)


def normalise_gradient_corrected(
  decay: float = 0.9, eps: float = 1e-8, target_scale: float = 1.0
) -> optax.GradientTransformation:
  """Divides gradients as `normalise_gradient` does, with the bias correction of Adam.

  The first gradient has the size of later ones. It is not published.

  Args:
    decay: as of `normalise_gradient`.
    eps: likewise.
    target_scale: likewise.
  """
  return _normalise(decay, eps, target_scale, corrected=True)


def _normalise(
  decay: float, eps: float, target_scale: float, corrected: bool
) -> optax.GradientTransformation:
  require(is_number(decay, lambda x: 0 <= x < 1), f"a decay is in [0, 1), got {shown(decay)}")

  def update(updates: Any, state: RunningSquare, params: Any = None) -> tuple[Any, RunningSquare]:
    n = sum(x.size for x in jax.tree.leaves(updates))
    square = decay * state.square + (1 - decay) * n * optax.tree.norm(updates, squared=True)
    count = state.updates + 1
    unbiased = square / (1 - decay**count) if corrected else square
    scale = target_scale / (jnp.sqrt(unbiased) + eps)
    return jax.tree.map(lambda x: scale * x, updates), RunningSquare(square, count)

  start = lambda params: RunningSquare(jnp.zeros(()), jnp.zeros((), jnp.int32))
  return optax.GradientTransformation(start, update)


def with_gradient(x: jax.Array, value: jax.Array, gradient: jax.Array) -> jax.Array:
  """Returns the value, with another gradient with respect to x: `gradient`, of the shape of x.

  So a loss whose gradient at the generator's output was normalised enters a sum of terms.
  """
  stop = jax.lax.stop_gradient
  return stop(value) + jnp.vdot(stop(gradient), x - stop(x))


# --- continuous -----------------------------------------------------------------------------------


def directional_derivative(
  discriminator: Callable[[jax.Array, jax.Array], jax.Array],
  x: jax.Array,
  t: jax.Array,
  velocity: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Computes D(x, t) [B] and its derivative along (v, 1), [B].

  Args:
    discriminator: (x [B, ...], t [B]) -> [B].
    x: [B, ...] points.
    t: [B] their times.
    velocity: v, of the shape of x: noise - data of real ones, else the generator's output.
  """
  return jax.jvp(discriminator, (x, t), (velocity, jnp.ones_like(t)))


def continuous_discriminator(
  real: jax.Array, fake: jax.Array, logits: jax.Array, centering: float = 1e-3
) -> jax.Array:
  """Computes CAFM's loss of D, (d_real - 1)² + (d_fake + 1)² + centering · D(x, t)²: [B].

  Args:
    real: directional derivatives [B] along noise - data.
    fake: directional derivatives [B] along the generator's velocity.
    logits: D(x, t) [B]. They alone reach D's last bias.
    centering: weight of their square.
  """
  return (real - 1) ** 2 + (fake + 1) ** 2 + centering * logits**2


def continuous_generator(fake: jax.Array, velocity: jax.Array, weight: float = 0.0) -> jax.Array:
  """Computes CAFM's loss of G, (d_fake - 1)² + weight · mean of v² over pixels: [B]."""
  return (fake - 1) ** 2 + weight * per_example(velocity**2)


# --- course and sampling --------------------------------------------------------------------------


def is_discriminator_step(step: int, repeats: int = 1, warm_up: int = -1) -> bool:
  """Checks whether an iteration, counted from 0 over both players, is the discriminator's.

  Args:
    step: number of the iteration.
    repeats: iterations of D to one of G; AFM 1, CAFM 16 and in its notebook 8.
    warm_up: last iteration of D's warm-up; none in AFM, at least 1 in CAFM.
  """
  return step <= warm_up or step % (1 + repeats) < repeats


def sample_flow(
  generator: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
  z: jax.Array,
  steps: int,
  *,
  velocity: bool = True,
  heun: bool = False,
) -> jax.Array:
  """Carries noise to data in equal steps, by `transported`.

  Args:
    generator: (x [B, ...], t_from [B], t_to [B]) -> target, or velocity; one of CAFM takes no
      heed of t_to.
    z: [B, ...] noise.
    steps: calls of the generator.
    velocity: whether it returns a velocity; Euler's method.
    heun: whether two calls make one step of Heun's method, steps // 2 of them.

  Returns:
    [B, ...].
  """
  count = steps // 2 if heun else steps
  require(count > 0, f"expected at least {1 + heun} steps, got {shown(steps)}")
  time = lambda i: jnp.full(len(z), 1 - i / count, z.dtype)
  for i in range(count):
    t, s = time(i), time(i + 1)
    output = generator(z, t, s)
    if heun:
      output = (output + generator(transported(z, output, t, s, velocity=True), s, s)) / 2
    z = transported(z, output, t, s, velocity=velocity)
  return z


def sinusoidal_encoding(value: jax.Array, size: int = 64, scale: float = 100.0) -> jax.Array:
  """Computes the code [..., size] of numbers [...]: sines, then cosines, of falling frequencies.

  100 · value · exp(-ln(10⁴) j / (size/2 - 1)), as in the notebooks of AFM and CAFM.
  """
  half = size // 2
  frequencies = scale * jnp.exp(-math.log(10_000) * jnp.arange(half) / (half - 1))
  phase = jnp.asarray(value)[..., None] * frequencies.reshape((1,) * jnp.ndim(value) + (half,))
  return jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], axis=-1)


def _beside(t: jax.Array, x: jax.Array) -> jax.Array:
  """Reshapes times [B] to be multiplied with x [B, ...]."""
  return t.reshape(t.shape + (1,) * (x.ndim - 1))
