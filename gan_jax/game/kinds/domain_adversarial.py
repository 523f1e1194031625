"""Domain adaptation: features from which classes can be told, and domains cannot.

DANN, Ganin et al. 2016, arXiv:1505.07818. Examples of two domains pass a feature extractor. A label
predictor tells the classes of the source domain's, whose labels are known; a domain classifier
tells the domains apart, and the feature extractor is to prevent it. As each player differentiates
its own networks alone, a term of the negative domain loss is the paper's gradient reversal.

    adam = optax.adam(1e-3)
    game = domain_adversarial(
      extractor, predictor, domain_classifier,
      optimizers={"classifier": adam, "domain_classifier": adam},
    )
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.game.core import (
  Batch,
  Carried,
  Game,
  Metrics,
  Objective,
  Params,
  Player,
  PyTree,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables, train_network
from gan_jax.game.kinds.checks import check_named
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import minimax
from gan_jax.losses.objectives import Match, adversarial_term, minimise, stateless

DOMAINS = ("source", "target")
OWNS = {
  "classifier": ("feature_extractor", "label_predictor"),
  "domain_classifier": ("domain_classifier",),
}
AT_ONCE = (Turn(tuple(OWNS)),)  # one forward for both, as with the paper's gradient reversal layer


def domain_adversarial(
  feature_extractor: nn.Module,
  label_predictor: nn.Module,
  domain_classifier: nn.Module,
  *,
  optimizers: Mapping[str, optax.GradientTransformation],
  adaptation: Weight = 1.0,
  turns: tuple[Turn, ...] = AT_ONCE,
  remat: bool = False,
) -> Game:
  """Builds a game of a classifier of two domains and a classifier of domains.

  Its batches are {"source": [B, ...], "target": [B, ...], "y": int32 [B], classes of the source}.

  Args:
    feature_extractor: module called as `net(x, None, train=)`, to features [B, F].
    label_predictor: module called likewise on features, to logits [B, K] of classes.
    domain_classifier: module called likewise, to logits [B] that features are of the source.
    optimizers: optimizers of "classifier", which owns the first two networks, and of
      "domain_classifier".
    adaptation: weight λ of the negative domain loss; 0 is training on the source alone.
    turns: turns of both players, who move at once as published.
    remat: whether activations are recomputed for gradients.

  Returns:
    The game, which has no sampler, and predicts classes.

  Raises:
    ValueError: for optimizers of other players.
  """
  check_named("optimizers", optimizers, OWNS)
  nets = _Nets(feature_extractor, label_predictor, domain_classifier, remat)
  objectives = _objectives(functools.partial(_forward, nets), adaptation)
  game = Game(
    init=functools.partial(_init, nets),
    # Nothing is generated: `predict` is what the game is for.
    samplers={},
    players={name: Player(owns, objectives[name], optimizers[name]) for name, owns in OWNS.items()},
    turns=turns,
    headline={
      "C": "classifier/classification",
      "accuracy": "classifier/accuracy",
      "domain": "domain_classifier/accuracy",
    },
    predict=functools.partial(_predict, nets),
  )
  check_game(game)
  return game


def _objectives(forward: Callable[..., Any], adaptation: Weight) -> dict[str, Objective]:
  """Builds the objectives of both players, who want opposite things of the domains."""
  # -log D(source) - log(1 - D(target)): telling domains apart is telling real from fake.
  domains = adversarial_term(minimax, "discriminator")
  # The same loss with the other sign: ascent for whom the domain classifier descends.
  confusion = stateless(lambda match: -domains.value(match, ())[0])
  return {
    "classifier": minimise(
      forward,
      {"classification": (1.0, stateless(_cross_entropy)), "confusion": (adaptation, confusion)},
      player="classifier",
      observe=_observe_classes,
    ),
    "domain_classifier": minimise(
      forward, {"domain": (1.0, domains)}, player="domain_classifier", observe=_observe_domains
    ),
  }


class _Nets(NamedTuple):
  """The networks by name, and how they are called; see `domain_adversarial`."""

  feature_extractor: nn.Module
  label_predictor: nn.Module
  domain_classifier: nn.Module
  remat: bool


def _init(nets: _Nets, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  if missing := [name for name in (*DOMAINS, "y") if name not in batch]:
    raise ValueError(
      f"batch has {sorted(batch)}: expected {missing[0]!r} too; it has the examples of two domains"
      " and the labels y of the source"
    )
  keys, x = jax.random.split(key, 3), jnp.zeros(batch["source"].shape)
  initial = {}
  features, initial["feature_extractor"] = nets.feature_extractor.init_with_output(
    keys[0], x, None, train=False
  )
  for name, key in zip(("label_predictor", "domain_classifier"), keys[1:], strict=True):
    initial[name] = getattr(nets, name).init(key, features, None, train=False)
  return split_variables(initial)


def _forward(
  nets: _Nets, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Match, Carried]:
  """Computes features, classes and domains: a match of features of the source and the target."""
  stats = dict(carried)

  def apply(name: str, use: int, x: jax.Array, *, keep: bool = True) -> jax.Array:
    # By use, not by name: two of the networks are applied twice, each time with its dropout.
    key, net = jax.random.fold_in(context.key, use), getattr(nets, name)
    out, new = train_network(
      net, name, params[name], stats[name], x, None, key, context, nets.remat
    )
    # A term may apply a network again; only the forward of the move moves statistics.
    stats.update({name: new} if keep else {})
    return jnp.asarray(out, jnp.float32)

  # One domain after the other: batch norm has statistics of each, not of a mixture.
  source, target = (apply("feature_extractor", i, batch[k]) for i, k in enumerate(DOMAINS))
  match = Match.of(
    context,
    params,
    # A domain in the place of each kind: terms of a discriminator are then terms of domains.
    real=source,
    fake=target,
    real_logits=apply("domain_classifier", 2, source),
    fake_logits=apply("domain_classifier", 3, target),
    # With the key of the pass on the source: penalties see the dropout mask of these logits.
    discriminator=lambda x, kind="real": apply("domain_classifier", 2, x, keep=False),
    generator=functools.partial(apply, "feature_extractor", 1, keep=False),
    latents=batch["target"],
    # Of the source alone: those of the target are never seen in training.
    labels=batch["y"],
    real_outputs={"classes": apply("label_predictor", 4, source)},
  )
  # Of networks alone: `carried` has the memory of terms too, which is not the forward's.
  return match, {name: stats[name] for owned in OWNS.values() for name in owned}


def _cross_entropy(match: Match) -> jax.Array:
  """Computes the cross-entropy of the source's classes, [B]."""
  logits = match.real_outputs["classes"]
  return optax.softmax_cross_entropy_with_integer_labels(logits, match.labels)


def _observe_classes(match: Match, memory: PyTree) -> tuple[Metrics, PyTree]:
  """Computes the accuracy of the label predictor on the source."""
  right = jnp.argmax(match.real_outputs["classes"], axis=-1) == match.labels
  return {"classifier/accuracy": jnp.mean(right)}, memory


def _observe_domains(match: Match, memory: PyTree) -> tuple[Metrics, PyTree]:
  """Computes the accuracy of the domain classifier, 1/2 where domains cannot be told apart."""
  right = jnp.mean(match.real_logits > 0) + jnp.mean(match.fake_logits < 0)
  return {"domain_classifier/accuracy": right / 2}, memory


def _predict(nets: _Nets, params: Params, carried: Carried, x: PyTree, labels: Any) -> jax.Array:
  """Computes logits of classes, [n, K], in evaluation mode."""
  del labels
  features = sample_network(nets.feature_extractor, "feature_extractor", params, carried, x)
  return sample_network(nets.label_predictor, "label_predictor", params, carried, features)
