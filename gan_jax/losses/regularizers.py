"""Penalties and consistency terms: functions of the discriminator's forward, a `Match`.

A regularizer is a function of a `Match`, match -> [B], or a `Term` where it has a memory. The
weight is outside. The conventions are pinned here, since libraries disagree on each of them:

  * the gradient is that of the *sum* of the logits, one backward pass, with respect to the input;
  * its norm is over all axes of an example, summed over pixels, not averaged;
  * examples are data: no penalty reaches the generator through them, though a discriminator with
    batch statistics does couple them;
  * each example draws from its own key and statistics are those of the global batch, so that one
    device and many give the same numbers.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jax.nn import relu

from gan_jax.checks import is_integer, is_number, require, shown
from gan_jax.game.random import draw_like
from gan_jax.losses.approximate import centering, r1_approximate, r2_approximate
from gan_jax.losses.consistency import (
  Regularizer,
  balanced_consistency,
  consistency,
  latent_consistency,
)
from gan_jax.losses.objectives import Match, Term, TermLike, beside, stateless


def r1(match: Match) -> jax.Array:
  """Penalises the gradient at real examples, ½‖g‖². Mescheder et al. 2018, arXiv:1801.04406.

  With the weight γ this is the paper's γ/2 E‖g‖².

  Args:
    match: examples and logits of the discriminator's forward.

  Returns:
    [B] float32.
  """
  return 0.5 * _squared_norm(_input_gradient(match, match.real))


def r2(match: Match) -> jax.Array:
  """Penalises the gradient at fakes, ½‖g‖². Mescheder et al. 2018, arXiv:1801.04406.

  Args:
    match: examples and logits of the discriminator's forward.

  Returns:
    [B] float32.
  """
  return 0.5 * _squared_norm(_input_gradient(match, stop_gradient(match.fake), "fake"))


def gradient_penalty(*, target: float = 1.0, one_sided: bool = False) -> Regularizer:
  """Holds the gradient's norm at a target between real and fake (WGAN-GP).

  (‖g‖ - target)² at x + α (x̃ - x), α ~ U[0, 1] per example. Gulrajani et al. 2017,
  arXiv:1704.00028. `target=0` is the zero-centred penalty of Thanh-Tung et al. 2019,
  arXiv:1902.03984.

  Args:
    target: norm that costs nothing, >= 0.
    one_sided: whether only norms above the target cost, as in Petzka et al. 2018, arXiv:1709.08894.

  Returns:
    The regularizer.

  Raises:
    ValueError: if the target is negative.
  """
  require(
    is_number(target, lambda x: x >= 0),
    f"a gradient's norm is >= 0, so is its target; got target = {shown(target)}",
  )

  def penalty(match: Match) -> jax.Array:
    alpha = beside(jax.vmap(jax.random.uniform)(match.keys), match.real)
    between = match.real + alpha * (stop_gradient(match.fake) - match.real)
    if target == 0:  # smooth where the norm is not, at a flat discriminator
      return _squared_norm(_input_gradient(match, between))
    excess = _norm(_input_gradient(match, between)) - target
    return (relu(excess) if one_sided else excess) ** 2

  return penalty


def dragan(*, scale: float = 0.5) -> Term:
  """Holds the gradient's norm at 1 around real examples (DRAGAN).

  (‖g‖ - 1)² at x + scale · std · α, α ~ U[0, 1] per element. Kodali et al. 2017, arXiv:1705.07215.
  As in the authors' code, std is one number: that of all elements of the global batch.

  Args:
    scale: size of the neighbourhood in standard deviations, >= 0.

  Returns:
    The regularizer.

  Raises:
    ValueError: if the scale is negative.
  """
  require(
    is_number(scale, lambda x: x >= 0),
    f"the neighbourhood's scale must be >= 0, got {shown(scale)}",
  )

  def penalty(match: Match) -> jax.Array:
    # Two passes: E x² - (E x)² would lose a small spread around a large mean to rounding.
    center = jnp.mean(match.mean(match.real))
    std = jnp.sqrt(jnp.mean(match.mean((match.real - center) ** 2)))
    noise = draw_like(jax.random.uniform, match.keys, match.real)
    nearby = match.real + scale * stop_gradient(std) * noise
    return (_norm(_input_gradient(match, nearby)) - 1) ** 2

  return stateless(penalty, couples=True)


def lecam(*, decay: float = 0.99, start: int = 0) -> Term:
  """Ties logits to the other kind's moving average. Tseng et al. 2021, arXiv:2104.03310.

  relu(a - ema_fake)² + relu(ema_real - b)². The averages are of the global batch's logits, are
  constants to the gradient, and take in the present batch before they are used. They have no start
  value to forget: the n-th update has the rate (1 - decay)/(1 - decayⁿ), the bias correction of
  Adam, so the first batch is its own average and later ones are weighted as if there had been no
  beginning. (The authors' code starts from a constant.)

  Args:
    decay: of the averages, per application, in [0, 1).
    start: complete rounds before which the value is 0 and the averages only accumulate.

  Returns:
    The term; its memory is {"ema_real", "ema_fake": float32, "updates": int32}.

  Raises:
    ValueError: if the decay is out of range.
  """
  require(
    is_number(decay, lambda x: 0 <= x < 1),
    f"the decay of an average must be in [0, 1), got {shown(decay)}",
  )

  def value(match: Match, memory: Any) -> tuple[jax.Array, Any]:
    updates = memory["updates"] + 1
    # 1 - decayⁿ by its logarithm: the difference would have few digits of a decay near 1.
    rate = (1 - decay) / -jnp.expm1(updates * math.log(decay)) if decay else 1
    toward = lambda ema, logits: ema + rate * (match.mean(stop_gradient(logits)) - ema)
    ema_real = toward(memory["ema_real"], match.real_scores)
    ema_fake = toward(memory["ema_fake"], match.fake_scores)
    tie = relu(match.real_scores - ema_fake) ** 2 + relu(ema_real - match.fake_scores) ** 2
    after = {"ema_real": ema_real, "ema_fake": ema_fake, "updates": updates}
    return jnp.where(match.round < start, 0, tie), after

  memory = {"ema_real": jnp.zeros(()), "ema_fake": jnp.zeros(())}
  return Term(value, {**memory, "updates": jnp.zeros((), jnp.int32)}, couples=True)


def orthogonal(*, convention: str = "paper", norms: bool = False) -> Term:
  """Penalises what WᵀW has off its diagonal, squared and summed over all weight matrices.

  Brock et al. 2019, arXiv:1809.11096, eq. 3, after Brock et al. 2017, arXiv:1609.07093; it leaves
  the columns' norms free. A weight is a parameter of two axes or more, with output features last
  (kernels are taken as [-1, out]); biases, scales of norms and embeddings are none. It is a penalty
  on the networks of the player whose term it is, the same for every example. The authors' code
  (ajbrock/BigGAN-PyTorch) has half of it, and embeddings of classes too, as [features, classes],
  but for the one that a generator's blocks share.

  Args:
    convention: "paper", or "code" for that of the authors' code.
    norms: whether the columns' norms are held at 1 too, WᵀW at I (1609.07093).

  Returns:
    The regularizer.

  Raises:
    ValueError: for another convention.
  """
  require(
    convention in SKIPPED,
    f"the convention of orthogonal is one of {', '.join(SKIPPED)}, got {shown(convention)}",
  )
  factor = 0.5 if convention == "code" else 1.0

  def penalty(match: Match) -> jax.Array:
    total = jnp.zeros(())
    for path, leaf in jax.tree_util.tree_leaves_with_path(match.params):
      keys = {getattr(key, "key", None) for key in path}
      if leaf.ndim >= 2 and not keys & SKIPPED[convention]:
        # Layers are named after what they embed, and so are tables.
        embeds = convention == "code" and keys & BY_CLASS
        total += _off_diagonal(leaf.T if embeds else leaf.reshape(-1, leaf.shape[-1]), norms)
    return jnp.broadcast_to(factor * total, (match.size,))

  return stateless(penalty, uses_real=False)


def path_length(*, decay: float = 0.99, batch_shrink: int = 1) -> Term:
  """Holds a generator in stages to one length of paths (StyleGAN2, Karras et al. 2020, 1912.04958).

  (‖Jᵀy‖ - a)², J the Jacobian of synthesis at w, y ~ N(0, I/P) for examples of P places (pixels),
  a the moving average of ‖Jᵀy‖, from 0. The norm is the root of the mean over the rows of
  w [B, rows, d], if it has rows, of the sum of squares. As in the authors' code, the average moves
  before it is used, and the gradient flows through it. They apply it every 4 rounds with weight 2
  and to half of the batch.

  Args:
    decay: of the average, in [0, 1).
    batch_shrink: every so many examples of the batch, one has its length computed.

  Returns:
    The term of the generator's loss; its memory is {"average": float32}.

  Raises:
    ValueError: if an option is out of range; when played, of a generator without stages, or if
      batch_shrink does not divide the examples of a device.
  """
  require(
    is_integer(batch_shrink) and batch_shrink >= 1,
    f"lengths are of one in batch_shrink >= 1 examples, got {shown(batch_shrink)}",
  )
  require(
    is_number(decay, lambda x: 0 <= x < 1),
    f"the decay of an average must be in [0, 1), got {shown(decay)}",
  )

  def value(match: Match, memory: Any) -> tuple[jax.Array, Any]:
    require(bool(match.stages), "path_length is of a generator with methods mapping and synthesis")
    require(
      len(match.keys) % batch_shrink == 0,
      f"batch_shrink = {batch_shrink} does not divide the {len(match.keys)} examples of a device",
    )
    # Every so many, not the first: the examples are the same on several devices.
    w = match.stages["mapping"](match.latents)[::batch_shrink]
    x, pullback = jax.vjp(match.stages["synthesis"], w)
    y = draw_like(jax.random.normal, match.keys[::batch_shrink], x) / math.sqrt(
      math.prod(x.shape[1:-1])
    )
    lengths = _norm(pullback(y)[0]) / math.sqrt(math.prod(w.shape[1:-1]))
    average = decay * memory["average"] + (1 - decay) * match.mean(lengths)
    return (lengths - average) ** 2, {"average": stop_gradient(average)}

  return Term(value, {"average": jnp.zeros(())}, uses_real=False, couples=True)


BY_CLASS = {"embedding", "scale", "shift"}  # layers of networks that embed labels
SKIPPED = {"paper": BY_CLASS, "code": {"shared"}}  # of `orthogonal`, by convention


REGULARIZERS: dict[str, Callable[..., TermLike]] = {
  "r1": lambda: r1,
  "r2": lambda: stateless(r2, uses_real=False),
  "r1_approximate": r1_approximate,
  "r2_approximate": r2_approximate,
  "centering": lambda: centering,
  "gradient_penalty": gradient_penalty,
  "dragan": dragan,
  "lecam": lecam,
  "consistency": consistency,
  "balanced_consistency": balanced_consistency,
  "latent_consistency": latent_consistency,
  "orthogonal": orthogonal,
}
"""name -> factory whose options are keywords with defaults: `inspect.signature` lists them."""
OF_GENERATORS: dict[str, Callable[..., TermLike]] = {"path_length": path_length}


def _input_gradient(match: Match, x: jax.Array, *kind: str) -> jax.Array:
  """Computes the gradient of the sum of the logits; jit shares its forward with D(x)."""
  return jax.grad(lambda x: jnp.sum(match.discriminator(x, *kind)))(x)


def _squared_norm(g: jax.Array) -> jax.Array:
  return jnp.sum(g**2, axis=tuple(range(1, g.ndim)))


def _norm(g: jax.Array) -> jax.Array:
  """Computes the norm per example, with the derivative 0 at 0 instead of the root's NaN."""
  square = _squared_norm(g)
  return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _off_diagonal(w: jax.Array, norms: bool = False) -> jax.Array:
  """Sums the squares of WᵀW [out, out] off its diagonal, for W [in, out]; of WᵀW - I if `norms`."""
  inputs, outputs = w.shape
  if outputs <= inputs:
    gram = jnp.matmul(w.T, w, precision="highest")
    identity = jnp.eye(outputs)
    return jnp.sum((gram - identity if norms else gram * (1 - identity)) ** 2)
  # A wide matrix (latents to a first feature map) has a Gram matrix of up to gigabytes, but
  # ‖WᵀW‖ = ‖WWᵀ‖, and the diagonal of WᵀW is the columns' squared norms.
  gram = jnp.matmul(w, w.T, precision="highest")
  if norms:
    return jnp.sum((gram - jnp.eye(inputs)) ** 2) + (outputs - inputs)
  return jnp.maximum(jnp.sum(gram**2) - jnp.sum(jnp.sum(w**2, axis=0) ** 2), 0)
