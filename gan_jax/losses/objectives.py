"""From the forward of a discriminator to the loss of a player.

A `Match` holds the outputs of one forward: real and fake examples and their logits. A term of a
player's loss is a function `match -> [B]`: an adversarial loss, a penalty, a consistency term.
`minimise` adds weighted terms up to an `Objective` and logs each of them by name. Where there are
several discriminators, their matches make a `Scene`, and `lift` makes a term see one of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from gan_jax.checks import is_integer, shown, takes
from gan_jax.game.core import (
  Carried,
  Clock,
  JoinRule,
  Metrics,
  Objective,
  Params,
  PyTree,
  StepContext,
)
from gan_jax.game.memory import join_alike, join_mean
from gan_jax.game.random import WHOLE_BATCH, AxisName, Microbatch, example_places, named_key
from gan_jax.game.schedules import Weight, is_weight, value_at
from gan_jax.losses.adversarial import AdversarialLoss

OBSERVED = "observed"  # name of the memory of a player's `Observe` function


class Match(NamedTuple):
  """The outputs of one forward of the discriminator, and functions to apply the networks again.

  B is this device's share of the batch; `mean` and `gather` are over all of it.

  Attributes:
    real: [B, ...] real examples before all views of the discriminator but those that pack.
    fake: [B, ...] fakes, likewise.
    real_logits: [B] float32, or [B, ...] of a discriminator that judges patches.
    fake_logits: likewise.
    discriminator: x [B, ...], seen as real examples are, or with "fake" as fakes are -> logits [B],
      means over patches; draws of views, labels, statistics and dropout are closed over.
    generator: z -> fakes such as `fake`; labels and statistics closed over.
    latents: latents z of `fake`.
    params: parameters of the player's own networks, by network.
    keys: [B] typed PRNG keys, one per example, of this term alone.
    clock: clock before this round.
    axis_name: mapped axis that splits the batch, or None.
    microbatch: microbatch that these examples form, where they are not the whole batch.
    labels: labels of real examples; None of an unconditional game.
    real_outputs: what the discriminator returns of real examples beside logits, by name.
    fake_outputs: likewise of fakes.
    fake_labels: labels of fakes; None of an unconditional game.
    encoders: x [B, ...] -> outputs of each encoder, by its name; closed over as `discriminator`.
    stages: "mapping", z -> w, and "synthesis", w -> fakes, with the draws of `generator`; {} of a
      generator that has no such methods.
    discriminator_outputs: as `discriminator`, to all outputs by name, "logits" among them; None of
      a forward that has none.
  """

  real: jax.Array
  fake: jax.Array
  real_logits: jax.Array
  fake_logits: jax.Array
  discriminator: Callable[..., jax.Array]
  generator: Callable[[jax.Array], jax.Array]
  latents: jax.Array
  params: Params
  keys: jax.Array
  clock: Clock
  axis_name: AxisName = None
  microbatch: Microbatch = WHOLE_BATCH
  labels: PyTree = None
  real_outputs: Mapping[str, PyTree] = {}
  fake_outputs: Mapping[str, PyTree] = {}
  fake_labels: PyTree = None
  encoders: Mapping[str, Callable[[jax.Array], jax.Array]] = {}
  stages: Mapping[str, Callable[[jax.Array], jax.Array]] = {}
  discriminator_outputs: Callable[..., Mapping[str, jax.Array]] | None = None

  @property
  def round(self) -> jax.Array | int:
    """Complete rounds before this one, an int32 scalar."""
    return self.clock.round

  @property
  def size(self) -> int:
    """Number of examples that the discriminator takes."""
    return len(self.fake_logits)

  @property
  def global_size(self) -> int:
    """Number of examples of the global batch that the discriminator takes."""
    devices = 1 if self.axis_name is None else jax.lax.psum(1, self.axis_name)
    return self.microbatch.count * devices * self.size

  @property
  def places(self) -> jax.Array:
    """Places of these examples in the global batch, int32 [B]."""
    return example_places(self.size, self.axis_name, self.microbatch)

  @property
  def real_scores(self) -> jax.Array:
    """Logits of real examples, [B], means over patches."""
    return per_example(self.real_logits)

  @property
  def fake_scores(self) -> jax.Array:
    """Logits of fakes, [B], means over patches."""
    return per_example(self.fake_logits)

  @classmethod
  def of(cls, context: StepContext, params: Params, **outputs: Any) -> Self:
    """Builds the match of a move.

    Args:
      context: context of the move.
      params: parameters of all networks.
      **outputs: what the forward of the move has computed, by name of an attribute.

    Returns:
      The match, with the keys, the clock and the share of the batch that the context says.
    """
    # By name: `fold_in` of places alone gives the keys that a forward has split off the same key.
    key = named_key(context.key, "match")
    return cls(
      **outputs,
      params=params,
      keys=context.example_keys(key, len(outputs["fake"])),
      clock=context.clock,
      axis_name=context.axis_name,
      microbatch=context.microbatch,
    )

  def for_term(self, params: Params, keys: jax.Array) -> Self:
    """Returns the match as a term of a player sees it."""
    return self._replace(params=params, keys=keys)

  def mean(self, x: jax.Array) -> jax.Array:
    """Averages over axis 0 of the global batch."""
    self._require_all()
    return self.microbatch_mean(x)

  def microbatch_mean(self, x: jax.Array) -> jax.Array:
    """Averages over axis 0 of the microbatch on all devices; `mean` is the mean of these."""
    local = jnp.mean(x, axis=0)
    return local if self.axis_name is None else jax.lax.pmean(local, self.axis_name)

  def gather(self, x: jax.Array) -> jax.Array:
    """Concatenates all devices' shares along axis 0 to the global batch."""
    self._require_all()
    if self.axis_name is None:
      return x
    return jax.lax.all_gather(x, self.axis_name, tiled=True)

  def _require_all(self) -> None:
    if self.microbatch.count > 1:
      raise ValueError(
        "a term or loss of this game looks across the batch (as relativistic averages, lecam and "
        f"dragan do), which is seen in {self.microbatch.count} microbatches: set microbatches = 1"
      )


class Scene(NamedTuple):
  """The matches of several discriminators in one forward.

  Attributes:
    pairs: matches, by name.
    outputs: further outputs of the forward that terms are of, by name: leaves [B, ...].
  """

  pairs: Mapping[str, Match]
  outputs: Mapping[str, PyTree] = {}

  @property
  def size(self) -> int:
    """Number of examples of each pair."""
    return next(iter(self.pairs.values())).size

  def for_term(self, params: Params, keys: jax.Array) -> Self:
    """Returns the scene as a term of a player sees it."""
    return self._replace(pairs={k: pair.for_term(params, keys) for k, pair in self.pairs.items()})


class Term(NamedTuple):
  """A term of a loss, its dependencies, and its memory from move to move.

  Attributes:
    value: (match or scene, memory) -> ([B], memory).
    memory: initial memory, a pytree of arrays; kept in `State.carried`.
    shown: (values [B], new memory) -> logged scalar.
    uses_real: whether the value depends on real data; a player with such a term consumes
      minibatches of its own.
    couples: whether the value depends on the whole batch, by `Match.mean` or `Match.gather`. Its
      memory is then the same on all devices.
    join: rule by which memories of several devices or microbatches become one, such as
      `game.join_mean`; None without memory, or if it couples.
    metrics: new memory -> further logged scalars, by name.
  """

  value: Callable[[Any, PyTree], tuple[jax.Array, PyTree]]
  memory: PyTree = ()
  shown: Callable[[jax.Array, PyTree], jax.Array] = lambda values, memory: jnp.mean(values)
  uses_real: bool = True
  couples: bool = False
  join: JoinRule | None = None
  metrics: Callable[[PyTree], Metrics] = lambda memory: {}


Observe = Callable[[Any, PyTree], tuple[Metrics, PyTree]]  # of a match or a scene
TermLike = Term | Callable[[Any], jax.Array]


def stateless(
  value: Callable[[Any], jax.Array], *, uses_real: bool = True, couples: bool = False
) -> Term:
  """Builds a term of a function of the match alone; see `Term` for the options."""
  return Term(lambda match, memory: (value(match), memory), uses_real=uses_real, couples=couples)


def as_term(term: TermLike) -> Term:
  """Converts a function of the match to a term, or raises a ValueError."""
  if isinstance(term, Term):
    return term
  if not takes(term, "match"):
    hint = f": call it, {term.__name__}(...)" if hasattr(term, "__name__") else ""
    raise ValueError(
      f"expected a term, which is a function of the match or a Term, got {shown(term)}{hint}"
    )
  return stateless(term)


def lift(pair: str, term: TermLike) -> Term:
  """Builds the term of a scene that is a term of one of its pairs.

  Args:
    pair: name of the pair.
    term: term of a match.
  """
  inner = as_term(term)
  return inner._replace(value=lambda scene, memory: inner.value(scene.pairs[pair], memory))


def per_example(x: jax.Array) -> jax.Array:
  """Averages over all axes but the first: [B, ...] -> [B]."""
  return x if x.ndim == 1 else jnp.mean(x.reshape(len(x), -1), axis=1)


def unit(x: jax.Array) -> jax.Array:
  """Normalises vectors [..., d]; one of zeros stays, with a finite slope."""
  return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x**2, axis=-1, keepdims=True), 1e-8**2))


def beside(scale: jax.Array, x: jax.Array) -> jax.Array:
  """Reshapes numbers [B] to be multiplied with x [B, ...]."""
  return scale.reshape(scale.shape + (1,) * (x.ndim - 1))


def adversarial_term(loss: AdversarialLoss, player: str) -> Term:
  """Builds the term of one side of an adversarial loss.

  Args:
    loss: loss of both players.
    player: player whose side it is, "discriminator" or "generator".
  """
  side = getattr(loss, player)
  if isinstance(side, Term):
    return side
  return stateless(
    # A loss is of each patch by itself; an example's is the mean of them.
    lambda match: per_example(side(*logits_for(loss, match))),
    uses_real=player == "discriminator" or loss.uses_real,
    couples=loss.couples,
  )


def logits_for(loss: AdversarialLoss, match: Match) -> tuple[jax.Array, jax.Array]:
  """Returns the logits of a loss, [B, ...], or the global batch's if it couples examples."""
  pair = match.real_logits, match.fake_logits
  return (match.gather(pair[0]), match.gather(pair[1])) if loss.couples else pair


def every(rounds: int, term: TermLike) -> Term:
  """Applies a term lazily: every k rounds, with weight k (StyleGAN2, Karras et al. 2019).

  arXiv:1912.04958. It is an economy, not the same game. Under plain gradient descent the term moves
  parameters as far as an eager one. Adam and its like divide by the root mean square of gradients,
  which is √k times as large where the term dominates: there parameters move at about 1/√k of the
  speed (.24 for k = 16 and betas 0, .99), and a loss that pulls the other way is weakened as much.
  R3GAN (Huang et al. 2025, arXiv:2501.05441) reports that lazy R1 + R2 fails on multi-modal toys.

  Args:
    rounds: number k >= 1 of rounds between applications.
    term: term to apply.

  Returns:
    The lazy term. Its memory moves only when it is applied, and its value then, without the
    weight k, is logged until it is applied again.

  Raises:
    ValueError: if k < 1.
  """
  if not is_integer(rounds) or rounds < 1:
    raise ValueError(f"a lazy term is applied every k >= 1 rounds, got k = {shown(rounds)}")
  inner = as_term(term)

  def value(match: Match, memory: PyTree) -> tuple[jax.Array, PyTree]:
    def apply(memory: PyTree) -> tuple[jax.Array, PyTree]:
      values, new_memory = inner.value(match, memory["term"])
      return rounds * values, {"term": new_memory, "last": match.microbatch_mean(values)}

    shapes = jax.eval_shape(apply, memory)
    skip = lambda memory: (jnp.zeros(shapes[0].shape, shapes[0].dtype), memory)
    return jax.lax.cond(match.round % rounds == 0, apply, skip, memory)

  inner_join = _join(inner)
  join = lambda stacked: {
    "term": inner_join(stacked["term"]) if inner_join else None,
    "last": join_mean(stacked["last"]),
  }
  return inner._replace(
    value=value,
    memory={"term": inner.memory, "last": jnp.zeros(())},
    shown=lambda values, memory: memory["last"],
    metrics=lambda memory: inner.metrics(memory["term"]),
    join=join if inner_join else None,
  )


def minimise(
  forward: Callable[..., tuple[Match | Scene, Carried]],
  terms: Mapping[str, tuple[Weight, TermLike]],
  *,
  player: str,
  observe: Observe = lambda match, memory: ({}, memory),
  observed: PyTree = (),
) -> Objective:
  """Builds the objective of a player, the sum of weighted terms.

  Args:
    forward: (params, carried, batch, context) -> (match or scene, new statistics by network).
    terms: name -> (weight, term). A term is per example; it is averaged here and nowhere else. It
      is logged as "player/name" before its weight.
    player: name of the player; prefix of metrics and of memory.
    observe: (match, memory) -> (further metrics, logged under their own names; new memory).
    observed: initial memory of `observe`, in `State.carried`, joined by its mean; () for none.

  Raises:
    ValueError: if a weight or a term is of another kind.
  """
  weighted = {name: _weighted(f"{player}/{name}", pair) for name, pair in terms.items()}
  with_memory = {name for name, (_, term) in weighted.items() if jax.tree.leaves(term.memory)}
  memory = {f"{player}.{name}": weighted[name][1].memory for name in with_memory}
  if jax.tree.leaves(observed):
    memory[f"{player}.{OBSERVED}"] = observed
  joins = {f"{player}.{name}": _join(weighted[name][1]) for name in with_memory}
  joins[f"{player}.{OBSERVED}"] = join_mean
  join = {name: how for name, how in joins.items() if how is not None}

  def value(
    match: Match | Scene, params: Params, carried: Carried, context: StepContext
  ) -> tuple[jax.Array, tuple[Carried, Metrics]]:
    loss = jnp.zeros(())
    new_carried: Carried = {}
    metrics, observed = observe(match, carried.get(f"{player}.{OBSERVED}", ()))
    if f"{player}.{OBSERVED}" in memory:
      new_carried[f"{player}.{OBSERVED}"] = observed
    for name, (weight, term) in weighted.items():
      # The key is a term's own: adding another term does not change what this one draws.
      key = named_key(context.key, name)
      keys = context.example_keys(key, match.size)
      if term.couples and context.microbatch.count > 1:
        raise ValueError(
          f"{player}/{name} looks across the batch, which is seen in {context.microbatch.count} "
          "microbatches: set microbatches = 1"
        )
      own_match = match.for_term(params, keys)
      values, new_memory = term.value(own_match, carried.get(f"{player}.{name}", ()))
      if not hasattr(values, "dtype"):
        raise ValueError(
          f"{player}/{name} returned {shown(values)}: expected an array [B]; call what makes a term"
        )
      if name in with_memory:
        new_carried[f"{player}.{name}"] = new_memory
      metrics[f"{player}/{name}"] = term.shown(values, new_memory)
      metrics |= {f"{player}/{key}": value for key, value in term.metrics(new_memory).items()}
      loss += value_at(weight, context.clock) * jnp.mean(values)
    return loss, (new_carried, metrics | {f"{player}/loss": loss})

  uses_real = any(term.uses_real for _, term in weighted.values())
  return Objective(forward, value, memory, join, uses_real)


def _join(term: Term) -> JoinRule | None:
  """Returns the rule by which the memory of a term joins, if there is one."""
  joinable = term.couples or not jax.tree.leaves(term.memory)
  return term.join or (join_alike if joinable else None)


def _weighted(name: str, pair: Any) -> tuple[Weight, Term]:
  """Checks one of the `terms` of `minimise`."""
  if not isinstance(pair, tuple | list) or isinstance(pair, Term) or len(pair) != 2:
    raise ValueError(f"{name} is {shown(pair)}: expected (weight, term), such as (1.0, term)")
  weight, term = pair
  if not is_weight(weight):
    raise ValueError(
      f"the weight of {name} is {shown(weight)}: expected a number, or a schedule, "
      "such as schedules.by_rounds(optax.linear_schedule(1.0, 0.0, 1000))"
    )
  try:
    return weight, as_term(term)
  except ValueError as error:
    raise ValueError(f"{name}: {error}") from error
