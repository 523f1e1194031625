"""Discriminators with a task beside real and fake: ContraGAN, ReACGAN, SSGAN, InfoMax-GAN.

The discriminator learns the task of real examples alone, and the generator is to make fakes of
which it can be done. A task is a value; the discriminator has its head, of `nets.heads`.

    game = auxiliary_task(
      generator, AuxiliaryDCGANDiscriminator(num_classes=10, head=EmbeddingHead(512)),
      task=reac_gan(), loss=losses.hinge, optimizers=optimizers, latent=normal(64),
    )
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax
from flax import linen as nn

from gan_jax.checks import is_number, require, shown
from gan_jax.game.core import Game
from gan_jax.game.kinds.checks import check_classes
from gan_jax.game.kinds.two_player import Terms, two_player
from gan_jax.game.schedules import Weight, is_off
from gan_jax.losses.conditional import conditional_contrastive, data_to_data
from gan_jax.losses.objectives import Match, Term, stateless
from gan_jax.losses.self_supervised import ROTATIONS, info_nce, rotate_batch

Loss = Callable[[Match, str], jax.Array]  # (match, "real" or "fake") -> [B]


class Task(NamedTuple):
  """A task of the discriminator.

  Attributes:
    name: name of its term, in metrics too.
    loss: (match, "real" or "fake") -> values of the task at these examples, [B].
    outputs: what the discriminator has to return for it.
    conditional: whether it is of classes, which both networks are then given.
    couples: whether a value depends on the whole batch.
    least: examples of a batch below which there is nothing to tell.
    discriminator_weight: weight of the term of real examples in the discriminator's loss.
    generator_weight: weight of that of fakes in the generator's.
  """

  name: str
  loss: Loss
  outputs: tuple[str, ...]
  conditional: bool
  couples: bool
  least: int
  discriminator_weight: Weight
  generator_weight: Weight


def auxiliary_task(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  task: Task,
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  **options: Any,
) -> Game:
  """Builds the game of a discriminator with a task.

  Args:
    generator: module of `two_player`, which is given labels if the task is conditional.
    discriminator: likewise, one that returns the outputs of the task beside "logits".
    task: the task, such as `reac_gan()`.
    regularizers: further terms of the discriminator's loss.
    generator_regularizers: further terms of the generator's loss.
    **options: other options of `two_player`, but for `conditional`; no views that pack.

  Raises:
    ValueError: for arguments of another kind.
  """
  if not isinstance(task, Task):
    raise ValueError(f"task is {shown(task)}: expected a Task, such as reac_gan()")
  if task.conditional:
    check_classes(discriminator)
  weighted = lambda weight, which: (
    {} if is_off(weight) else {task.name: (weight, task_term(task, which))}
  )
  return two_player(
    generator,
    discriminator,
    regularizers={**weighted(task.discriminator_weight, "real"), **(regularizers or {})},
    generator_regularizers={
      **weighted(task.generator_weight, "fake"),
      **(generator_regularizers or {}),
    },
    conditional=task.conditional,
    **options,
  )


def contra_gan(
  *,
  temperature: float = 1.0,
  discriminator_weight: Weight = 1.0,
  generator_weight: Weight = 1.0,
) -> Task:
  """Builds the task of ContraGAN, the conditional contrastive loss 2C.

  Kang & Park 2020, arXiv:2006.12681. Examples are drawn to their class and to others of it.

  Args:
    temperature: temperature of cosines, above 0.
    discriminator_weight: weight in the discriminator's loss.
    generator_weight: weight in the generator's loss.
  """
  _check_temperature(temperature)
  loss = _of_classes(conditional_contrastive, temperature=temperature)
  outputs = ("embedding", "proxy")
  return Task("contrastive", loss, outputs, True, True, 2, discriminator_weight, generator_weight)


def reac_gan(
  *,
  temperature: float = 0.5,
  margin: float = 0.98,
  discriminator_weight: Weight = 0.5,
  generator_weight: Weight = 0.5,
) -> Task:
  """Builds the task of ReACGAN, the data-to-data cross entropy.

  Kang et al. 2021, arXiv:2111.01118. Examples are drawn to their class, and away from those of
  others. The numbers are StudioGAN's for CIFAR-10.

  Args:
    temperature: temperature of cosines, above 0.
    margin: cosine from which a class attracts no more, in [0, 1].
    discriminator_weight: weight in the discriminator's loss.
    generator_weight: weight in the generator's loss.
  """
  _check_temperature(temperature)
  require(
    is_number(margin, lambda x: 0 <= x <= 1),
    f"the margin of cosines is {shown(margin)}: expected a number in [0, 1]",
  )
  loss = _of_classes(data_to_data, temperature=temperature, margin=margin)
  outputs = ("embedding", "proxy")
  return Task("contrastive", loss, outputs, True, True, 2, discriminator_weight, generator_weight)


def ss_gan(*, discriminator_weight: Weight = 1.0, generator_weight: Weight = 0.2) -> Task:
  """Builds the task of SSGAN, to tell by which quarter of a turn an image is rotated.

  Chen et al. 2019, arXiv:1811.11212. The adversarial loss is of upright images alone.

  Args:
    discriminator_weight: weight in the discriminator's loss.
    generator_weight: weight in the generator's loss.
  """

  def loss(match: Match, which: str) -> jax.Array:
    images = getattr(match, which)
    rotated, quarters = rotate_batch(images, match.places, match.global_size)
    assert match.discriminator_outputs is not None
    logits = match.discriminator_outputs(rotated, which)["rotation"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, quarters)

  outputs = ("rotation",)
  return Task(
    "rotation", loss, outputs, False, False, ROTATIONS, discriminator_weight, generator_weight
  )


def info_max_gan(
  *,
  own_score: float = -10.0,
  discriminator_weight: Weight = 0.2,
  generator_weight: Weight = 0.2,
) -> Task:
  """Builds the task of InfoMax-GAN, InfoNCE of features of places and of the whole.

  Lee et al. 2021, arXiv:2007.04589.

  Args:
    own_score: score that takes the place of those of an image's own places among the negatives.
    discriminator_weight: weight in the discriminator's loss.
    generator_weight: weight in the generator's loss.
  """

  def loss(match: Match, which: str) -> jax.Array:
    outputs = getattr(match, f"{which}_outputs")
    local_features, global_features = (match.gather(outputs[name]) for name in ("local", "global"))
    return info_nce(local_features, global_features, own_score=own_score)

  outputs = ("local", "global")
  return Task("info_nce", loss, outputs, False, True, 2, discriminator_weight, generator_weight)


def _check_temperature(temperature: Any) -> None:
  require(
    is_number(temperature, lambda x: x > 0),
    f"the temperature of cosines is {shown(temperature)}: expected a number > 0",
  )


def _of_classes(function: Callable[..., jax.Array], **options: float) -> Loss:
  """Builds the loss of a function of embeddings, proxies and classes of the global batch."""

  def loss(match: Match, which: str) -> jax.Array:
    outputs = getattr(match, f"{which}_outputs")
    # Fakes have the classes that they were asked for, which may be of a prior of their own.
    labels = match.labels if which == "real" else match.fake_labels
    given = (outputs["embedding"], outputs["proxy"], labels)
    return function(*map(match.gather, given), **options)

  return loss


def check_batch(task: Task, size: int) -> None:
  """Checks that a batch has examples enough: of fewer the task is done without learning."""
  require(
    size >= task.least,
    f"a batch of {size}, and the task {task.name!r} tells {task.least} examples or more apart: "
    f"expected a batch size of at least {task.least}",
  )


def task_term(task: Task, which: str) -> Term:
  """Builds the term of a task.

  Args:
    task: the task.
    which: examples that it is of, "real" or "fake".
  """

  def value(match: Match) -> jax.Array:
    check_batch(task, match.global_size)
    if missing := set(task.outputs) - set(getattr(match, f"{which}_outputs")):
      raise ValueError(
        f"the discriminator returns no {min(missing)!r}: expected one with the head of its task, "
        "such as AuxiliaryDCGANDiscriminator(head=...) with a head of nets.heads"
      )
    return task.loss(match, which)

  return stateless(value, uses_real=which == "real", couples=task.couples)


TASKS: Mapping[str, Callable[..., Task]] = {
  "contra_gan": contra_gan,
  "reac_gan": reac_gan,
  "ss_gan": ss_gan,
  "info_max_gan": info_max_gan,
}
"""name -> factory of a task, whose options are keywords with defaults."""
