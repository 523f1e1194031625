"""The game of a generator that carries noise to data, whatever its moves judge.

Time 0 is data and 1 is noise of N(0, I), of the data's shape.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides.forwards import Apply, forward_of
from gan_jax.game.kinds.sides.monitors import headline
from gan_jax.game.kinds.sides.players import OWNS, Terms, players
from gan_jax.game.latents import truncate_normal
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.one_step.courses import sample_flow


def flow_game(
  nets: Mapping[str, nn.Module],
  outputs: Callable[[Apply, Batch, StepContext], Mapping[str, Any]],
  terms: Mapping[str, Terms],
  *,
  shape: tuple[int, ...],
  times: int,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  sampled: Sequence[int],
  turns: tuple[Turn, ...],
  averages: Mapping[str, Decay] | None,
  remat: bool,
  heun: bool = False,
  velocity: bool = True,
) -> Game:
  """Builds the game of a generator called as `net((x, *times), None, train=)`.

  Args:
    nets: "generator", and "discriminator", called likewise with one time.
    outputs: fields of a move's match; see `forwards.forward_of`.
    terms: terms of the players' losses.
    shape: shape of an example.
    times: number of the times that the generator takes.
    loss: adversarial loss.
    optimizers: optimizers by player.
    sampled: calls of the generator, of each sampler.
    turns: turns of both players.
    averages: moving averages by network.
    remat: whether activations are recomputed for gradients.
    heun: whether samplers make steps of Heun's method.
    velocity: whether the generator's output is a velocity.

  Returns:
    The game. Its samplers are "steps_1" and so on.

  Raises:
    ValueError: for arguments of another kind.
  """
  for name, net in nets.items():
    checks.check_network(name, net, "inputs", conditional=False)
  checks.check_averages(averages)
  least = 1 + heun
  if not sampled or not all(is_integer(count) and count >= least for count in sampled):
    raise ValueError(f"sampled is {shown(sampled)}: expected numbers of steps of at least {least}")
  draw = lambda key, n: noise(example_keys(key, n), shape)
  carry = functools.partial(sample_flow, velocity=velocity, heun=heun)
  generate = functools.partial(_generate, nets["generator"], times)
  game = Game(
    init=functools.partial(_init, nets, shape, times),
    samplers={
      f"steps_{n}": Sampler(
        functools.partial(generate, functools.partial(carry, steps=n)), draw, truncate_normal
      )
      for n in sampled
    },
    players=players(forward_of(nets, outputs, remat), loss, terms, OWNS, optimizers),
    turns=turns,
    averages=averages or {},
    headline={**headline(loss), "transport": "generator/transport"},
    monitored="generator",
  )
  check_game(game)
  return game


def noise(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Samples noise [B, *shape], of a key for each example."""
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def keys_of(batch: Batch, context: StepContext) -> Callable[[str], jax.Array]:
  """Builds the keys [B] of each use: with one for all, times and noise would be drawn together."""
  checks.check_batch(batch, conditional=False)
  return lambda use: context.example_keys(named_key(context.key, use), len(batch["x"]))


def _init(
  nets: Mapping[str, nn.Module], shape: tuple[int, ...], times: int, key: jax.Array, batch: Batch
) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  checks.check_batch(batch, conditional=False)
  x = jnp.zeros(batch["x"].shape)
  if x.shape[1:] != tuple(shape):
    raise ValueError(f"shape is {shown(shape)}, and the data have {x.shape[1:]}: set it to theirs")
  g_key, d_key = jax.random.split(key)
  given = (x, *[jnp.zeros(len(x))] * times)
  output, generator = checks.start("generator", nets["generator"], g_key, given)
  checks.check_fakes(output, x)
  logits, discriminator = checks.start("discriminator", nets["discriminator"], d_key, given[:2])
  checks.check_logits(logits, x)
  return split_variables({"generator": generator, "discriminator": discriminator})


def _generate(
  net: nn.Module,
  times: int,
  carry: Callable[..., jax.Array],
  params: Params,
  carried: Carried,
  z: PyTree,
  labels: Any,
) -> jax.Array:
  """Carries noise to examples in evaluation mode."""
  checks.check_unconditional(labels)
  go = lambda x, *given: sample_network(net, "generator", params, carried, (x, *given[:times]))
  return carry(go, z)
