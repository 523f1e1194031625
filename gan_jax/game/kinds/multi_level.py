"""Games of a generator of several images, which the discriminator judges as one: GAT.

Scalable GANs with Transformers, arXiv:2509.24935. The generator makes an image after each part of
its depth, the last of which is the example. The discriminator is shown all of them, along channels
and with as much noise as they are early; of a real example it is shown as many copies. Early parts
of the generator are so trained directly. The functions are those of `losses.one_step.levels`.

    adam = optax.adam(2e-4, b1=0.0, b2=0.99)
    game = multi_level(
      MultiLevelMLPGenerator(shape=(2,)), MLPDiscriminator(), latent=normal(64),
      optimizers={"discriminator": adam, "generator": adam},
      regularizers={"r1": (0.1, r1_approximate()), "r2": (0.1, r2_approximate())},
    )
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from gan_jax.checks import shown, takes
from gan_jax.game.core import (
  Batch,
  Carried,
  Clock,
  Decay,
  Game,
  Metrics,
  Params,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import split_variables
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides.monitors import headline
from gan_jax.game.kinds.sides.networks import (
  Forward,
  Networks,
  Outputs,
  checked,
  generate,
  labels_of,
)
from gan_jax.game.kinds.sides.players import OWNS, Terms, players
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.latents import Latent, Truncate
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss, relativistic
from gan_jax.losses.objectives import Match, adversarial_term, per_example
from gan_jax.losses.one_step.levels import (
  Augmentation,
  augment,
  check_levels,
  judged_as_one,
  noise_chain,
  noise_levels,
)

LEVELS = "levels"  # method of a generator: (z, y, *, train) -> images [n, B, ...]
KINDS = ("real", "fake")
# (keys [B], shape of an image) -> the parameters of each, such as `levels.draw_augmentation`
DrawAugmentation = Callable[[jax.Array, tuple[int, ...]], Augmentation]


def multi_level(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  optimizers: Mapping[str, optax.GradientTransformation],
  latent: Latent,
  truncate: Truncate | None = None,
  loss: AdversarialLoss = relativistic,
  levels: np.ndarray | None = None,
  augmentation: DrawAugmentation | None = None,
  regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  conditional: bool = False,
  fake_labels: Latent | None = None,
  remat: bool = False,
) -> Game:
  """Builds the game of a generator whose images of all levels are judged as one.

  Args:
    generator: module of `two_player` that has a method `levels(z, y, *, train)` too, to images
      [n, B, ...], the earliest first; the last are those of `__call__`.
    discriminator: module called as `net(x, y, train=)`, to logits [B]; x are examples of n times
      the channels. One of `two_player` with further outputs will do.
    optimizers: optimizers of "discriminator" and "generator".
    latent: prior of z.
    truncate: as of `two_player`.
    loss: adversarial loss.
    levels: noise level t of each image, [n], falling: D sees (1 - t) image + noise of variance t²,
      of one chain; those of `noise_levels(4)` by default.
    augmentation: draws how images are changed before the noise, alike on all levels, such as
      `levels.draw_augmentation`; None for not at all.
    regularizers: terms of the discriminator's loss: name -> (weight, term). To these a real example
      is one image [B, 1, ...], and a fake is one of each level, [B, n, ...]: noise of
      `r1_approximate` is shared by levels, that of `r2_approximate` is not, as published.
    turns: turns of both players.
    averages: moving averages by network: "generator".
    conditional: whether batches hold labels "y", which both networks take.
    fake_labels: prior of the labels of fakes, or None; see `two_player`.
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its "generator/disagreement" is the mean square of the differences of all images to
    the final one; it is 0 at an equilibrium, where they have the law of copies of an example.

  Raises:
    ValueError: for arguments of another kind.
  """
  levels = noise_levels(4) if levels is None else np.asarray(levels)
  check_levels(levels)
  nets = Networks(generator, discriminator, latent, conditional, (), False, {}, remat, fake_labels)
  nets = checked(nets)
  method = getattr(type(generator), LEVELS, None)
  if not takes(method, generator, "z", "y", train=True):
    raise ValueError(
      f"the generator {type(generator).__name__} has no method levels(z, y, train=...) to images of"
      " all levels: expected one such as nets.MultiLevelMLPGenerator(shape)"
    )
  if augmentation is not None and not takes(augmentation, "keys", "shape"):
    raise ValueError(
      f"augmentation is {shown(augmentation)}: expected a function of keys and the shape of an "
      "image, such as levels.draw_augmentation"
    )
  check_loss(loss)
  checks.check_optimizers(optimizers)
  checks.check_terms("regularizers", regularizers)
  checks.check_averages(averages)
  terms: dict[str, Terms] = {
    "discriminator": {
      "adversarial": (1.0, adversarial_term(loss, "discriminator")),
      **(regularizers or {}),
    },
    "generator": {"adversarial": (1.0, adversarial_term(loss, "generator"))},
  }
  show = _Show(levels, augmentation)
  forward = functools.partial(_forward, nets, show)
  game = Game(
    init=functools.partial(_init, nets, show),
    samplers={
      "generator": Sampler(
        functools.partial(generate, nets), lambda key, n: latent(example_keys(key, n)), truncate
      )
    },
    players=players(forward, loss, terms, OWNS, optimizers, observe_generator=_disagreement),
    turns=turns,
    averages=averages or {},
    headline={**headline(loss), "levels": "generator/disagreement"},
    monitored="generator",
  )
  check_game(game)
  return game


class _Show(NamedTuple):
  """How the discriminator is shown images of all levels; see `multi_level`."""

  levels: np.ndarray
  augmentation: DrawAugmentation | None

  def draw(self, key: jax.Array, context: StepContext, x: jax.Array) -> Any:
    """Draws noise [n, B, ...] and the augmentation of examples like x [B, ...]."""
    keys = lambda use: context.example_keys(named_key(key, use), len(x))
    shape = (len(self.levels), *x.shape[1:])
    noise = jax.vmap(lambda key: jax.random.normal(key, shape), out_axes=1)(keys("noise"))
    change = self.augmentation
    return noise, None if change is None else change(keys("augmentation"), x.shape[1:])

  def __call__(self, images: jax.Array, draws: Any, of: jax.Array) -> jax.Array:
    """Computes what the discriminator takes, [B, ..., n C].

    Args:
      images: [B, n, ..., C], or [B, 1, ..., C] of one image for all levels.
      draws: those of `draw`.
      of: [B, ..., C] clean final images, whose colours the augmentation is relative to.
    """
    noise, parameters = draws
    images = jnp.moveaxis(images, 1, 0)
    if parameters is not None:
      images = jax.vmap(augment, in_axes=(0, None, None))(images, of, parameters)
    images = jnp.broadcast_to(images, noise.shape)
    return judged_as_one(noise_chain(images, noise, self.levels))


def _init(nets: Networks, show: _Show, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  checks.check_batch(batch, nets.conditional)
  z_key, g_key, d_key = jax.random.split(key, 3)
  x = jnp.zeros(batch["x"].shape)
  y = jnp.zeros(batch["y"].shape, batch["y"].dtype) if nets.conditional else None
  z = nets.latent(example_keys(z_key, len(x)))
  # Of all levels: what samples are made of is the last.
  images, generator = nets.generator.init_with_output(g_key, z, y, train=False, method=LEVELS)
  _check_images(images, x, len(show.levels))
  context = StepContext(key, Clock(), None)
  viewed = jax.eval_shape(lambda: show(x[:, None], show.draw(key, context, x), x))
  x = jnp.zeros(viewed.shape)
  out, discriminator = nets.discriminator.init_with_output(d_key, x, y, train=False)
  checks.check_logits(out.get("logits") if isinstance(out, Mapping) else out, x)
  return split_variables({"generator": generator, "discriminator": discriminator})


def _check_images(images: Any, x: jax.Array, count: int) -> None:
  """Checks that there is an image of each level, of the shape of the data."""
  if jnp.shape(images) != (count, *x.shape):
    raise ValueError(
      f"the generator's levels are {shown(images)}: expected {[count, *x.shape]}, an image of the"
      " data's shape for each noise level; give it so many levels, and that shape"
    )


def _forward(
  nets: Networks,
  show: _Show,
  params: Params,
  carried: Carried,
  batch: Batch,
  context: StepContext,
) -> tuple[Match, Carried]:
  """Generates images of all levels and judges them: one move's forward."""
  checks.check_batch(batch, nets.conditional)
  x, labels = batch["x"], labels_of(nets, batch, context)
  keys = {use: named_key(context.key, use) for use in ("generator", *KINDS)}
  networks = Forward(nets, params, carried, labels, keys, context)

  def images_of(z: PyTree) -> tuple[jax.Array, PyTree]:
    images, stats = networks.apply(
      "generator", carried["generator"], z, labels["fake"], keys["generator"], LEVELS
    )
    _check_images(images, x, len(show.levels))
    return jnp.moveaxis(images.astype(jnp.float32), 0, 1), stats

  z = nets.latent(context.example_keys(named_key(context.key, "latents"), len(x)))
  fake, g_stats = images_of(z)
  examples = {"real": x[:, None], "fake": fake}
  final = {kind: images[:, -1] for kind, images in examples.items()}
  draws = {kind: show.draw(keys[kind], context, x) for kind in KINDS}
  view = lambda images, kind: show(images, draws[kind], final[kind])
  (real_outputs, fake_outputs), d_stats = networks.discriminate_both(
    (view(examples["real"], "real"), view(fake, "fake"))
  )

  def outputs_at(images: jax.Array, kind: str = "real") -> Outputs:
    # With the key of the real pass, as in `two_player`: the dropout mask is that of its logits.
    given = view(images, kind), labels[kind], carried["discriminator"], keys["real"]
    return networks.discriminate(*given)[0]

  match = Match.of(
    context,
    params,
    real=examples["real"],
    fake=fake,
    real_logits=real_outputs.pop("logits"),
    fake_logits=fake_outputs.pop("logits"),
    discriminator=lambda images, kind="real": per_example(outputs_at(images, kind)["logits"]),
    generator=lambda z: images_of(z)[0],
    latents=z,
    labels=labels["real"],
    fake_labels=labels["fake"],
    real_outputs=real_outputs,
    fake_outputs=fake_outputs,
    discriminator_outputs=outputs_at,
  )
  return match, {"generator": g_stats, "discriminator": d_stats}


def _disagreement(match: Match, memory: PyTree) -> tuple[Metrics, PyTree]:
  """Computes how far images of all levels are from the final one, in squared units of the data."""
  return {"generator/disagreement": jnp.mean((match.fake - match.fake[:, -1:]) ** 2)}, memory
