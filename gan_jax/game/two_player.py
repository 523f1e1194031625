"""Games made of networks, losses and optimizers: the only place where they are wired together.

A game is built once, outside any jit, from values: networks are linen modules, a loss is an
`AdversarialLoss`, a penalty is a function of a `Match`, an optimizer is optax's.

    game = two_player(
      generator, discriminator,
      loss=losses.non_saturating,
      optimizers={"discriminator": optax.adam(2e-4, b1=0.5), "generator": optax.adam(2e-4, b1=0.5)},
      latent=normal(64),
      regularizers={"r1": (1.0, regularizers.r1)},
    )
"""

import contextlib
import functools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.errors import ScopeParamNotFoundError, ScopeParamShapeError

from gan_jax.checks import is_whole, shown, takes
from gan_jax.game import monitors
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Params,
  Player,
  PyTree,
  StepContext,
  Turn,
  check_game,
)
from gan_jax.game.latents import Latent
from gan_jax.game.random import example_keys
from gan_jax.game.turns import alternating
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import (
  Match,
  Observe,
  TermLike,
  Weight,
  adversarial,
  is_weight,
  minimise,
)

Terms = Mapping[str, tuple[Weight, TermLike]]


def two_player(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  latent: Latent,
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  conditional: bool = False,
  packing: int = 1,
  joint: bool = False,
  instance_noise: Weight = 0.0,
  remat: bool = False,
) -> Game:
  """Wires a generator and a discriminator into a game.

  Args:
    generator: module called as `net(z, y, train=)`, to examples.
    discriminator: module called as `net(x, y, train=)`, to logits [B].
    loss: both players' adversarial loss.
    optimizers: for "discriminator" and "generator".
    latent: what the generator starts from.
    regularizers: the discriminator's, name -> (weight, term).
    generator_regularizers: the generator's, likewise.
    turns: `alternating(k)`, `simultaneous()`, or any turns of "discriminator" and "generator".
    averages: moving averages by network, `{"generator": decay(0.999)}`.
    conditional: whether batches hold labels "y" that both networks get. Fakes take the labels of
      the real examples that they are matched with.
    packing: m, how many examples the discriminator sees at once, stacked on the channel axis
      (PacGAN, Lin et al. 2018, arXiv:1712.04086). The batch size must be a multiple of m.
    joint: whether the discriminator sees real and fake examples in one batch, which shares batch
      statistics between them; otherwise they go through one after the other.
    instance_noise: standard deviation, in units of the data, of Gaussian noise that is added to
      all the discriminator sees, real and fake; a number, or a schedule over rounds (Sønderby et
      al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862).
    remat: whether networks are run again for their gradients, which takes time, instead of keeping
      their activations, which take memory.

  Returns:
    The game.

  Raises:
    ValueError: for combinations that have no meaning, and for what is not what it should be.
  """
  _check_network("generator", generator, "z", conditional)
  _check_network("discriminator", discriminator, "x", conditional)
  check_loss(loss)
  _check_optimizers(optimizers)
  _check_latent(latent)
  for name, terms in (("", regularizers), ("generator_", generator_regularizers)):
    _check_terms(f"{name}regularizers", terms)
  _check_averages(averages)
  _check_noise(instance_noise)
  if not is_whole(packing) or packing < 1 or (packing > 1 and conditional):
    raise ValueError(
      f"packing = {shown(packing)}: expected m >= 1, and m = 1 for a conditional game, "
      "where the packed examples would have m different labels"
    )
  noise = None if isinstance(instance_noise, int | float) and not instance_noise else instance_noise
  nets = _Networks(generator, discriminator, latent, conditional, packing, joint, noise, remat)
  look = functools.partial(_look, nets)  # one function for both, so a joint move looks once

  def player(name: str, extra: Terms | None, observe: Observe, observed: PyTree = ()) -> Player:
    terms = {"adversarial": (1.0, adversarial(loss, name)), **(extra or {})}
    objective = minimise(look, terms, player=name, observe=observe, observed=observed)
    # Labels are real data, and batch statistics that real and fake examples share show them.
    uses_data = objective.uses_real or conditional or joint
    return Player((name,), objective, optimizers[name], uses_data)

  game = Game(
    init=functools.partial(_init, nets),
    prior=lambda key, n: latent(example_keys(key, n)),
    generate=functools.partial(_generate, nets),
    players={
      "discriminator": player(
        "discriminator",
        regularizers,
        functools.partial(monitors.observe_discriminator, loss),
        observed=monitors.UNMEASURED,
      ),
      "generator": player(
        "generator", generator_regularizers, functools.partial(monitors.observe_generator, loss)
      ),
    },
    turns=turns,
    averages=averages or {},
  )
  check_game(game)
  return game


class _Networks(NamedTuple):
  """The networks of a two-player game and how they are called; see `two_player`."""

  generator: nn.Module
  discriminator: nn.Module
  latent: Latent
  conditional: bool
  packing: int
  joint: bool
  instance_noise: Weight | None
  remat: bool

  def labels(self, batch: Batch) -> jax.Array | None:
    return batch["y"] if self.conditional else None


def _init(nets: _Networks, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Makes parameters and statistics for the shapes of a minibatch."""
  _check_batch(nets, batch)
  z_key, g_key, d_key = jax.random.split(key, 3)
  x = _pack(jnp.zeros(batch["x"].shape), nets.packing)
  y = jnp.zeros(batch["y"].shape, jnp.int32) if nets.conditional else None
  z = nets.latent(example_keys(z_key, batch["x"].shape[0]))
  try:
    fake, generator = nets.generator.init_with_output(g_key, z, y, train=False)
    _check_fakes(_pack(fake, nets.packing), x)
  except Exception:
    _check_not_exchanged(nets, z, x, y)
    raise
  logits, discriminator = nets.discriminator.init_with_output(d_key, x, y, train=False)
  _check_logits(logits, x)
  made = {"generator": generator, "discriminator": discriminator}
  without = lambda v: {name: tree for name, tree in v.items() if name != "params"}
  return (
    {name: variables["params"] for name, variables in made.items()},
    {name: without(variables) for name, variables in made.items()},
  )


def _generate(
  nets: _Networks, params: Params, carried: Carried, z: jax.Array, labels: jax.Array | None
) -> jax.Array:
  """Makes examples as in evaluation."""
  if nets.conditional != (labels is not None):
    raise ValueError(
      "this game is conditional: give labels, int32 [n], one for each example"
      if nets.conditional
      else "this game is not conditional, and its generator takes no labels: leave them out"
    )
  variables = {"params": params["generator"], **carried["generator"]}
  with _fitting("generator"):
    return jnp.asarray(nets.generator.apply(variables, z, labels, train=False), jnp.float32)


def _look(
  nets: _Networks, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Match, Carried]:
  """Makes fakes, lets the discriminator see them and the real examples, and keeps what it saw."""
  if nets.packing > 1 and context.microbatch.count > 1:
    raise ValueError(
      f"packing = {nets.packing} shows consecutive examples together, and microbatches take them "
      "apart: set one of them to 1"
    )
  _check_batch(nets, batch)
  latent_key, generator_key, real_key, fake_key = jax.random.split(context.key, 4)
  y, stats = nets.labels(batch), carried["discriminator"]
  real = _pack(_blur(nets.instance_noise, batch["x"], "real", context), nets.packing)
  z = nets.latent(context.example_keys(latent_key, batch["x"].shape[0]))

  def make(z: jax.Array) -> tuple[jax.Array, PyTree]:
    g, g_stats = params["generator"], carried["generator"]
    x, left = _train(nets, "generator", g, g_stats, z, y, generator_key, context)
    x = _blur(nets.instance_noise, x.astype(jnp.float32), "fake", context)
    return _pack(x, nets.packing), left

  def see(x: jax.Array, y: Any, stats: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
    d = params["discriminator"]
    logits, left = _train(nets, "discriminator", d, stats, x, y, key, context)
    _check_logits(logits, x)
    return logits.astype(jnp.float32), left

  fake, g_left = make(z)
  _check_fakes(fake, real)
  if nets.joint:
    both_y = None if y is None else jnp.concatenate([y, y])
    both, d_left = see(jnp.concatenate([real, fake]), both_y, stats, real_key)
    real_logits, fake_logits = jnp.split(both, 2)
  else:
    real_logits, d_left = see(real, y, stats, real_key)
    fake_logits, d_left = see(fake, y, d_left, fake_key)
  match = Match(
    real=real,
    fake=fake,
    real_logits=real_logits,
    fake_logits=fake_logits,
    discriminator=lambda x: see(x, y, stats, real_key)[0],
    generator=lambda z: make(z)[0],
    latents=z,
    params=params,
    keys=context.example_keys(context.key, fake_logits.shape[0]),
    round=context.round,
    axis_name=context.axis_name,
    microbatch=context.microbatch,
  )
  return match, {"generator": g_left, "discriminator": d_left}


def _blur(std: Weight | None, x: jax.Array, kind: str, context: StepContext) -> jax.Array:
  """Adds instance noise, each example from a key of its own."""
  if std is None:
    return x
  key = jax.random.fold_in(context.key, zlib.crc32(kind.encode()))
  draw = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))
  scale = std(context.round) if callable(std) else std
  return x + scale * draw(context.example_keys(key, x.shape[0]))


def _train(
  nets: _Networks,
  name: str,
  params: PyTree,
  stats: PyTree,
  x: jax.Array,
  y: Any,
  key: jax.Array,
  context: StepContext,
) -> tuple[jax.Array, PyTree]:
  """Runs a network in training mode; returns its output and the statistics it leaves."""
  net = getattr(nets, name)
  if context.axis_name is not None and hasattr(net, "axis_name"):
    net = net.clone(axis_name=context.axis_name)
  microbatch = context.microbatch  # read by Dropout, whose masks depend on an example's place
  extra = {} if microbatch.count == 1 else {"microbatch": vars(microbatch)}

  def apply(params: PyTree, stats: PyTree, x: jax.Array, y: Any, key: jax.Array) -> Any:
    variables = {"params": params, **stats, **extra}
    with _fitting(name):
      return net.apply(variables, x, y, train=True, rngs={"dropout": key}, mutable=list(stats))

  out, left = (jax.checkpoint(apply) if nets.remat else apply)(params, stats, x, y, key)
  if extra and _has_batch_norm(left):
    raise ValueError(
      f"the {name} has batch norm, whose statistics are of all the batch: set microbatches = 1, or "
      "another norm"
    )
  return out, {**stats, **left}


@contextlib.contextmanager
def _fitting(name: str) -> Iterator[None]:
  """Refuses parameters that are of another network, or of one for other shapes."""
  try:
    yield
  except (ScopeParamShapeError, ScopeParamNotFoundError) as error:
    raise ValueError(
      f"the state is of another game, whose {name} has other parameters, or takes other shapes: "
      "expected the State that init(game, ...) returns of this game"
    ) from error


def _has_batch_norm(stats: PyTree) -> bool:
  paths = jax.tree_util.tree_leaves_with_path(stats)
  return any(getattr(path[-1], "key", None) == "mean" for path, _ in paths)


def _pack(x: jax.Array, m: int) -> jax.Array:
  """Stacks m consecutive examples on the channel axis: [B, ..., C] -> [B/m, ..., m C]."""
  if m == 1:
    return x
  if x.shape[0] % m:
    raise ValueError(f"packing = {m} needs a batch size that is a multiple of it, got {x.shape[0]}")
  groups = x.reshape(x.shape[0] // m, m, *x.shape[1:])
  return jnp.moveaxis(groups, 1, -2).reshape(groups.shape[0], *x.shape[1:-1], m * x.shape[-1])


# --- checks ---------------------------------------------------------------------------------------


def _check_network(name: str, net: Any, given: str, conditional: bool) -> None:
  if not isinstance(net, nn.Module):
    hint = f"make one of it, {net.__name__}(...)" if isinstance(net, type) else "expected a module"
    raise ValueError(f"{name} is {shown(net)}: {hint} of flax.linen")
  if not takes(type(net).__call__, net, given, "y", train=True):
    raise ValueError(
      f"{name} is called as net({given}, y, train=...), which {type(net).__name__}.__call__ does "
      "not take"
    )
  if conditional and getattr(net, "num_classes", 0) is None:
    raise ValueError(
      f"conditional is set, and the {name} has num_classes = None and would ignore labels: give it "
      "the number of classes, or leave conditional out"
    )


def _check_not_exchanged(nets: _Networks, z: jax.Array, x: jax.Array, y: Any) -> None:
  """Refuses a discriminator that makes the data's examples, and a generator that makes logits."""
  look = lambda net, x: net.init_with_output(jax.random.key(0), x, y, train=False)[0]
  try:
    fake = jax.eval_shape(lambda: _pack(look(nets.discriminator, z), nets.packing))
    logits = jax.eval_shape(lambda: look(nets.generator, x))
  except Exception:  # whatever a network raises of what it is not for
    return
  if fake.shape == x.shape and logits.shape == x.shape[:1]:
    raise ValueError(
      "the two networks look exchanged: the generator makes logits, the discriminator examples; "
      "call two_player(generator, discriminator, ...)"
    )


def _check_optimizers(optimizers: Any) -> None:
  expected = {"discriminator", "generator"}
  if not isinstance(optimizers, Mapping) or set(optimizers) != expected:
    given = sorted(optimizers) if isinstance(optimizers, Mapping) else shown(optimizers)
    raise ValueError(
      f'optimizers are {given}: expected {{"discriminator": ..., "generator": ...}}, such as '
      "optax.adam(2e-4, b1=0.5) each"
    )
  for name, made in optimizers.items():
    if isinstance(made, type) or not (hasattr(made, "init") and hasattr(made, "update")):
      raise ValueError(
        f"the optimizer of the {name} is {shown(made)}: expected one of optax, such as "
        "optax.adam(2e-4, b1=0.5)"
      )


def _check_latent(latent: Any) -> None:
  try:
    z = jax.eval_shape(lambda: latent(jax.random.split(jax.random.key(0), 2)))
    fits = all(leaf.shape[:1] == (2,) for leaf in jax.tree.leaves(z))
  except Exception as error:  # whatever a function raises that was not meant to be given keys
    raise ValueError(_no_latent(latent)) from error
  if not fits:
    raise ValueError(_no_latent(latent))


def _no_latent(latent: Any) -> str:
  return (
    f"latent is {shown(latent)}: expected a function of keys [n] to z [n, d], such as "
    "latents.normal(64)"
  )


def _check_terms(kind: str, terms: Any) -> None:
  """Refuses names that are taken, and penalties that reward; `minimise` looks at the rest."""
  if not isinstance(terms, Mapping | None):
    raise ValueError(f'{kind} are {shown(terms)}: expected {{"name": (weight, term)}}')
  if taken := {"adversarial", "loss", "gradient_norm", "D_fake"} & set(terms or ()):
    raise ValueError(f"{kind} have a term {min(taken)!r}, a name that is taken: choose another")
  for name, pair in (terms or {}).items():
    weight = pair[0] if isinstance(pair, tuple | list) and pair else None
    if is_weight(weight) and not is_weight(weight, least=0):
      raise ValueError(
        f"the weight of {name!r} among {kind} is {shown(weight)}: expected a number >= 0; a term "
        "that is to be maximised has the sign itself"
      )


def _check_averages(averages: Any) -> None:
  if not isinstance(averages, Mapping | None):
    raise ValueError(
      f'averages are {shown(averages)}: expected them by network, {{"generator": decay(0.999)}}'
    )
  for name, kept in (averages or {}).items():
    if not isinstance(kept, Decay):
      raise ValueError(
        f"the average of {name!r} is {shown(kept)}: expected a decay: schedules.decay(0.999)"
      )


def _check_noise(std: Any) -> None:
  if not is_weight(std, least=0):
    raise ValueError(
      f"instance_noise is {shown(std)}: expected a standard deviation >= 0, or a schedule over "
      "rounds"
    )


def _check_batch(nets: _Networks, batch: Batch) -> None:
  """Refuses what networks cannot be shown, or would be shown in silence: levels, one-hot labels."""
  needed = ("x", "y") if nets.conditional else ("x",)
  if missing := set(needed) - set(batch):
    why = ", the labels of a conditional game" if missing == {"y"} else ""
    raise ValueError(f"batch has {sorted(batch)}: expected {min(missing)!r} too{why}")
  for name in needed:
    if not hasattr(batch[name], "dtype"):
      raise ValueError(f"batch[{name!r}] is {shown(batch[name])}: expected one array")
  x = batch["x"]
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(f"batch['x'] is {shown(x)}: expected floats, such as data.to_float(x)")
  y = batch["y"] if nets.conditional else None
  if y is not None and not (jnp.issubdtype(y.dtype, jnp.integer) and y.ndim == 1):
    raise ValueError(f"batch['y'] is {shown(y)}: expected classes as integers, one an example")


def _check_fakes(fake: Any, real: jax.Array) -> None:
  """Refuses a generator that does not make what the data are."""
  if jnp.shape(fake) != real.shape:
    raise ValueError(
      f"the generator makes examples {jnp.shape(fake)[1:]}, the data has {real.shape[1:]}; "
      "set the generator's shape to the data's"
    )


def _check_logits(logits: Any, x: jax.Array) -> None:
  """Refuses a discriminator that does not return a logit for each example."""
  if getattr(logits, "shape", None) != x.shape[:1]:
    raise ValueError(
      f"the discriminator returns {shown(logits)} for {x.shape[0]} examples: expected logits "
      f"[{x.shape[0]}]; of [B, 1] take [:, 0]"
    )
