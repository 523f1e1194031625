"""VQGAN's tokenizer: an autoencoder through a codebook, whose reconstructions meet a discriminator.

Esser, Rombach, Ommer 2021, arXiv:2012.09841; the quantizer is that of VQ-VAE, van den Oord et al.
2017, arXiv:1711.00937. The adversarial loss has an adaptive weight: it pulls at the last layer of
the decoder as hard as the reconstruction does. The paper's perceptual loss is left out.

    adam = optax.adam(4e-4, b1=0.5)
    game = vq_gan(
      Autoencoder(encoder, Codebook(512, 64), decoder, ImageLayer(3)), discriminator,
      loss=losses.hinge, optimizers={"discriminator": adam, "generator": adam},
    )
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.checks import is_integer, shown
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Params,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables
from gan_jax.game.kinds.checks import check_named, check_unconditional
from gan_jax.game.kinds.sides.forwards import Apply, forward_of, match_fields
from gan_jax.game.kinds.sides.monitors import headline
from gan_jax.game.kinds.sides.players import Terms, players
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import Match, Term, adversarial_term, per_example, stateless

WEIGHTS = {"adversarial": 0.8, "reconstruction": 1.0, "codebook": 1.0, "commitment": 0.25}
SMALLEST, LARGEST = 1e-4, 1e4  # added to the norm that is divided by, and the largest weight
# One player owns encoder, codebook and decoder: between these ownership separates nothing.
stop = jax.lax.stop_gradient


class Autoencoder(NamedTuple):
  """The networks of the generator's player, each called as `net(x, None, train=)`.

  Attributes:
    encoder: images [B, H, W, C] -> maps [B, h, w, d].
    codebook: maps -> the nearest entries of the codebook, [B, h, w, d].
    decoder: maps -> features of the last layer.
    last_layer: features -> images; at its kernel the losses are weighed.
  """

  encoder: nn.Module
  codebook: nn.Module
  decoder: nn.Module
  last_layer: nn.Module


def vq_gan(
  autoencoder: Autoencoder,
  discriminator: nn.Module,
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  weights: Mapping[str, Weight] = WEIGHTS,
  start: int = 0,
  regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of an autoencoder with a codebook and a discriminator of its reconstructions.

  Args:
    autoencoder: networks of the generator's player.
    discriminator: module called as `net(x, None, train=)`, to logits [B, ...].
    loss: adversarial loss; the paper's is `hinge`.
    optimizers: optimizers of "discriminator" and "generator".
    weights: factors of the generator's "adversarial" loss, beside its adaptive weight, of
      "reconstruction", the mean absolute difference, of "codebook", which draws entries to what the
      encoder returns, and of "commitment", which draws that to the entries.
    start: round from which the discriminator and the adversarial loss take part.
    regularizers: terms of the discriminator's loss: name -> (weight, term).
    turns: turns of both players.
    averages: moving averages by network.
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its sampler is "reconstruct", of examples x.

  Raises:
    ValueError: for arguments of another kind.
  """
  check_loss(loss)
  check_named("weights", weights, WEIGHTS)
  if not is_integer(start) or start < 0:
    raise ValueError(f"start is {shown(start)}: expected a number of rounds, an int >= 0")
  nets = {**autoencoder._asdict(), "discriminator": discriminator}
  # Half of both sides' sum, as published; nothing before the start.
  halved = lambda clock: jnp.where(clock.round >= start, 0.5, 0.0)
  terms: dict[str, Terms] = {
    "discriminator": {
      "adversarial": (halved, adversarial_term(loss, "discriminator")),
      **(regularizers or {}),
    },
    "generator": {
      "adversarial": (weights["adversarial"], adaptive(loss, autoencoder.last_layer, start)),
      "reconstruction": (weights["reconstruction"], stateless(_difference)),
      "codebook": (weights["codebook"], stateless(functools.partial(_distance, "encoded"))),
      "commitment": (weights["commitment"], stateless(functools.partial(_distance, "entries"))),
    },
  }
  # The whole autoencoder is one player: its parts share every term.
  owns = {"discriminator": ("discriminator",), "generator": autoencoder._fields}
  game = Game(
    init=functools.partial(_init, nets),
    samplers={
      "reconstruct": Sampler(functools.partial(_reconstruct, nets), source="x", paired=True)
    },
    players=players(forward_of(nets, _outputs, remat), loss, terms, owns, optimizers),
    turns=turns,
    averages=averages or {},
    headline={**headline(loss), "L1": "generator/reconstruction"},
    monitored="generator",
    probed="discriminator",
  )
  check_game(game)
  return game


def adaptive(loss: AdversarialLoss, last_layer: nn.Module, start: int = 0) -> Term:
  """Builds the generator's adversarial term with the paper's adaptive weight.

  The weight is ‖∇ reconstruction‖ / (‖∇ adversarial‖ + 1e-4), at most 1e4, of gradients with
  respect to the kernel of the last layer; it is a number to the players. It is logged.

  Args:
    loss: adversarial loss.
    last_layer: module, owned by the player under this name.
    start: round before which the value is 0.
  """

  def value(match: Match, memory: PyTree) -> tuple[jax.Array, PyTree]:
    # The weight is a number to the players: nothing of it is differentiated again.
    features, params = stop((match.fake_outputs["features"], match.params["last_layer"]))

    def cost(params: PyTree, of: Callable[[jax.Array], jax.Array]) -> jax.Array:
      # One layer is run again, not the network: only its kernel's gradient is asked for.
      image = last_layer.apply({"params": params}, features, None, train=True)
      return jnp.mean(of(jnp.asarray(image)))

    def norm(of: Callable[[jax.Array], jax.Array]) -> jax.Array:
      slopes = jax.grad(cost)(params, of)
      if match.axis_name is not None:
        slopes = jax.lax.pmean(slopes, match.axis_name)  # of the global batch
      # Of the kernel alone, as published.
      return optax.tree.norm([leaf for leaf in jax.tree.leaves(slopes) if leaf.ndim > 1])

    side = lambda scores: per_example(loss.generator(match.real_scores, scores))
    reconstruction = norm(lambda x: jnp.abs(match.real - x))
    adversarial = norm(lambda x: side(match.discriminator(x)))
    ratio = jnp.clip(reconstruction / (adversarial + SMALLEST), 0.0, LARGEST)
    weight = stop(jnp.where(match.round >= start, ratio, 0.0))
    return weight * side(match.fake_scores), {"weight": weight}

  return Term(
    value,
    # To be logged: no move reads it. The gradients of the ratio are of the whole batch.
    memory={"weight": jnp.zeros(())},
    uses_real=True,
    couples=True,
    metrics=lambda memory: {"adaptive_weight": memory["weight"]},
  )


def _init(nets: Mapping[str, nn.Module], key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  if "x" not in batch:
    raise ValueError(f"batch has {sorted(batch)}: expected 'x' too, the examples")
  keys = dict(zip(nets, jax.random.split(key, len(nets)), strict=True))
  out = x = jnp.zeros(batch["x"].shape)
  initial = {}
  for name in Autoencoder._fields:
    # Each starts from the shapes that the one before it makes.
    out, initial[name] = nets[name].init_with_output(keys[name], out, None, train=False)
  if jnp.shape(out) != x.shape:
    raise ValueError(f"the last layer makes {list(jnp.shape(out))}: expected {list(x.shape)}")
  name = "discriminator"
  initial[name] = nets[name].init(keys[name], x, None, train=False)
  return split_variables(initial)


def _outputs(apply: Apply, batch: Batch, context: StepContext) -> dict[str, Any]:
  """Encodes, quantizes and reconstructs examples, and judges both."""
  x = batch["x"]
  encoded = apply("encoder", x)
  # The codebook learns from its own term, not through the decoder.
  entries = apply("codebook", stop(encoded))
  # Straight through: the encoder is given the gradient of the entry.
  features = apply("decoder", encoded + stop(entries - encoded))
  return match_fields(
    functools.partial(apply, "discriminator"),
    real=x,
    # A network of its own, so that the adaptive weight can name its kernel.
    fake=apply("last_layer", features),
    generator=lambda x: x,
    latents=x,
    fake_outputs={"encoded": encoded, "entries": entries, "features": features},
  )


def _difference(match: Match) -> jax.Array:
  """Computes the mean absolute difference of an image and its reconstruction, [B]."""
  return per_example(jnp.abs(match.real - match.fake))


def _distance(fixed: str, match: Match) -> jax.Array:
  """Computes the mean squared distance of codes and entries, [B], one of them held fixed."""
  # One value and two terms: each has gradients to one side, which have weights of their own.
  outputs = {**match.fake_outputs, fixed: stop(match.fake_outputs[fixed])}
  return per_example((outputs["encoded"] - outputs["entries"]) ** 2)


def _reconstruct(
  nets: Mapping[str, nn.Module], params: Params, carried: Carried, x: PyTree, labels: Any
) -> jax.Array:
  """Reconstructs images in evaluation mode."""
  check_unconditional(labels)
  for name in Autoencoder._fields:
    x = sample_network(nets[name], name, params, carried, x)
  return x
