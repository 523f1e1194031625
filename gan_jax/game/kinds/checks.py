"""Checks of the arguments and the batches of a game of a generator and a discriminator."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.checks import shown, takes
from gan_jax.game.core import Batch, Decay
from gan_jax.game.random import Microbatch
from gan_jax.game.schedules import is_weight
from gan_jax.game.views import View, Views
from gan_jax.losses.adversarial import AdversarialLoss

# Names of metrics and memory of players, which terms cannot have.
TAKEN = {"adversarial", "loss", "gradient_norm", "D_fake", "observed"}


def check_network(name: str, net: Any, given: str, conditional: bool) -> None:
  """Checks that a network is one, is called as such, and takes labels if there are any."""
  if not isinstance(net, nn.Module):
    hint = f"make one of it, {net.__name__}(...)" if isinstance(net, type) else "expected a module"
    raise ValueError(f"{name} is {shown(net)}: {hint} of flax.linen")
  if not takes(type(net).__call__, net, given, "y", train=True):
    raise ValueError(
      f"{name} is called as net({given}, y, train=...), which {type(net).__name__}.__call__ does "
      "not take"
    )
  # A network without the field may use labels in a way of its own.
  if conditional and getattr(net, "num_classes", 0) is None:
    raise ValueError(
      f"conditional is set, and the {name} has num_classes = None and would ignore labels: give it "
      "the number of classes, or leave conditional out"
    )


def check_classes(discriminator: nn.Module) -> None:
  """Checks that there is a class to tell from another, for a loss that is of classes."""
  if getattr(discriminator, "num_classes", None) == 1:
    raise ValueError(
      "the discriminator is to tell classes, and num_classes is 1, of data with one class: expected"
      " data with 2 or more, or a game without classes, such as two_player"
    )


def start(name: str, net: nn.Module, key: jax.Array, given: Any) -> tuple[Any, Any]:
  """Computes a network's output and its variables, (output, variables), at given inputs.

  Raises:
    ValueError: a network that is not called with such inputs, as a tuple of examples and times is.
  """
  try:
    return net.init_with_output(key, given, None, train=False)
  except (AttributeError, TypeError) as error:
    shapes = jax.tree.map(lambda x: list(jnp.shape(x)), given)
    raise ValueError(
      f"the {name} is given inputs of the shapes {shapes}, and {type(net).__name__} cannot be"
      f" called with them ({error}): choose a network of this kind of game"
    ) from error


def check_not_exchanged(
  generator: nn.Module, discriminator: nn.Module, z: jax.Array, x: jax.Array, y: Any
) -> None:
  """Checks that the generator does not make logits while the discriminator makes examples."""
  # Traced, not computed: it is asked after an error, whose cause it may name.
  output = lambda net, x: net.init_with_output(jax.random.key(0), x, y, train=False)[0]
  try:
    fake = jax.eval_shape(lambda: output(discriminator, z))
    logits = jax.eval_shape(lambda: output(generator, x))
  except Exception:  # whatever a network raises of what it is not for
    return
  if fake.shape == x.shape and logits.shape == x.shape[:1]:
    raise ValueError(
      "the two networks look exchanged: the generator makes logits, the discriminator examples; "
      "call two_player(generator, discriminator, ...)"
    )


def check_optimizers(optimizers: Any) -> None:
  """Checks that both players have an optimizer."""
  expected = {"discriminator", "generator"}
  if not isinstance(optimizers, Mapping) or set(optimizers) != expected:
    given = sorted(optimizers) if isinstance(optimizers, Mapping) else shown(optimizers)
    raise ValueError(
      f'optimizers are {given}: expected {{"discriminator": ..., "generator": ...}}, such as '
      "optax.adam(2e-4, b1=0.5) each"
    )
  for name, optimizer in optimizers.items():
    methods = hasattr(optimizer, "init") and hasattr(optimizer, "update")
    if isinstance(optimizer, type) or not methods:
      raise ValueError(
        f"the optimizer of the {name} is {shown(optimizer)}: expected one of optax, such as "
        "optax.adam(2e-4, b1=0.5)"
      )


LATENT = "z [n, d], such as latents.normal(64)"


def check_latent(latent: Any, name: str = "latent", expected: str = LATENT) -> None:
  """Checks that a prior makes one latent of each key."""
  # Shapes alone: nothing is drawn to see whether a function draws.
  try:
    z = jax.eval_shape(lambda: latent(jax.random.split(jax.random.key(0), 2)))
    fits, why = all(leaf.shape[:1] == (2,) for leaf in jax.tree.leaves(z)), None
  except Exception as error:  # whatever a function raises that was not meant to be given keys
    fits, why = False, error
  if not fits:
    message = f"{name} is {shown(latent)}: expected a function of keys [n] to {expected}"
    raise ValueError(message) from why


def check_fake_labels(prior: Any, conditional: bool) -> None:
  """Checks the prior of the labels of fakes, of a conditional game."""
  check_latent(prior, "fake_labels", "labels [n], such as latents.categorical(shares)")
  if not conditional:
    raise ValueError(
      "fake_labels are of a conditional game: set conditional=True, or leave them out"
    )


def check_terms(kind: str, terms: Any) -> None:
  """Checks the names of terms, and that no weight is negative; `minimise` checks the rest."""
  if not isinstance(terms, Mapping | None):
    raise ValueError(f'{kind} are {shown(terms)}: expected {{"name": (weight, term)}}')
  if taken := TAKEN & set(terms or ()):
    raise ValueError(f"{kind} have a term {min(taken)!r}, a name that is taken: choose another")
  for name, pair in (terms or {}).items():
    weight = pair[0] if isinstance(pair, tuple | list) and pair else None
    # A weight below 0 would make a reward of a penalty, without an error.
    if is_weight(weight) and not is_weight(weight, least=0):
      raise ValueError(
        f"the weight of {name!r} among {kind} is {shown(weight)}: expected a number >= 0; a term "
        "that is to be maximised has the sign itself"
      )


def check_averages(averages: Any) -> None:
  """Checks that averages are decays, by network."""
  if not isinstance(averages, Mapping | None):
    raise ValueError(
      f'averages are {shown(averages)}: expected them by network, {{"generator": decay(0.999)}}'
    )
  for name, decay in (averages or {}).items():
    if not isinstance(decay, Decay):
      raise ValueError(
        f"the average of {name!r} is {shown(decay)}: expected a decay: schedules.decay(0.999)"
      )


def check_views(views: Any, conditional: bool, encoders: Any) -> None:
  """Checks that these are views, and that no pack has several labels or codes."""
  of_views = isinstance(views, tuple | list) and all(isinstance(view, View) for view in views)
  if not of_views:
    raise ValueError(
      f"views are {shown(views)}: expected a tuple of them, such as (views.gaussian_noise(0.1),)"
    )
  m = _pack(views)
  if m > 1 and conditional:
    raise ValueError(
      f"packing = {m}: expected m = 1 for a conditional game, where the packed examples would "
      f"have {m} different labels"
    )
  if m > 1 and encoders:
    raise ValueError(f"packing = {m}, and encoders take one example: leave one of them out")


def check_signs(views: Views, loss: AdversarialLoss) -> None:
  """Checks that views which follow the signs of logits have a loss that gives these a meaning."""
  if any(view.signs for view in views) and not loss.signed:
    raise ValueError(
      "an adaptive p follows the signs of logits, which tell real from fake under losses that are "
      "signed, as non_saturating and hinge are, and not under this one: set adaptive=False and "
      "p=0.2, another number, or a schedule"
    )


def check_named(kind: str, given: Any, names: Iterable[str]) -> None:
  """Checks that there is one of each name, and no other."""
  if not isinstance(given, Mapping) or set(given) != set(names):
    raise ValueError(f"{kind} are {shown(given)}: expected them by name, {', '.join(names)}")


def check_unconditional(labels: Any) -> None:
  """Refuses labels for a game whose networks take none."""
  # Labels that are ignored would be samples of other classes than were asked for.
  if labels is not None:
    raise ValueError("this game is not conditional, and its networks take no labels")


def check_batch(batch: Batch, conditional: bool) -> None:
  """Checks that x are floats and y integers: levels or one-hot labels would pass in silence."""
  needed = ("x", "y") if conditional else ("x",)
  if missing := set(needed) - set(batch):
    why = ", the labels of a conditional game" if missing == {"y"} else ""
    raise ValueError(f"batch has {sorted(batch)}: expected {min(missing)!r} too{why}")
  for name in needed:
    if not hasattr(batch[name], "dtype"):
      raise ValueError(f"batch[{name!r}] is {shown(batch[name])}: expected one array")
  x = batch["x"]
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(f"batch['x'] is {shown(x)}: expected floats, such as data.to_float(x)")
  if not conditional:
    return
  y = batch["y"]
  # One-hot classes are integers of two axes, and would pass for vectors.
  if y.ndim != (1 if jnp.issubdtype(y.dtype, jnp.integer) else 2):
    raise ValueError(
      f"batch['y'] is {shown(y)}: expected classes as integers, one an example, or vectors of"
      " floats"
    )


def check_microbatches(views: Views, microbatch: Microbatch) -> None:
  """Checks that microbatches take no packs apart."""
  if microbatch.count > 1 and (m := _pack(views)) > 1:
    raise ValueError(
      f"packing = {m} shows consecutive examples together, and microbatches take them apart: set "
      "one of them to 1"
    )


def _pack(views: Views) -> int:
  """Counts the examples that become one."""
  return math.prod(view.pack for view in views)


def check_fakes(fake: Any, real: jax.Array) -> None:
  """Checks that fakes have the shape of the data."""
  # Penalties between real examples and fakes would broadcast other shapes without a word.
  if jnp.shape(fake) != real.shape:
    if jnp.shape(fake)[1:] == real.shape[1:]:
      raise ValueError(
        f"the generator makes {len(fake)} examples of {len(real)} latents: expected one of each;"
        " choose a network of this kind of game"
      )
    raise ValueError(
      f"the generator makes examples {jnp.shape(fake)[1:]}, the data has {real.shape[1:]}; "
      "set the generator's shape to the data's"
    )


def check_logits(logits: Any, x: jax.Array) -> None:
  """Checks that the discriminator returns logits for each example; [B, 1] is taken for a slip."""
  # [B, 1] against [B] would broadcast to [B, B] in many a loss, and train all the same.
  shape = getattr(logits, "shape", ())
  if shape[:1] != x.shape[:1] or shape[1:] == (1,):
    raise ValueError(
      f"the discriminator returns {shown(logits)} for {x.shape[0]} examples: expected logits "
      f"[{x.shape[0]}], or [{x.shape[0]}, ...] of patches; of [B, 1] take [:, 0]"
    )
