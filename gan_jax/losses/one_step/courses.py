"""Times of adversarial flows: those that are learned, whose turn it is, and how noise is carried.

AFM, Lin et al. 2025, arXiv:2511.22475, and CAFM, arXiv:2604.11521. Time 0 is data and 1 is noise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.checks import is_integer, require, shown
from gan_jax.losses.one_step.flows import transported

Steps = Callable[[jax.Array], tuple[jax.Array, jax.Array]]  # keys [B] -> (t_from, t_to), [B] each
Times = Callable[[jax.Array], jax.Array]  # keys [B] -> times [B]


def equal_steps(count: int = 1) -> Steps:
  """Samples one of the steps that n equal ones are, from t in {1/n, ..., 1} to t - 1/n.

  Args:
    count: n >= 1; 1 is from noise to data at once.
  """
  require(is_integer(count) and count >= 1, f"expected 1 equal step or more, got {shown(count)}")
  place = jax.vmap(lambda key: jax.random.randint(key, (), 1, count + 1))

  def sample(keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    end = place(keys)
    return end / count, (end - 1) / count

  return sample


def any_steps(keys: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Samples steps of any length, from t ~ U(0, 1) to u t, u ~ U(0, 1)."""
  u = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys)
  return u[:, 0], u[:, 0] * u[:, 1]


def uniform_times(keys: jax.Array) -> jax.Array:
  """Samples times of U(0, 1)."""
  return jax.vmap(jax.random.uniform)(keys)


def logit_normal_times(keys: jax.Array) -> jax.Array:
  """Samples times σ(0.8 n + 0.8), n ~ N(0, 1): later ones more often; of CAFM's JiT."""
  return jax.nn.sigmoid(0.8 * jax.vmap(jax.random.normal)(keys) + 0.8)


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
  times = jnp.asarray(1 - np.arange(count + 1) / count, jnp.float32)

  def step(x: jax.Array, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
    t, s = (jnp.broadcast_to(end.astype(x.dtype), x.shape[:1]) for end in ends)
    output = generator(x, t, s)
    if heun:
      output = (output + generator(transported(x, output, t, s, velocity=True), s, s)) / 2
    return transported(x, output, t, s, velocity=velocity), None

  # A loop: of hundreds of steps one network is compiled.
  return jax.lax.scan(step, z, (times[:-1], times[1:]))[0]
