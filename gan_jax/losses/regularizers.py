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

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jax.nn import relu

from gan_jax.checks import is_number, shown, takes
from gan_jax.losses.objectives import Match, Term, TermLike, stateless

Regularizer = Callable[[Match], jax.Array]  # match -> [B]
Transform = Callable[[jax.Array, jax.Array], jax.Array]  # (keys [B], x [B, ...]) -> [B, ...]


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
  return 0.5 * _squared_norm(_input_gradient(match, stop_gradient(match.fake)))


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
  _require(
    is_number(target, lambda x: x >= 0),
    f"a gradient's norm is >= 0, so is its target; got target = {shown(target)}",
  )

  def penalty(match: Match) -> jax.Array:
    alpha = jax.vmap(jax.random.uniform)(match.keys)
    alpha = alpha.reshape(alpha.shape + (1,) * (match.real.ndim - 1))
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
  _require(
    is_number(scale, lambda x: x >= 0),
    f"the neighbourhood's scale must be >= 0, got {shown(scale)}",
  )

  def penalty(match: Match) -> jax.Array:
    # Two passes: E x² - (E x)² would lose a small spread around a large mean to rounding.
    center = jnp.mean(match.mean(match.real))
    std = jnp.sqrt(jnp.mean(match.mean((match.real - center) ** 2)))
    noise = _per_example(jax.random.uniform, match.keys, match.real)
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
  _require(
    is_number(decay, lambda x: 0 <= x < 1),
    f"the decay of an average must be in [0, 1), got {shown(decay)}",
  )

  def value(match: Match, memory: Any) -> tuple[jax.Array, Any]:
    updates = memory["updates"] + 1
    rate = (1 - decay) / (1 - decay ** updates.astype(jnp.float32))
    toward = lambda ema, logits: ema + rate * (match.mean(stop_gradient(logits)) - ema)
    ema_real = toward(memory["ema_real"], match.real_scores)
    ema_fake = toward(memory["ema_fake"], match.fake_scores)
    tie = relu(match.real_scores - ema_fake) ** 2 + relu(ema_real - match.fake_scores) ** 2
    after = {"ema_real": ema_real, "ema_fake": ema_fake, "updates": updates}
    return jnp.where(match.round < start, 0, tie), after

  memory = {"ema_real": jnp.zeros(()), "ema_fake": jnp.zeros(())}
  return Term(value, {**memory, "updates": jnp.zeros((), jnp.int32)}, couples=True)


def flip_and_shift(keys: jax.Array, images: jax.Array) -> jax.Array:
  """Flips images left to right at random and shifts them by up to 1/8 of their size.

  The transform of Zhang et al. 2020, arXiv:1910.12027 (4 of 32 pixels). What a shift uncovers is
  filled by reflection, so that there is no border to recognise it by.

  Args:
    keys: [B] typed PRNG keys.
    images: [B, H, W, C], of any range.

  Returns:
    [B, H, W, C].

  Raises:
    ValueError: if these are not images.
  """
  _require(
    images.ndim == 4,
    f"flip_and_shift takes images [B, H, W, C], got {images.shape}; for points choose another "
    "transform, e.g. consistency(transform=jitter(scale=0.05))",
  )
  reach = (images.shape[1] // 8, images.shape[2] // 8)

  def one(key: jax.Array, image: jax.Array) -> jax.Array:
    flip, *axes = jax.random.split(key, 3)
    mirrored = jnp.where(jax.random.bernoulli(flip), image[:, ::-1], image)
    padded = jnp.pad(mirrored, [(n, n) for n in reach] + [(0, 0)], mode="reflect")
    first = [jax.random.randint(k, (), 0, 2 * n + 1) for k, n in zip(axes, reach, strict=True)]
    return jax.lax.dynamic_slice(padded, [*first, 0], image.shape)

  return jax.vmap(one)(keys, images)


def jitter(*, scale: float) -> Transform:
  """Builds a transform that adds Gaussian noise, for points and other data that are not images.

  Args:
    scale: standard deviation of the noise, in units of the data, >= 0.

  Returns:
    (keys [B], x [B, ...]) -> [B, ...].

  Raises:
    ValueError: if the scale is negative.
  """
  _require(
    is_number(scale, lambda x: x >= 0),
    f"the noise's standard deviation must be >= 0, got {shown(scale)}",
  )
  return lambda keys, x: x + scale * _per_example(jax.random.normal, keys, x)


def consistency(*, transform: Transform = flip_and_shift) -> Regularizer:
  """Penalises a change of the logit under a transform, (D(x) - D(T(x)))² (CR-GAN).

  Zhang et al. 2020, arXiv:1910.12027. The gradient reaches D through both logits.

  Args:
    transform: T: (keys [B], x [B, ...]) -> [B, ...], random only through the keys.

  Returns:
    The regularizer.
  """
  _require_transform(transform)
  return lambda match: _change(match, match.real_scores, transform(match.keys, match.real))


def balanced_consistency(*, transform: Transform = flip_and_shift) -> Regularizer:
  """Penalises the change at fakes as well, (D(x) - D(T(x)))² + (D(x̃) - D(T(x̃)))² (bCR).

  Zhao et al. 2021, arXiv:2002.04724, with its λ_real = λ_fake as the weight outside.

  Args:
    transform: T: (keys [B], x [B, ...]) -> [B, ...], random only through the keys.

  Returns:
    The regularizer.
  """
  _require_transform(transform)

  def penalty(match: Match) -> jax.Array:
    keys = jax.vmap(jax.random.split)(match.keys)
    fake = stop_gradient(match.fake)
    real_change = _change(match, match.real_scores, transform(keys[:, 0], match.real))
    return real_change + _change(match, match.discriminator(fake), transform(keys[:, 1], fake))

  return penalty


def latent_consistency(*, scale: float = 0.03) -> Term:
  """Penalises a change of the logit under a step of the latents, (D(G(z)) - D(G(z + δ)))² (zCR).

  Zhao et al. 2021, arXiv:2002.04724: the discriminator's part, δ ~ N(0, scale²) per latent. It
  costs one more forward of G.

  Args:
    scale: standard deviation of δ, >= 0; 0.03 in the paper for z ~ N(0, 1).

  Returns:
    The regularizer.

  Raises:
    ValueError: if the scale is negative.
  """
  _require(
    is_number(scale, lambda x: x >= 0),
    f"the step's standard deviation must be >= 0, got {shown(scale)}",
  )

  def penalty(match: Match) -> jax.Array:
    # A packed fake has one key and is made of several latents.
    z = match.latents.reshape(match.keys.shape[0], -1, *match.latents.shape[1:])
    delta = scale * _per_example(jax.random.normal, match.keys, z)
    moved = match.generator(match.latents + delta.reshape(match.latents.shape))
    fake_logits = match.discriminator(stop_gradient(match.fake))
    return _change(match, fake_logits, stop_gradient(moved))

  return stateless(penalty, uses_real=False)


def orthogonal() -> Term:
  """Penalises what WᵀW has off its diagonal, squared and summed over all weight matrices.

  Brock et al. 2019, arXiv:1809.11096, eq. 3, after Brock et al. 2017, arXiv:1609.07093; it leaves
  the columns' norms free. A weight is a parameter of two axes or more, with output features last
  (kernels are taken as [-1, out]); biases, scales of norms and embeddings are none. It is a penalty
  on the networks of the player whose term it is, the same for every example.

  Returns:
    The regularizer.
  """

  def penalty(match: Match) -> jax.Array:
    weights = [
      leaf.reshape(-1, leaf.shape[-1])
      for path, leaf in jax.tree_util.tree_leaves_with_path(match.params)
      if leaf.ndim >= 2 and not BY_CLASS & {getattr(key, "key", None) for key in path}
    ]
    total = sum((_off_diagonal(w) for w in weights), start=jnp.zeros(()))
    return jnp.broadcast_to(total, (match.size,))

  return stateless(penalty, uses_real=False)


BY_CLASS = {"embedding", "scale", "shift"}  # layers of networks that embed labels


REGULARIZERS: dict[str, Callable[..., TermLike]] = {
  "r1": lambda: r1,
  "r2": lambda: stateless(r2, uses_real=False),
  "gradient_penalty": gradient_penalty,
  "dragan": dragan,
  "lecam": lecam,
  "consistency": consistency,
  "balanced_consistency": balanced_consistency,
  "latent_consistency": latent_consistency,
  "orthogonal": orthogonal,
}
"""name -> factory whose options are keywords with defaults: `inspect.signature` lists them."""


def _input_gradient(match: Match, x: jax.Array) -> jax.Array:
  """Computes the gradient of the sum of the logits; jit shares its forward with D(x)."""
  return jax.grad(lambda x: jnp.sum(match.discriminator(x)))(x)


def _squared_norm(g: jax.Array) -> jax.Array:
  return jnp.sum(g**2, axis=tuple(range(1, g.ndim)))


def _norm(g: jax.Array) -> jax.Array:
  """Computes the norm per example, with the derivative 0 at 0 instead of the root's NaN."""
  square = _squared_norm(g)
  return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _change(match: Match, logits: jax.Array, x: jax.Array) -> jax.Array:
  """Computes the squared change of logits to those of x.

  Logits of fakes must be computed anew: `match.fake_logits` may be of another dropout mask or
  spectral norm than `match.discriminator`.
  """
  return (logits - match.discriminator(x)) ** 2


def _per_example(draw: Callable[..., jax.Array], keys: jax.Array, x: jax.Array) -> jax.Array:
  """Samples an array like x, each example from its own key."""
  return jax.vmap(lambda key: draw(key, x.shape[1:], x.dtype))(keys)


def _off_diagonal(w: jax.Array) -> jax.Array:
  """Sums the squares of WᵀW [out, out] off its diagonal, for W [in, out]."""
  inputs, outputs = w.shape
  if outputs <= inputs:
    gram = jnp.matmul(w.T, w, precision="highest")
    return jnp.sum((gram * (1 - jnp.eye(outputs))) ** 2)
  # A wide matrix (latents to a first feature map) has a Gram matrix of up to gigabytes, but
  # ‖WᵀW‖ = ‖WWᵀ‖, and the diagonal of WᵀW is the columns' squared norms.
  gram = jnp.matmul(w, w.T, precision="highest")
  return jnp.maximum(jnp.sum(gram**2) - jnp.sum(jnp.sum(w**2, axis=0) ** 2), 0)


def _require_transform(transform: Transform) -> None:
  _require(
    takes(transform, "keys", "x"),
    f"transform is {shown(transform)}: expected a function of keys [B] and x [B, ...], such as "
    "flip_and_shift or jitter(scale=0.05)",
  )


def _require(holds: bool, message: str) -> None:
  if not holds:
    raise ValueError(message)
