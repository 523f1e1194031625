"""Unpaired translation between two kinds of images: two translators, two discriminators, a pool.

CycleGAN, Zhu, Park, Isola, Efros 2017, arXiv:1703.10593. G translates A to B, F translates B to A;
each kind of image has a discriminator, and what is translated there and back is to be the same.
Where images of kind A have labels, a classifier can hold translations to their classes: the
semantic consistency of CyCADA, Hoffman et al. 2018, arXiv:1711.03213.

    adam = optax.adam(2e-4, b1=0.5)
    game = cycle_gan(
      {"a_to_b": translator, "b_to_a": translator}, {"a": discriminator, "b": discriminator},
      loss=losses.least_squares,
      optimizers={"translators": adam, "discriminators": adam},
      shape=(256, 256, 3),
    )
"""

import functools
from collections.abc import Callable, Mapping, Sequence
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
  Metrics,
  Objective,
  Params,
  Player,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables, trained_networks
from gan_jax.game.kinds.checks import check_named, check_unconditional
from gan_jax.game.kinds.sides.players import Terms
from gan_jax.game.kinds.sides.pool import from_pool, new_pool
from gan_jax.game.memory import join_alike
from gan_jax.game.schedules import Weight, is_off
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import (
  Match,
  Scene,
  TermLike,
  adversarial_term,
  lift,
  minimise,
  per_example,
  stateless,
)

TRANSLATORS = {"a_to_b": ("a", "b"), "b_to_a": ("b", "a")}  # name -> (from, to)
DISCRIMINATORS = {"a": "discriminator_a", "b": "discriminator_b"}  # whom they judge -> name
OWNS = {"translators": tuple(TRANSLATORS), "discriminators": tuple(DISCRIMINATORS.values())}
CLASSIFIER = "classifier"  # name of the player beside these, and of its network
LABELS = {"a": "y", "b": "y_b"}  # names of the classes of each kind in a batch
Forward = Callable[..., tuple[Scene, Carried]]


def cycle_gan(
  translators: Mapping[str, nn.Module],
  discriminators: Mapping[str, nn.Module],
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  shape: tuple[int, ...],
  adversarial: Weight = 2.0,
  cycle: Weight = 10.0,
  identity: Weight = 5.0,
  classifier: nn.Module | None = None,
  classified: Sequence[str] = ("a",),
  semantic: Weight = 1.0,
  pool: int = 50,
  regularizers: Terms | None = None,
  turns: tuple[Turn, ...] | None = None,
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of two translators and two discriminators.

  Args:
    translators: modules "a_to_b" and "b_to_a", called as `net(x, None, train=)`, to images.
    discriminators: modules "a" and "b" by whom they judge, called likewise, to logits [B, ...].
    loss: adversarial loss of both pairs; the paper's is `least_squares`.
    optimizers: optimizers of "translators" and "discriminators", and of a "classifier".
    shape: (H, W, C) of the images of both kinds.
    adversarial: weight of the translators' adversarial loss. The published code has no half in it,
      and `least_squares` has, so that 2 is the published one.
    cycle: weight of the mean absolute difference of an image and what is translated there and back.
    identity: weight of that of an image and what the translator to its own kind makes of it; 0 is
      off, and costs nothing.
    classifier: module called likewise, to logits [B, K] of classes; None for none. Unlike CyCADA's,
      which is trained before, it learns in the game: real images, as what is translated could teach
      it to read 7 where there is a 1.
    classified: kinds whose classes it learns: "a", or both.
    semantic: weight of the translators' cross-entropies of the classes that it reads in
      translations. Images have their own labels, or where they have none those that it reads.
    pool: number of fakes of each kind that are kept to be shown again; 0 for none.
    regularizers: terms of the discriminators' loss, of each pair: name -> (weight, term).
    turns: turns of the players; None for all at once, as published: the discriminators see fakes of
      before the translators' update.
    averages: moving averages by network: "a_to_b", "b_to_a".
    remat: whether activations are recomputed for gradients.

  Returns:
    The game, whose batches are {"a": [n, B, H, W, C], "b": likewise}; with a classifier also "y",
    int [n, B], classes of a, and "y_b". Its samplers are "a_to_b" and "b_to_a".

  Raises:
    ValueError: for arguments of another kind.
  """
  check_loss(loss)
  check_named("translators", translators, TRANSLATORS)
  check_named("discriminators", discriminators, DISCRIMINATORS)
  if not is_integer(pool) or pool < 0:
    raise ValueError(f"pool is {shown(pool)}: expected how many fakes to keep, an int >= 0")
  if not classified or not set(classified) <= set(LABELS):
    raise ValueError(f"classified is {shown(classified)}: expected kinds, 'a' or 'b' or both")
  nets = {**translators, **{DISCRIMINATORS[name]: net for name, net in discriminators.items()}}
  owns: dict[str, tuple[str, ...]] = OWNS
  labels: tuple[str, ...] = ()
  if classifier is not None:
    nets[CLASSIFIER], owns = classifier, {**OWNS, CLASSIFIER: (CLASSIFIER,)}
    labels = tuple(LABELS[kind] for kind in classified)
  check_named("optimizers", optimizers, owns)
  # A schedule may start at 0 and rise, so that only the number 0 leaves these forwards out.
  identities = not is_off(identity)
  forward = functools.partial(_forward, _Nets(nets, bool(pool), identities, remat))
  weights = {"adversarial": adversarial, "cycle": cycle}
  weights |= {"identity": identity} if identities else {}
  weights |= {} if classifier is None else {"semantic": semantic}
  pools = {_pool_name(k): new_pool(pool, shape) for k in "ab"} if pool else {}
  objectives = {
    "translators": _translators_objective(forward, loss, weights),
    "discriminators": _discriminators_objective(forward, loss, regularizers or {}, pools),
  }
  if classifier is not None:
    objectives[CLASSIFIER] = _classifier_objective(forward, classified)
  translate = lambda name: functools.partial(_translate, nets[name], name)
  game = Game(
    init=functools.partial(_init, nets, ("a", "b", *labels)),
    samplers={
      name: Sampler(translate(name), source=a, target=b, back=f"{b}_to_{a}")
      for name, (a, b) in TRANSLATORS.items()
    },
    players={name: Player(owns[name], objectives[name], optimizers[name]) for name in owns},
    turns=(Turn(tuple(owns)),) if turns is None else turns,
    averages=averages or {},
    headline={
      "D": "discriminators/loss",
      "G": "translators/loss",
      "cycle a": "translators/cycle_a",
      "b": "translators/cycle_b",
    },
  )
  check_game(game)
  return game


class _Nets(NamedTuple):
  """The networks by name, and what their forward has beside translations and judgements."""

  nets: Mapping[str, nn.Module]
  pool: bool
  identity: bool
  remat: bool


def _translators_objective(
  forward: Forward, loss: AdversarialLoss, weights: Mapping[str, Weight]
) -> Objective:
  """Builds what the translators minimise: both are to fool, and to lead back."""
  # Against fresh fakes: gradients cannot pass through what is drawn from the pool.
  terms: dict[str, Callable[[str], TermLike]] = {
    "adversarial": lambda kind: lift(kind, adversarial_term(loss, "generator")),
    "cycle": lambda kind: _difference(f"cycle_{kind}"),
    "identity": lambda kind: _difference(f"identity_{kind}"),
    "semantic": lambda kind: _cross_entropy(f"translated_{kind}"),
  }
  weighted = {
    f"{name}_{kind}": (weight, terms[name](kind))
    for name, weight in weights.items()
    for kind in "ab"
  }
  return minimise(forward, weighted, player="translators")


def _discriminators_objective(
  forward: Forward, loss: AdversarialLoss, regularizers: Terms, pools: Mapping[str, PyTree]
) -> Objective:
  """Builds what the discriminators minimise, each on the fakes that it is shown."""
  of_each = {"adversarial": (1.0, adversarial_term(loss, "discriminator")), **regularizers}
  terms = {
    # "shown" are fakes out of the pool, so that D does not forget what translators did before.
    f"{name}_{k}": (weight, lift(f"shown_{k}", term))
    for k in "ab"
    for name, (weight, term) in of_each.items()
  }
  objective = minimise(forward, terms, player="discriminators", observe=_observe)
  # Each device has the pool of the global batch (see `from_pool`): any copy is the memory.
  joins = dict.fromkeys(pools, join_alike)
  return objective._replace(memory={**objective.memory, **pools}, join={**objective.join, **joins})


def _classifier_objective(forward: Forward, classified: Sequence[str]) -> Objective:
  """Builds what the classifier minimises: it learns the labels of real images."""
  terms = {f"classification_{k}": (1.0, _cross_entropy(f"real_{k}")) for k in classified}
  return minimise(forward, terms, player=CLASSIFIER)


def _pool_name(kind: str) -> str:
  return f"discriminators.pool_{kind}"


def _init(
  nets: Mapping[str, nn.Module], needed: Sequence[str], key: jax.Array, batch: Batch
) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  if missing := [name for name in needed if name not in batch]:
    raise ValueError(
      f"batch has {sorted(batch)}: expected {missing[0]!r} too; it has images a and b of each kind,"
      " and classes y and y_b of those that a classifier learns"
    )
  x = {k: jnp.zeros(batch[k].shape) for k in "ab"}
  if x["a"].shape != x["b"].shape:
    raise ValueError(f"images are {x['a'].shape[1:]} and {x['b'].shape[1:]}: expected one shape")
  keys = dict(zip(nets, jax.random.split(key, len(nets)), strict=True))
  initial = {}
  for name, (a, b) in TRANSLATORS.items():
    # Shapes alone are read: where networks start depends on the seed, and on no data.
    out, initial[name] = nets[name].init_with_output(keys[name], x[a], None, train=False)
    if jnp.shape(out) != x[b].shape:
      raise ValueError(f"{name} makes images {jnp.shape(out)[1:]}: expected {x[b].shape[1:]}")
  for k, name in DISCRIMINATORS.items():
    initial[name] = nets[name].init(keys[name], x[k], None, train=False)
  if CLASSIFIER in nets:
    initial[CLASSIFIER] = nets[CLASSIFIER].init(keys[CLASSIFIER], x["a"], None, train=False)
  return split_variables(initial)


def _translate(
  net: nn.Module, name: str, params: Params, carried: Carried, x: PyTree, labels: Any
) -> jax.Array:
  """Translates images in evaluation mode."""
  check_unconditional(labels)
  return sample_network(net, name, params, carried, x)


def _forward(
  of: _Nets, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Scene, Carried]:
  """Translates both kinds there and back, and judges them: one move's forward."""
  apply, stats = trained_networks(of.nets, params, carried, context, of.remat)
  real = {k: batch[k] for k in "ab"}
  fake = {b: apply(name, real[a]) for name, (a, b) in TRANSLATORS.items()}
  # Pairs (image, what it is to be like), whose difference the terms of the same name take.
  outputs = {f"cycle_{a}": (apply(f"{b}_to_{a}", fake[b]), real[a]) for a, b in ("ab", "ba")}
  if of.identity:
    outputs |= {f"identity_{b}": (apply(f"{a}_to_{b}", real[b]), real[b]) for a, b in ("ab", "ba")}
  if CLASSIFIER in of.nets:
    outputs |= _classes(functools.partial(apply, CLASSIFIER), real, fake, _labels(batch))
  new_carried: Carried = {}
  pairs = {}
  for k, name in DISCRIMINATORS.items():
    # What is kept for later moves has no gradient to the translators of this one.
    shown_fake = jax.lax.stop_gradient(fake[k])
    if of.pool:
      shown_fake, new_carried[_pool_name(k)] = from_pool(
        carried[_pool_name(k)], _pool_name(k), shown_fake, context
      )
    real_logits = apply(name, real[k])
    fakes = {
      k: (fake[k], apply(name, fake[k], keep=False)),
      # Statistics move by what D is trained on; the translators' look at D leaves them alone.
      f"shown_{k}": (shown_fake, apply(name, shown_fake)),
    }
    (translator,) = (t for t, (_, b) in TRANSLATORS.items() if b == k)
    discriminate = functools.partial(apply, name, keep=False)
    for pair, (x, fake_logits) in fakes.items():
      pairs[pair] = Match.of(
        context,
        params,
        real=real[k],
        fake=x,
        real_logits=real_logits,
        fake_logits=fake_logits,
        discriminator=functools.partial(_scores, discriminate),
        generator=functools.partial(apply, translator, keep=False),
        # What a translator is given stands where noise does in other games: terms of z are of it.
        latents=real[TRANSLATORS[translator][0]],
      )
  return Scene(pairs, outputs), {**stats, **new_carried}


def _labels(batch: Batch) -> dict[str, jax.Array]:
  """Returns classes [B] by kind, of the kinds that have labels."""
  return {k: batch[name] for k, name in LABELS.items() if name in batch}


def _classes(
  classify: Callable[..., jax.Array],
  real: Mapping[str, jax.Array],
  fake: Mapping[str, jax.Array],
  labels: Mapping[str, jax.Array],
) -> dict[str, PyTree]:
  """Computes pairs (logits of classes [B, K], classes that they are to have [B])."""
  read = {k: classify(x) for k, x in real.items()}
  pairs = {f"real_{k}": (read[k], y) for k, y in labels.items()}
  # Where an image has no label, what is read in it is to stay.
  classes = {k: labels[k] if k in labels else jnp.argmax(read[k], axis=-1) for k in real}
  # Its statistics are of the real images that it learns, not of translations.
  read_fake = functools.partial(classify, keep=False)
  return pairs | {f"translated_{b}": (read_fake(fake[b]), classes[a]) for a, b in ("ab", "ba")}


def _scores(
  discriminate: Callable[[jax.Array], jax.Array], x: jax.Array, kind: str = "real"
) -> jax.Array:
  """Computes logits [B], means over patches; there are no views, which the kind would matter to."""
  return per_example(discriminate(x))


def _difference(output: str) -> TermLike:
  """Builds the term of the mean absolute difference of two images, [B]."""

  def value(scene: Scene) -> jax.Array:
    translated, real = scene.outputs[output]
    return per_example(jnp.abs(translated - real))

  return stateless(value)


def _cross_entropy(output: str) -> TermLike:
  """Builds the term of the cross-entropy of classes, in nats, [B]."""
  return stateless(
    lambda scene: optax.softmax_cross_entropy_with_integer_labels(*scene.outputs[output])
  )


def _observe(scene: Scene, memory: PyTree) -> tuple[Metrics, PyTree]:
  """Computes mean logits of real images and of fresh fakes."""
  means = {
    f"logits_{which}_{k}": jnp.mean(getattr(scene.pairs[k], f"{which}_logits"))
    for k in "ab"
    for which in ("real", "fake")
  }
  return means, memory
