"""Adversarial flow models: a generator that carries x from time t to time s, and a discriminator.

AFM, Lin et al. 2025, arXiv:2511.22475, and CAFM, its continuous form, arXiv:2604.11521. Time 0 is
data and 1 is noise. The adversarial loss of AFM is `relativistic`, its penalties are those of
`approximate` by the convention "afm", times `step_width`. Pure functions of arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax.checks import is_number, require, shown
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.approximate import penalised, squared_slope
from gan_jax.losses.objectives import Match, Term, TermLike, as_term, beside, per_example

SHORTEST = 1e-3  # least width of a step


def interpolate(data: jax.Array, noise: jax.Array, t: jax.Array) -> jax.Array:
  """Computes x at times t [B] on the straight line, (1 - t) data + t noise."""
  t = beside(t, data)
  return (1 - t) * data + t * noise


def transported(
  x: jax.Array, output: jax.Array, t_from: jax.Array, t_to: jax.Array, *, velocity: bool
) -> jax.Array:
  """Computes x at the target times: the generator's output, or a step along it as a velocity."""
  return x + beside(t_to - t_from, x) * output if velocity else output


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
    respect to parameters. Only the adversarial part of the loss is normalised in AFM. Its `update`
    takes `mean=`, over devices that each have a gradient of their own share of the batch.
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

  def update(
    updates: Any,
    state: RunningSquare,
    params: Any = None,
    *,
    mean: Callable[[jax.Array], jax.Array] = lambda square: square,
    **more: Any,
  ) -> tuple[Any, RunningSquare]:
    # n Σ g² of a mean over examples is the mean over devices of theirs, whatever their number.
    n = sum(x.size for x in jax.tree.leaves(updates))
    latest = mean(n * optax.tree.norm(updates, squared=True))
    square = decay * state.square + (1 - decay) * latest
    count = state.updates + 1
    unbiased = square / (1 - decay**count) if corrected else square
    scale = target_scale / (jnp.sqrt(unbiased) + eps)
    return jax.tree.map(lambda x: scale * x, updates), RunningSquare(square, count)

  start = lambda params: RunningSquare(jnp.zeros(()), jnp.zeros((), jnp.int32))
  return optax.GradientTransformationExtraArgs(start, update)


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


directional = AdversarialLoss(
  discriminator=lambda a, b: (a - 1) ** 2 + (b + 1) ** 2,
  generator=lambda a, b: (b - 1) ** 2,
)
"""The loss of CAFM, arXiv:2604.11521, of directional derivatives in the place of logits.

Targets are 1 and -1: it is 8 times `least_squares` of (a + 1) / 2 and (b + 1) / 2.
"""


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
  return directional.discriminator(real, fake) + centering * logits**2


def continuous_generator(fake: jax.Array, velocity: jax.Array, weight: float = 0.0) -> jax.Array:
  """Computes CAFM's loss of G, (d_fake - 1)² + weight · mean of v² over pixels: [B]."""
  return directional.generator(fake, fake) + weight * per_example(velocity**2)


# --- terms ----------------------------------------------------------------------------------------


def by_width(term: TermLike) -> Term:
  """Multiplies a term by the width of each example's step, as AFM does its penalties.

  Args:
    term: term of a match whose latents are (x, t_from, t_to).
  """
  inner = as_term(term)

  def value(match: Match, memory: Any) -> tuple[jax.Array, Any]:
    values, memory = inner.value(match, memory)
    return step_width(*match.latents[1:]) * values, memory

  return inner._replace(value=value)


def transport_cost(match: Match) -> jax.Array:
  """Computes `transport` from the generator's inputs, the match's latents, to its fakes: [B]."""
  x, *times = match.latents
  return transport(match.fake, x, step_width(*times))


def normalised(loss: AdversarialLoss, normaliser: optax.GradientTransformation) -> Term:
  """Builds the generator's side of a loss, whose gradient at the fakes is transformed.

  Args:
    loss: adversarial loss of both players; one that looks at each pair of logits alone.
    normaliser: transformation of the gradient at all fakes, such as `normalise_gradient()`.

  Returns:
    The term, which remembers the normaliser's state. Its value is that of the loss.

  Raises:
    ValueError: for a loss that couples examples.
  """
  require(not loss.couples, "a normalised gradient is of a loss of each pair of logits alone")
  update = optax.with_extra_args_support(normaliser).update

  def value(match: Match, state: Any) -> tuple[jax.Array, Any]:
    def values_at(x: jax.Array) -> tuple[jax.Array, jax.Array]:
      values = loss.generator(match.real_scores, match.discriminator(x, "fake"))
      return jnp.mean(values), values

    stop = jax.lax.stop_gradient
    gradient, values = jax.grad(values_at, has_aux=True)(stop(match.fake))
    mean = lambda square: match.mean(square[None])
    gradient, state = update(stop(gradient), state, mean=mean)
    # Per example, as `with_gradient`; the mean over examples divides by their number again.
    along = jnp.sum((gradient * (match.fake - stop(match.fake))).reshape(match.size, -1), axis=1)
    return stop(values) + match.size * along, stop(state)

  return Term(value, normaliser.init({}), uses_real=loss.uses_real, couples=True)
