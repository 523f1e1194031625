"""Metrics of the players' moves, beside their losses: how D tells real from fake, and monitors.

Monitors are scalars named "monitor/...", computed from the forward that a move does anyway, and of
at most `EXAMPLES` examples of the global batch, so that the cost does not grow with it.
`gan_jax.run.training.log.diagnostics` holds what they mean and when they are alarming.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.core import Metrics, PyTree
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.objectives import Match, logits_for

EXAMPLES = 64  # examples of each kind whose distances are compared
EVERY = 10  # rounds between comparisons, which cost a fair share of a small network's round
COMPARED = ("coverage", "diversity", "generator_jacobian", "precision")
UNMEASURED = dict.fromkeys(COMPARED, np.float32(0))  # memory before round 0, which is measured
NEIGHBOURS = 5  # the neighbourhood of a real example reaches to its fifth neighbour
# Least reach, as a share of the data's mean distance: coverage asks where fakes are, not how sharp.
REACH = 0.1
MONITOR = "monitor/"  # what names of monitors begin with: they judge a run, and never end it
POSITION = f"{MONITOR}position_"  # and a player: two of them trace a path in the plane
ENTRIES = 1024  # entries of each array of parameters that are projected


def observe_discriminator(
  loss: AdversarialLoss, match: Match, memory: Metrics
) -> tuple[Metrics, Metrics]:
  """Computes all metrics of a move of the discriminator; see `objectives.Observe`."""
  measured, memory = of_discriminator(match, memory)
  return {**discriminator_metrics(loss, match), **measured}, memory


def observe_generator(
  loss: AdversarialLoss, match: Match, memory: PyTree
) -> tuple[Metrics, PyTree]:
  """Computes all metrics of a move of the generator; see `objectives.Observe`."""
  fake = match.fake_logits
  shown = {"D_fake": jax.nn.sigmoid(fake)} if loss.probability else {"logits_fake": fake}
  means = {f"generator/{name}": jnp.mean(x) for name, x in shown.items()}
  return {**means, **of_generator(loss, match)}, memory


def headline(loss: AdversarialLoss) -> dict[str, str]:
  """Returns what to show of a game while it is played: {what it is called: metric}."""
  means = {"D(x)": "D_real", "D(G(z))": "D_fake"} if loss.probability else {"margin": "margin"}
  distance = {"distance": "distance"} if loss.distance else {}
  return {"D": "discriminator/loss", "G": "generator/loss", **means, **distance, **loss.headline}


def discriminator_metrics(loss: AdversarialLoss, match: Match) -> Metrics:
  """Computes how well the discriminator tells real from fake, in terms that the loss gives meaning.

  Args:
    loss: adversarial loss of the game.
    match: examples and logits of the discriminator's forward.

  Returns:
    If logits are log-odds: D_real and D_fake, mean D(x) and D(G(z)); accuracy at D = 1/2; V(D, G)
    of Goodfellow et al. 2014 (arXiv:1406.2661), and V_gap, its distance above -log 4, where D = 1/2
    everywhere. Otherwise: logits_real and logits_fake, their means, and margin, the difference. Of
    a loss that estimates one: distance, of data and fakes, as the discriminator bounds it.
  """
  real, fake = match.real_logits, match.fake_logits
  metrics: Metrics = {}
  if loss.distance:  # at the optimum the loss is the negative distance
    metrics["distance"] = -jnp.mean(loss.discriminator(*logits_for(loss, match)))
  if not loss.probability:
    means = {"logits_real": jnp.mean(real), "logits_fake": jnp.mean(fake)}
    return metrics | means | {"margin": means["logits_real"] - means["logits_fake"]}
  # V = E log D(x) + E log(1 - D(G(z))), of logits: log σ(a) = -softplus(-a).
  value = -jnp.mean(jax.nn.softplus(-real)) - jnp.mean(jax.nn.softplus(fake))
  return metrics | {
    "D_real": jnp.mean(jax.nn.sigmoid(real)),
    "D_fake": jnp.mean(jax.nn.sigmoid(fake)),
    "accuracy": (jnp.mean(real > 0) + jnp.mean(fake < 0)) / 2,
    "V": value,
    "V_gap": value + math.log(4),
  }


def of_discriminator(match: Match, memory: Metrics) -> tuple[Metrics, Metrics]:
  """Computes the monitors of a move of the discriminator.

  Args:
    match: examples, logits and parameters of its forward.
    memory: metrics of the last comparison, as `UNMEASURED`.

  Returns:
    (metrics, memory): diversity, coverage and precision (see `batch_diversity`) and
    generator_jacobian (see `jacobian_norm_estimate`), computed every `EVERY` rounds and repeated
    between; position_discriminator (see `parameter_projection`), alone if the batch is one example.
  """
  position = parameter_projection(match.params["discriminator"])
  metrics = {f"{POSITION}discriminator": position}
  arrays = [
    # A packed fake has several latents; and latents may have several parts.
    jnp.concatenate([x.reshape(len(match.fake), -1) for x in jax.tree.leaves(tree)], axis=1)
    for tree in jax.lax.stop_gradient((match.real, match.fake, match.latents))
  ]

  def measure() -> Metrics:
    real, fake, z = (_first(x, EXAMPLES, match) for x in arrays)
    return {**batch_diversity(real, fake), "generator_jacobian": jacobian_norm_estimate(z, fake)}

  if len(jax.eval_shape(lambda: _first(arrays[0], EXAMPLES, match))) > 1:  # else there are no pairs
    memory = jax.lax.cond(match.round % EVERY == 0, measure, lambda: dict(memory))
    metrics |= {f"{MONITOR}{name}": value for name, value in memory.items()}
  return metrics, memory


def of_generator(loss: AdversarialLoss, match: Match) -> Metrics:
  """Computes the monitors of a move of the generator: how much gradient the loss lets through.

  Args:
    loss: adversarial loss of the game.
    match: examples, logits and parameters of its forward.

  Returns:
    slope, the mean of |d loss / d logit| over fakes: 0 is a gradient that has vanished, whatever
    the loss; slope_ratio, that of `minimax` over that of `non_saturating`, mean σ(b) over mean
    1 - σ(b) (Goodfellow et al. 2014, arXiv:1406.2661, section 3); and the generator's position.
  """
  real, fake = jax.lax.stop_gradient(logits_for(loss, match))
  # Of the sum, so that the slopes do not depend on the batch size.
  slopes = jax.grad(lambda fake: jnp.sum(loss.generator(real, fake)))(fake)
  trusted, distrusted = (match.microbatch_mean(jax.nn.sigmoid(x)) for x in (fake, -fake))
  return {
    f"{MONITOR}slope": jnp.mean(jnp.abs(slopes)),
    f"{MONITOR}slope_ratio": trusted / jnp.maximum(distrusted, 1e-30),
    f"{POSITION}generator": parameter_projection(match.params["generator"]),
  }


def batch_diversity(real: jax.Array, fake: jax.Array) -> Metrics:
  """Computes how diverse fakes are beside the data, within one batch.

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
  mean_of_pairs = lambda distances: jnp.sum(distances) / (n * (n - 1))  # those of i = j are 0
  data = mean_of_pairs(within)
  # Rounding error of a distance: in float32 its square is off by 1e-7 of the squared norms.
  rounding = 1e-3 * jnp.mean(jnp.linalg.norm(jnp.concatenate([real, fake]), axis=1)) + 1e-30
  k = min(NEIGHBOURS, n - 1)
  # The farthest of the k + 1 nearest, the first being the example itself. Not the last of them: XLA
  # on CPU makes of a slice of top_k a full sort, which took ten times as long.
  reach = jnp.max(-jax.lax.top_k(-within, k + 1)[0], axis=1, keepdims=True)
  near = across[:n] <= jnp.maximum(reach, REACH * data)
  return {
    "diversity": (mean_of_pairs(across[n:]) + rounding) / (data + rounding),
    "coverage": jnp.where(data > rounding, jnp.mean(jnp.any(near, axis=1)), 1.0),
    "precision": jnp.mean(jnp.any(near, axis=0)),
  }


def jacobian_norm_estimate(z: jax.Array, fake: jax.Array) -> jax.Array:
  """Estimates the norm of the generator's Jacobian: |G(z) - G(z')| / |z - z'|, mean over pairs.

  Args:
    z: latents [n, d], of which neighbours make a pair.
    fake: fakes [n, e] of these latents.

  Returns:
    A scalar; 0 if the generator ignores its latent.
  """
  step = lambda x: jnp.linalg.norm(x[1:] - x[:-1], axis=1)
  return jnp.mean(step(fake) / jnp.maximum(step(z), 1e-30))


def parameter_projection(params: PyTree) -> jax.Array:
  """Projects parameters to one number, along a fixed direction of random signs.

  The projections of two players trace a path in the plane, on which rotation can be seen; at most
  `ENTRIES` entries of each array are read.
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
  """Gathers the first n rows of the global batch to every device, and sends no others."""
  axis_name = match.axis_name
  if axis_name is None:
    return x[:n]
  place = len(x) * jax.lax.axis_index(axis_name) + jnp.arange(len(x))
  n = min(n, len(x) * jax.lax.axis_size(axis_name))
  # Each device writes its own rows into zeros, those beyond n are dropped; the sum has them all.
  return jax.lax.psum(jnp.zeros((n, x.shape[1]), x.dtype).at[place].set(x, mode="drop"), axis_name)
