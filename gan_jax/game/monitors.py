"""What the step measures of a game that may fail, beside its losses.

Scalars named "monitor/...", made of what a move has looked at anyway: no further forward, and at
most `EXAMPLES` examples of the global batch, so that the cost does not grow with it.
`gan_jax.run.training.diagnostics` says what they mean and when they are alarming.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.core import Metrics, PyTree
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.objectives import Match, logits_for

EXAMPLES = 64  # that are compared with each other, of each kind
EVERY = 10  # rounds from one comparison to the next: in a small network's round it takes time
COMPARED = ("coverage", "diversity", "generator_jacobian", "precision")
UNMEASURED = dict.fromkeys(COMPARED, np.float32(0))  # memory before round 0, which is measured
NEIGHBOURS = 5  # of a real example: the reach of its neighbourhood
REACH = (
  0.1  # of the data's mean distance: the least reach, so that coverage asks where, not how sharp
)
ENTRIES = 1024  # of each array of parameters, that a player's position is read from


def of_discriminator(match: Match, memory: Metrics) -> tuple[Metrics, Metrics]:
  """Measures, at a move of the discriminator, what it saw and where it stands.

  Args:
    match: what it saw.
    memory: what was compared last, of `UNMEASURED`.

  Returns:
    (metrics, memory): diversity, coverage and precision (see `compare`) and generator_jacobian (see
    `secant`), made every `EVERY` rounds and repeated between; and the discriminator's position (see
    `position`). A batch of one example has a position alone.
  """
  found = {"monitor/position_discriminator": position(match.params["discriminator"])}
  flat = lambda x: x.reshape(match.fake.shape[0], -1)  # latents of packed examples go together
  seen = [jax.lax.stop_gradient(flat(x)) for x in (match.real, match.fake, match.latents)]

  def measure() -> Metrics:
    real, fake, z = (_first(x, EXAMPLES, match) for x in seen)
    return {**compare(real, fake), "generator_jacobian": secant(z, fake)}

  if len(jax.eval_shape(lambda: _first(seen[0], EXAMPLES, match))) > 1:
    memory = jax.lax.cond(match.round % EVERY == 0, measure, lambda: dict(memory))
    found |= {f"monitor/{name}": value for name, value in memory.items()}
  return found, memory


def of_generator(loss: AdversarialLoss, match: Match) -> Metrics:
  """Measures, at a move of the generator, how much of its gradient the loss lets through.

  Args:
    loss: of the game.
    match: what the discriminator saw.

  Returns:
    slope, the mean of |d loss / d logit| over fakes: 0 is a gradient that has vanished, whatever
    the loss; slope_ratio, that of `minimax` over that of `non_saturating`, mean σ(b) over mean
    1 - σ(b) (Goodfellow et al. 2014, arXiv:1406.2661, section 3); and the generator's position.
  """
  real, fake = jax.lax.stop_gradient(logits_for(loss, match))
  slopes = jax.grad(lambda fake: jnp.sum(loss.generator(real, fake)))(fake)
  trusted, distrusted = (match.seen_mean(jax.nn.sigmoid(x)) for x in (fake, -fake))
  return {
    "monitor/slope": jnp.mean(jnp.abs(slopes)),
    "monitor/slope_ratio": trusted / jnp.maximum(distrusted, 1e-30),
    "monitor/position_generator": position(match.params["generator"]),
  }


def compare(real: jax.Array, fake: jax.Array) -> Metrics:
  """Compares the variety of fakes with that of the data.

  A real example's neighbourhood reaches as far as its fifth neighbour among the real ones, and at
  least `REACH` of the data's mean distance. Coverage is that of Naeem et al. 2020
  (arXiv:2002.09797), precision that of Kynkäänniemi et al. 2019 (arXiv:1904.06991).

  Args:
    real: [n, d] float32, n > 1.
    fake: [n, d].

  Returns:
    diversity: mean distance of two fakes over that of two real examples, 1 if neither differ;
    coverage: share of the real examples that have a fake in their neighbourhood; precision: share
    of the fakes that are in one. Data that are one point have no modes, so they count as covered.
    Of images these are distances of pixels: a blurred mean lies in most neighbourhoods, so that of
    a generator that makes little else coverage may be high, and diversity tells.
  """
  n, center = len(real), jnp.mean(real, axis=0, keepdims=True)
  real, fake = real - center, fake - center
  within, across = _distances(real, real), _distances(jnp.concatenate([real, fake]), fake)
  spread = lambda distances: jnp.sum(distances) / (n * (n - 1))
  data = spread(within)
  # What rounding may make of a distance: in float32 the square is off by 1e-7 of the norms'.
  blur = 1e-3 * jnp.mean(jnp.linalg.norm(jnp.concatenate([real, fake]), axis=1)) + 1e-30
  k = min(NEIGHBOURS, n - 1)
  # The farthest of the k + 1 nearest, the first being the example itself. Not the last of them: XLA
  # on CPU makes of a slice of top_k a full sort, which took ten times as long.
  reach = jnp.max(-jax.lax.top_k(-within, k + 1)[0], axis=1, keepdims=True)
  near = across[:n] <= jnp.maximum(reach, REACH * data)
  return {
    "diversity": (spread(across[n:]) + blur) / (data + blur),
    "coverage": jnp.where(data > blur, jnp.mean(jnp.any(near, axis=1)), 1.0),
    "precision": jnp.mean(jnp.any(near, axis=0)),
  }


def secant(z: jax.Array, fake: jax.Array) -> jax.Array:
  """Estimates the norm of the generator's Jacobian: |G(z) - G(z')| / |z - z'|, mean over pairs.

  Args:
    z: [n, d], of which neighbours make a pair.
    fake: [n, e], made of them.

  Returns:
    A scalar; 0 if the generator does not look at its latent.
  """
  step = lambda x: jnp.linalg.norm(x[1:] - x[:-1], axis=1)
  return jnp.mean(step(fake) / jnp.maximum(step(z), 1e-30))


def position(params: PyTree) -> jax.Array:
  """Projects parameters to one number, along a fixed direction of random signs.

  Of two players it makes a path in the plane, on which rotation can be seen; at most `ENTRIES` of
  each array are read.
  """
  total = jnp.zeros(())
  for index, leaf in enumerate(jax.tree.leaves(params)):
    some = jnp.ravel(jax.lax.stop_gradient(leaf))[:ENTRIES]
    signs = 2 * np.random.default_rng(index).integers(2, size=some.size) - 1
    total += jnp.sum(some * signs.astype(np.float32))
  return total


def _distances(x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes Euclidean distances [n, m] of x [n, d] and y [m, d], as one matrix product."""
  product = jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)
  square = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)[None] - 2 * product
  return jnp.sqrt(jnp.maximum(square, 0.0))


def _first(x: jax.Array, n: int, match: Match) -> jax.Array:
  """Takes the first n rows of the global batch, on every device; moves no more than these."""
  axis_name = match.axis_name
  if axis_name is None:
    return x[:n]
  place = len(x) * jax.lax.axis_index(axis_name) + jnp.arange(len(x))
  n = min(n, len(x) * jax.lax.axis_size(axis_name))
  return jax.lax.psum(jnp.zeros((n, x.shape[1]), x.dtype).at[place].set(x, mode="drop"), axis_name)
