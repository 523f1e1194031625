"""From what the discriminator saw to what a player minimises.

A `Match` is what came of one look: real and fake examples and their logits. A term of a player's
loss is a function of it, `match -> [B]`: an adversarial loss, a penalty, a consistency term.
`minimise` adds weighted terms up to an `Objective` and logs each of them by name.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.checks import is_number, is_whole, shown, takes
from gan_jax.game.core import (
  Carried,
  Join,
  Metrics,
  Objective,
  Params,
  PyTree,
  StepContext,
  join_alike,
  join_mean,
)
from gan_jax.game.random import WHOLE_BATCH, AxisName, Microbatch
from gan_jax.losses.adversarial import AdversarialLoss

OBSERVED = "observed"  # name of the memory of what is observed of a player's match


class Match(NamedTuple):
  """What the discriminator saw, and the means to look again.

  B is this device's share of the batch; `mean` and `gather` speak of all of it.

  Attributes:
    real: [B, ...] real examples, as the discriminator saw them (packed, if it is packed).
    fake: [B, ...] fakes, likewise.
    real_logits: [B] float32.
    fake_logits: [B] float32.
    discriminator: x [B, ...] -> logits [B]; labels, statistics and dropout closed over.
    generator: z -> fakes as the discriminator sees them; labels and statistics closed over.
    latents: z that `fake` was made from.
    params: parameters of the networks that the player of this term owns, by network.
    keys: [B] typed PRNG keys, one per example, this term's own.
    round: int32 scalar, complete rounds before this one.
    axis_name: mapped axis that splits the batch, or None.
    microbatch: microbatch that these examples form, where they are not the whole batch.
  """

  real: jax.Array
  fake: jax.Array
  real_logits: jax.Array
  fake_logits: jax.Array
  discriminator: Callable[[jax.Array], jax.Array]
  generator: Callable[[jax.Array], jax.Array]
  latents: jax.Array
  params: Params
  keys: jax.Array
  round: jax.Array
  axis_name: AxisName = None
  microbatch: Microbatch = WHOLE_BATCH

  def mean(self, x: jax.Array) -> jax.Array:
    """Averages over axis 0 of the global batch."""
    self._require_all()
    return self.seen_mean(x)

  def seen_mean(self, x: jax.Array) -> jax.Array:
    """Averages over axis 0 of what all devices look at now; their mean over parts is `mean`'s."""
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


class Term(NamedTuple):
  """A term of a loss, what it looks at, and what it remembers from move to move.

  Attributes:
    value: (match, memory) -> ([B], memory).
    memory: what it remembers at first, a pytree of arrays; kept in `State.carried`.
    shown: (values [B], memory after) -> what is logged.
    uses_real: whether its value depends on real data; a player that has such a term is given
      minibatches of its own.
    couples: whether it looks across the batch, by `Match.mean` or `Match.gather`. Its memory is
      then the same on all devices.
    join: how memory that several devices or microbatches made of their own examples becomes one,
      such as `game.join_mean`; None where there is none, or it couples.
  """

  value: Callable[[Match, PyTree], tuple[jax.Array, PyTree]]
  memory: PyTree = ()
  shown: Callable[[jax.Array, PyTree], jax.Array] = lambda values, memory: jnp.mean(values)
  uses_real: bool = True
  couples: bool = False
  join: Join | None = None


Observe = Callable[[Match, PyTree], tuple[Metrics, PyTree]]
Weight = float | Callable[[jax.Array], jax.Array]  # a number, or a schedule over rounds
TermLike = Term | Callable[[Match], jax.Array]


def stateless(
  value: Callable[[Match], jax.Array], *, uses_real: bool = True, couples: bool = False
) -> Term:
  """Makes a term of a function of the match alone; see `Term` for what it declares."""
  return Term(lambda match, memory: (value(match), memory), uses_real=uses_real, couples=couples)


def as_term(term: TermLike) -> Term:
  """Makes a term of anything that can be one; refuses the rest, such as a factory not called."""
  if isinstance(term, Term):
    return term
  if not takes(term, "match"):
    hint = f": call it, {term.__name__}(...)" if hasattr(term, "__name__") else ""
    raise ValueError(
      f"expected a term, which is a function of the match or a Term, got {shown(term)}{hint}"
    )
  return stateless(term)


def adversarial(loss: AdversarialLoss, player: str) -> Term:
  """Makes a term of one side of an adversarial loss.

  Args:
    loss: of both players.
    player: "discriminator" or "generator", whose side it is.

  Returns:
    The term.
  """
  side = getattr(loss, player)
  return stateless(
    lambda match: side(*logits_for(loss, match)),
    uses_real=player == "discriminator" or loss.uses_real,
    couples=loss.couples,
  )


def logits_for(loss: AdversarialLoss, match: Match) -> tuple[jax.Array, jax.Array]:
  """Picks the logits that a loss has to see, [B] or the global batch's if it couples examples."""
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
    rounds: k >= 1.
    term: the term.

  Returns:
    The lazy term. Its memory moves only when it is applied, and what it was then, without the
    weight k, is logged until it is applied again.

  Raises:
    ValueError: if k < 1.
  """
  if not is_whole(rounds) or rounds < 1:
    raise ValueError(f"a lazy term is applied every k >= 1 rounds, got k = {shown(rounds)}")
  inner = as_term(term)

  def value(match: Match, memory: PyTree) -> tuple[jax.Array, PyTree]:
    def apply(memory: PyTree) -> tuple[jax.Array, PyTree]:
      values, after = inner.value(match, memory["term"])
      return rounds * values, {"term": after, "last": match.seen_mean(values)}

    shapes = jax.eval_shape(apply, memory)
    skip = lambda memory: (jnp.zeros(shapes[0].shape, shapes[0].dtype), memory)
    return jax.lax.cond(match.round % rounds == 0, apply, skip, memory)

  inside = _join(inner)
  join = lambda stacked: {
    "term": inside(stacked["term"]) if inside else None,
    "last": join_mean(stacked["last"]),
  }
  return inner._replace(
    value=value,
    memory={"term": inner.memory, "last": jnp.zeros(())},
    shown=lambda values, memory: memory["last"],
    join=join if inside else None,
  )


def is_weight(value: Any, least: float = -math.inf) -> bool:
  """Tells a finite number that is not below `least`, or a schedule over rounds."""
  is_schedule = not isinstance(value, type) and takes(value, "round")
  return is_schedule or is_number(value, lambda x: x >= least)


def minimise(
  forward: Callable[..., tuple[Match, Carried]],
  terms: Mapping[str, tuple[Weight, TermLike]],
  *,
  player: str,
  observe: Observe = lambda match, memory: ({}, memory),
  observed: PyTree = (),
) -> Objective:
  """Adds weighted terms up to what a player minimises.

  Args:
    forward: (params, carried, batch, context) -> (match, new statistics by network).
    terms: name -> (weight, term). A term is per example; it is averaged here and nowhere else. It
      is logged as "player/name" before its weight.
    player: whose objective this is; prefix of what is logged and of memory.
    observe: (match, memory) -> (further metrics, logged under the names it gives; memory).
    observed: what `observe` remembers at first, kept in `State.carried`, by the mean over parts of
      a batch; () for nothing.

  Returns:
    The objective.

  Raises:
    ValueError: for what is no weight or no term.
  """
  weighted = {name: _weighted(f"{player}/{name}", pair) for name, pair in terms.items()}
  remembers = {name for name, (_, term) in weighted.items() if jax.tree.leaves(term.memory)}
  memory = {f"{player}.{name}": weighted[name][1].memory for name in remembers}
  if jax.tree.leaves(observed):
    memory[f"{player}.{OBSERVED}"] = observed
  hows = {f"{player}.{name}": _join(weighted[name][1]) for name in remembers}
  hows[f"{player}.{OBSERVED}"] = join_mean
  join = {name: how for name, how in hows.items() if how is not None}

  def value(
    match: Match, params: Params, carried: Carried, context: StepContext
  ) -> tuple[jax.Array, tuple[Carried, Metrics]]:
    loss = jnp.zeros(())
    new_carried: Carried = {}
    metrics, after = observe(match, carried.get(f"{player}.{OBSERVED}", ()))
    if f"{player}.{OBSERVED}" in memory:
      new_carried[f"{player}.{OBSERVED}"] = after
    for name, (weight, term) in weighted.items():
      # The key is a term's own: adding another term does not change what this one draws.
      key = jax.random.fold_in(context.key, zlib.crc32(name.encode()))
      keys = context.example_keys(key, len(match.fake_logits))
      if term.couples and context.microbatch.count > 1:
        raise ValueError(
          f"{player}/{name} looks across the batch, which is seen in {context.microbatch.count} "
          "microbatches: set microbatches = 1"
        )
      seen = match._replace(params=params, keys=keys)
      values, after = term.value(seen, carried.get(f"{player}.{name}", ()))
      if not hasattr(values, "dtype"):
        raise ValueError(
          f"{player}/{name} returned {shown(values)}: expected an array [B]; call what makes a term"
        )
      if name in remembers:
        new_carried[f"{player}.{name}"] = after
      metrics[f"{player}/{name}"] = term.shown(values, after)
      loss += (weight(context.round) if callable(weight) else weight) * jnp.mean(values)
    return loss, (new_carried, metrics | {f"{player}/loss": loss})

  uses_real = any(term.uses_real for _, term in weighted.values())
  return Objective(forward, value, memory, join, uses_real)


def _join(term: Term) -> Join | None:
  """Says how a term's memory joins, if it is known."""
  alike = term.couples or not jax.tree.leaves(term.memory)
  return term.join or (join_alike if alike else None)


def _weighted(name: str, pair: Any) -> tuple[Weight, Term]:
  """Checks one of the `terms` of `minimise`."""
  if not isinstance(pair, tuple | list) or isinstance(pair, Term) or len(pair) != 2:
    raise ValueError(f"{name} is {shown(pair)}: expected (weight, term), such as (1.0, term)")
  weight, term = pair
  if not is_weight(weight):
    raise ValueError(
      f"the weight of {name} is {shown(weight)}: expected a number, or a schedule over rounds"
    )
  try:
    return weight, as_term(term)
  except ValueError as error:
    raise ValueError(f"{name}: {error}") from error
