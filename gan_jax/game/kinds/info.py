"""InfoGAN: latents that hold codes, and a network Q that reads them in fakes.

Chen et al. 2016, arXiv:1606.03657. The generator is paid for codes that can be read: it maximises a
lower bound of the mutual information of codes and fakes, E log Q(c|x) + H(c). As in the paper, Q is
a few layers on the discriminator's features, if it returns "features"; else Q reads the fakes
themselves. The generator's player owns Q. As in the published code, the bound is in the loss of the
discriminator too, which moves the layers that Q shares. Beyond the paper, Q may learn
from real examples too that a transform leaves their categorical codes (`self_augmented`).

    adam = optax.adam(2e-4, b1=0.5)
    game = info_gan(
      generator, discriminator, q, codes=Codes(62, (10,), 2),
      loss=losses.non_saturating, optimizers={"discriminator": adam, "generator": adam},
    )
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from gan_jax.checks import is_integer, shown
from gan_jax.game.core import Game
from gan_jax.game.kinds.two_player import Terms, two_player
from gan_jax.game.schedules import Weight, is_off
from gan_jax.losses.consistency import Transform, affine
from gan_jax.losses.objectives import Match, Term, TermLike, stateless

Q = "q"  # name of the network that reads codes
WEIGHTS = {"categorical": 1.0, "continuous": 0.1, "self_augmented": 0.0}
BALANCE = 1.5  # weight of the entropy of codes in the term of real examples; IMSAT has 4


class Codes(NamedTuple):
  """The latents of InfoGAN and their prior.

  A latent is noise, then one-hot categorical codes, then continuous codes. Noise and continuous
  codes are uniform in [-1, 1], as in the published code.

  Attributes:
    noise: entries of noise.
    categorical: number of classes of each categorical code.
    continuous: number of continuous codes.
    learned_variance: whether Q returns the logarithm of the variance of each continuous code too.
  """

  noise: int = 62
  categorical: tuple[int, ...] = (10,)
  continuous: int = 2
  learned_variance: bool = False

  def sample(self, keys: jax.Array) -> jax.Array:
    """Samples latents [n, d], one for each key of [n]."""

    def one(key: jax.Array) -> jax.Array:
      # A key of its own for each categorical code: another one leaves the draws of these.
      key, *class_keys = jax.random.split(key, 1 + len(self.categorical))
      uniform = jax.random.uniform(key, (self.noise + self.continuous,), minval=-1.0)
      classes = [
        jax.nn.one_hot(jax.random.randint(class_key, (), 0, size), size)
        for class_key, size in zip(class_keys, self.categorical, strict=True)
      ]
      return jnp.concatenate([uniform[: self.noise], *classes, uniform[self.noise :]])

    return jax.vmap(one)(keys)

  @property
  def size(self) -> int:
    """Entries of all codes, without noise."""
    return sum(self.categorical) + self.continuous

  @property
  def outputs(self) -> int:
    """Entries of what Q returns: of all codes, then of logarithms of variances."""
    return self.size + self.continuous * self.learned_variance

  def split(self, x: jax.Array) -> tuple[list[jax.Array], jax.Array]:
    """Splits codes, of latents or of Q, into categorical and continuous ones.

    Args:
      x: latents, or outputs of Q, [B, d]; the last `size` entries of each are codes.

    Returns:
      ([B, classes] of each categorical code, [B, continuous]).
    """
    # Codes are last, so that one rule splits latents and what Q returns, which has no noise.
    ends = np.cumsum(self.categorical).tolist()
    *classes, rest = jnp.split(x[:, x.shape[1] - self.size :], ends, axis=1)
    return classes, rest


def info_gan(
  generator: nn.Module,
  discriminator: nn.Module,
  q: nn.Module,
  *,
  codes: Codes,
  weights: Mapping[str, Weight] = WEIGHTS,
  transform: Transform | None = None,
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  **options: Any,
) -> Game:
  """Builds the game of a generator whose codes can be read in its fakes.

  Args:
    generator: module of `two_player`.
    discriminator: likewise; one that returns "features" shares them with Q.
    q: module called as `net(x, y, train=)` with features or fakes, to [B, codes.outputs]: logits of
      categorical codes, then means of continuous ones, then logarithms of variances, if learned.
    codes: latents.
    weights: weights of -log Q of "categorical" and "continuous" codes, and of "self_augmented";
      those of `WEIGHTS` for others. The paper has 1 for categorical codes, less for continuous
      ones, and no term of real examples.
    transform: transform that leaves the categorical codes of real examples, for "self_augmented";
      None for `affine()`.
    regularizers: further terms of the discriminator's loss.
    generator_regularizers: further terms of the generator's loss.
    **options: other options of `two_player`, but for latents; no views that pack.

  Returns:
    The game; the generator's player owns "generator" and "q".

  Raises:
    ValueError: for arguments of another kind.
  """
  check_codes(codes)
  if not isinstance(weights, Mapping) or not set(weights) <= set(WEIGHTS):
    raise ValueError(f"weights are {shown(weights)}: expected them of {', '.join(WEIGHTS)}")
  weights = {**WEIGHTS, **weights}
  # A kind of code that there is none of has no term: its column would be a constant 0.
  terms = {"categorical": categorical(codes)} if codes.categorical else {}
  terms |= {"continuous": continuous(codes)} if codes.continuous else {}
  weighted = {name: (weights[name], term) for name, term in terms.items()}
  weight, augmented = weights["self_augmented"], {}
  if not is_off(weight):
    if not codes.categorical:
      raise ValueError(
        "weights.self_augmented is of categorical codes, and there are none: set it to 0, or give "
        "codes.categorical, such as (10,)"
      )
    augmented["self_augmented"] = (weight, self_augmented(codes, transform or affine()))
  game = two_player(
    generator,
    discriminator,
    # The prior of the latents is that of the codes: fakes of uniform codes have no truncation.
    latent=codes.sample,
    encoders={Q: q},
    # In both losses: Q's layers are the generator's, those that it shares are D's to move.
    regularizers={**weighted, **(regularizers or {})},
    generator_regularizers={**weighted, **augmented, **(generator_regularizers or {})},
    **options,
  )
  # Whether codes can be read is what the game is played for: it is shown beside the losses.
  return game._replace(headline={**game.headline, **{n: f"generator/{n}" for n in terms}})


def categorical(codes: Codes) -> TermLike:
  """Builds the term -log Q(c|x) of categorical codes, in nats, [B]."""

  def value(match: Match) -> jax.Array:
    labels, logits = _codes_and_estimates(codes, match)
    pairs = zip(logits[0], labels[0], strict=True)
    return sum((optax.softmax_cross_entropy(*pair) for pair in pairs), jnp.zeros(match.size))

  return stateless(value, uses_real=False)


def continuous(codes: Codes) -> TermLike:
  """Builds the term of continuous codes, [B].

  It is -log Q(c|x) without its constant, of a Gaussian whose variance is 1, as in the published
  code: half the squared error. With a learned variance it is `normal_nll`, as in StudioGAN.
  """

  def value(match: Match) -> jax.Array:
    (_, c), (_, mean) = _codes_and_estimates(codes, match)
    if codes.learned_variance:
      return normal_nll(c, mean, match.fake_outputs[Q][:, codes.size :])
    return 0.5 * jnp.sum((c - mean) ** 2, axis=1)

  return stateless(value, uses_real=False)


def normal_nll(x: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
  """Computes the negative log-likelihood of codes under Gaussians, summed over codes, [B].

  As in StudioGAN 1e-6 is added to 2π variance in the logarithm, and to 2 variance that divides.

  Args:
    x: codes [B, C].
    mean: means, likewise.
    log_variance: logarithms of variances, likewise.
  """
  variance = jnp.exp(log_variance)
  constant = 0.5 * jnp.log(2 * jnp.pi * variance + 1e-6)
  return jnp.sum(constant + (x - mean) ** 2 / (2 * variance + 1e-6), axis=1)


def self_augmented(codes: Codes, transform: Transform) -> Term:
  """Builds the term of categorical codes in real examples, [B]: -I(c; x), the same in T(x).

  IMSAT, Hu et al. 2017, arXiv:1702.08720: the cross entropy of Q(c|T(x)) from Q(c|x), which is
  least where Q is certain and a transform changes nothing, minus the entropy of E Q(c|x), which is
  greatest where codes are as frequent as in the prior.

  Args:
    codes: codes of the game.
    transform: T: (keys [B], x [B, ...]) -> [B, ...].
  """

  def value(match: Match) -> jax.Array:
    read = lambda x: codes.split(match.encoders[Q](x)[:, : codes.size])[0]
    logits, moved = (read(x) for x in (match.real, transform(match.keys, match.real)))
    total = jnp.zeros(match.size)
    for code, moved_code in zip(logits, moved, strict=True):
      probabilities = jax.nn.softmax(code)
      # Of the global batch: the mean of the devices' entropies would be another number.
      entropy = jnp.sum(jax.scipy.special.entr(match.mean(probabilities)))
      total += optax.softmax_cross_entropy(moved_code, probabilities) - BALANCE * entropy
    return total

  return stateless(value, couples=True)


def _codes_and_estimates(codes: Codes, match: Match) -> tuple[Any, Any]:
  """Returns the codes of the latents, and those that Q reads in the fakes, both split."""
  read = match.fake_outputs[Q]
  # Codes are the last entries: of a wider Q the others would be left out without a word.
  if read.shape != (match.size, codes.outputs):
    raise ValueError(
      f"Q returns {shown(read)}: expected [{match.size}, {codes.outputs}], an entry for "
      "each class of a categorical code and for each continuous code, two of a learned variance"
    )
  return codes.split(match.latents), codes.split(read[:, : codes.size])


def check_codes(codes: Any) -> None:
  """Checks that there are codes, of sizes that can be."""
  if not isinstance(codes, Codes):
    raise ValueError(f"codes are {shown(codes)}: expected Codes(noise, categorical, continuous)")
  for name in ("noise", "continuous"):
    if not is_integer(size := getattr(codes, name)) or size < 0:
      raise ValueError(f"{name} is {shown(size)}: expected the number of entries, an int >= 0")
  if not all(is_integer(classes) and classes > 1 for classes in codes.categorical):
    raise ValueError(
      f"categorical is {shown(codes.categorical)}: expected the classes of each code, ints >= 2"
    )
  if not codes.size:
    raise ValueError("there are no codes: give a categorical or a continuous one")
