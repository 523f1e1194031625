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

import functools
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.checks import is_integer, shown, takes
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Params,
  Player,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables, train_network
from gan_jax.game.kinds import monitors
from gan_jax.game.kinds.turns import alternating
from gan_jax.game.latents import Latent, Truncate
from gan_jax.game.random import example_keys
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss
from gan_jax.losses.objectives import (
  Match,
  Observe,
  TermLike,
  Weight,
  adversarial_term,
  is_weight,
  minimise,
  per_example,
)

Terms = Mapping[str, tuple[Weight, TermLike]]
Outputs = dict[str, jax.Array]  # of a discriminator, by name
FEATURES = "features"  # that of its outputs which encoders are called with


def two_player(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  loss: AdversarialLoss,
  optimizers: Mapping[str, optax.GradientTransformation],
  latent: Latent,
  truncate: Truncate | None = None,
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  conditional: bool = False,
  packing: int = 1,
  joint: bool = False,
  instance_noise: Weight = 0.0,
  encoders: Mapping[str, nn.Module] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of a generator and a discriminator.

  Args:
    generator: module called as `net(z, y, train=)`, to examples.
    discriminator: module called as `net(x, y, train=)`, to logits [B], or [B, ...] of patches, or
      {"logits": logits, ...} with further outputs for terms of one's own.
    loss: both players' adversarial loss.
    optimizers: optimizers of "discriminator" and "generator".
    latent: prior of the generator's inputs.
    truncate: function of inputs and a bound, for `sample` near the prior's mean, such as
      `latents.truncate_normal`; None for none.
    regularizers: terms of the discriminator's loss, name -> (weight, term).
    generator_regularizers: terms of the generator's loss, likewise.
    turns: `alternating(k)`, `simultaneous()`, or any turns of "discriminator" and "generator".
    averages: moving averages by network, `{"generator": decay(0.999)}`.
    conditional: whether batches hold labels "y", which both networks take. Fakes take the labels of
      the real examples that they are matched with.
    packing: number m of examples that the discriminator takes at once, stacked on the channel axis
      (PacGAN, Lin et al. 2018, arXiv:1712.04086). The batch size must be a multiple of m.
    joint: whether real and fake examples pass the discriminator in one batch, which shares batch
      statistics between them; otherwise they pass one after the other.
    instance_noise: standard deviation, in units of the data, of Gaussian noise that is added to
      all inputs of the discriminator; a number, or a schedule over rounds (Sønderby et
      al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862).
    encoders: networks that the generator's player owns too, name -> module. They are called as
      `net(x, y, train=)` with fakes, or, where the discriminator returns "features" of them, with
      these; `Match.fake_outputs` has their outputs by name.
    remat: whether activations are recomputed for gradients, which takes time, instead of kept,
      which takes memory.

  Returns:
    The game.

  Raises:
    ValueError: for arguments of another kind, and combinations that have no meaning.
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
  if not is_integer(packing) or packing < 1 or (packing > 1 and conditional):
    raise ValueError(
      f"packing = {shown(packing)}: expected m >= 1, and m = 1 for a conditional game, "
      "where the packed examples would have m different labels"
    )
  if encoders and packing > 1:
    raise ValueError(f"packing = {packing}, and encoders take one example: leave one of them out")
  noise = None if isinstance(instance_noise, int | float) and not instance_noise else instance_noise
  encoders = encoders or {}
  nets = _Networks(
    generator, discriminator, latent, conditional, packing, joint, noise, encoders, remat
  )
  # One function object for both players: moves at once share its evaluation (see `core.losses_of`).
  forward = functools.partial(_forward, nets)

  def player(name: str, extra: Terms | None, observe: Observe, observed: PyTree = ()) -> Player:
    terms = {"adversarial": (1.0, adversarial_term(loss, name)), **(extra or {})}
    objective = minimise(forward, terms, player=name, observe=observe, observed=observed)
    # Labels are real data; so are batch statistics that real and fake examples share.
    uses_data = objective.uses_real or conditional or joint
    owns = (name, *nets.encoders) if name == "generator" else (name,)
    return Player(owns, objective, optimizers[name], uses_data)

  game = Game(
    init=functools.partial(_init, nets),
    samplers={
      "generator": Sampler(
        functools.partial(_generate, nets), lambda key, n: latent(example_keys(key, n)), truncate
      )
    },
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
    headline=monitors.headline(loss),
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
  encoders: Mapping[str, nn.Module]
  remat: bool

  def labels(self, batch: Batch) -> jax.Array | None:
    return batch["y"] if self.conditional else None


def _init(nets: _Networks, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  _check_batch(nets, batch)
  z_key, g_key, d_key = jax.random.split(key, 3)
  # Shapes alone: where networks start depends on the seed, and on no data.
  x = _pack(jnp.zeros(batch["x"].shape), nets.packing)
  y = jnp.zeros(batch["y"].shape, jnp.int32) if nets.conditional else None
  z = nets.latent(example_keys(z_key, batch["x"].shape[0]))
  try:
    fake, generator = nets.generator.init_with_output(g_key, z, y, train=False)
    _check_fakes(_pack(fake, nets.packing), x)
  except Exception:
    _check_not_exchanged(nets, z, x, y)
    raise
  out, discriminator = nets.discriminator.init_with_output(d_key, x, y, train=False)
  outputs = _named(out)
  _check_logits(outputs.get("logits"), x)
  initial = {"generator": generator, "discriminator": discriminator}
  for name, net in nets.encoders.items():
    features = outputs.get(FEATURES, x)
    initial[name] = net.init(_key_of(key, name), features, y, train=False)
  return split_variables(initial)


def _generate(
  nets: _Networks, params: Params, carried: Carried, z: jax.Array, labels: jax.Array | None
) -> jax.Array:
  """Generates examples in evaluation mode."""
  if nets.conditional != (labels is not None):
    raise ValueError(
      "this game is conditional: give labels, int32 [n], one for each example"
      if nets.conditional
      else "this game is not conditional, and its generator takes no labels: leave them out"
    )
  return sample_network(nets.generator, "generator", params, carried, z, labels)


def _forward(
  nets: _Networks, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Match, Carried]:
  """Generates fakes and computes the logits of real and fake examples: one move's forward."""
  if nets.packing > 1 and context.microbatch.count > 1:
    raise ValueError(
      f"packing = {nets.packing} shows consecutive examples together, and microbatches take them "
      "apart: set one of them to 1"
    )
  _check_batch(nets, batch)
  # One key for each use: packing, noise or another order would else change unrelated draws.
  latent_key, generator_key, real_key, fake_key = jax.random.split(context.key, 4)
  y, stats = nets.labels(batch), carried["discriminator"]
  real = _pack(_add_noise(nets.instance_noise, batch["x"], "real", context), nets.packing)
  z = nets.latent(context.example_keys(latent_key, batch["x"].shape[0]))

  def apply(
    name: str, params: PyTree, stats: PyTree, x: jax.Array, y: Any, key: jax.Array
  ) -> tuple[Any, PyTree]:
    net = {"generator": nets.generator, "discriminator": nets.discriminator, **nets.encoders}[name]
    return train_network(net, name, params, stats, x, y, key, context, nets.remat)

  def generate(z: jax.Array) -> tuple[jax.Array, PyTree]:
    g, g_stats = params["generator"], carried["generator"]
    x, new_stats = apply("generator", g, g_stats, z, y, generator_key)
    # Noise is added before packing: each example has its own, in a pack as well.
    x = _add_noise(nets.instance_noise, x.astype(jnp.float32), "fake", context)
    return _pack(x, nets.packing), new_stats

  def discriminate(x: jax.Array, y: Any, stats: PyTree, key: jax.Array) -> tuple[Outputs, PyTree]:
    out, new_stats = apply("discriminator", params["discriminator"], stats, x, y, key)
    outputs = _named(out)
    _check_logits(outputs.get("logits"), x)
    # Losses and penalties are in float32, whatever dtype the network computes in.
    return jax.tree.map(lambda x: x.astype(jnp.float32), outputs), new_stats

  fake, g_stats = generate(z)
  _check_fakes(fake, real)
  if nets.joint:
    both_y = None if y is None else jnp.concatenate([y, y])
    both, d_stats = discriminate(jnp.concatenate([real, fake]), both_y, stats, real_key)
    real_outputs, fake_outputs = ({k: jnp.split(x, 2)[i] for k, x in both.items()} for i in (0, 1))
  else:
    # Running statistics move twice, by real examples and then by fakes.
    real_outputs, d_stats = discriminate(real, y, stats, real_key)
    fake_outputs, d_stats = discriminate(fake, y, d_stats, fake_key)
  new_stats = {"generator": g_stats, "discriminator": d_stats}

  def encode(name: str, x: jax.Array) -> tuple[jax.Array, PyTree]:
    key = _key_of(generator_key, name)
    code, new_stats = apply(name, params[name], carried[name], x, y, key)
    return code.astype(jnp.float32), new_stats

  def encode_real(name: str, x: jax.Array) -> jax.Array:
    return encode(name, discriminate(x, y, stats, real_key)[0].get(FEATURES, x))[0]

  for name in nets.encoders:
    fake_outputs[name], new_stats[name] = encode(name, fake_outputs.get(FEATURES, fake))
  match = Match(
    real=real,
    fake=fake,
    real_logits=real_outputs.pop("logits"),
    fake_logits=fake_outputs.pop("logits"),
    # With the key of the real pass: the dropout mask at real examples is that of their logits.
    discriminator=lambda x: per_example(discriminate(x, y, stats, real_key)[0]["logits"]),
    generator=lambda z: generate(z)[0],
    latents=z,
    params=params,
    keys=context.example_keys(context.key, len(fake)),
    round=context.round,
    axis_name=context.axis_name,
    microbatch=context.microbatch,
    labels=y,
    real_outputs=real_outputs,
    fake_outputs=fake_outputs,
    encoders={name: functools.partial(encode_real, name) for name in nets.encoders},
  )
  return match, new_stats


def _key_of(key: jax.Array, name: str) -> jax.Array:
  """Derives a key from a name, by a hash that is the same in every process, unlike Python's own."""
  return jax.random.fold_in(key, zlib.crc32(name.encode()))


def _named(out: Any) -> Outputs:
  """Returns the outputs of a discriminator by name."""
  return dict(out) if isinstance(out, Mapping) else {"logits": out}


def _add_noise(std: Weight | None, x: jax.Array, kind: str, context: StepContext) -> jax.Array:
  """Adds instance noise, drawn for each example from a key of its own."""
  if std is None:
    return x
  key = _key_of(context.key, kind)
  draw = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))
  scale = std(context.round) if callable(std) else std
  return x + scale * draw(context.example_keys(key, x.shape[0]))


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
  """Checks that the generator does not make logits while the discriminator makes examples."""
  output = lambda net, x: net.init_with_output(jax.random.key(0), x, y, train=False)[0]
  try:
    fake = jax.eval_shape(lambda: _pack(output(nets.discriminator, z), nets.packing))
    logits = jax.eval_shape(lambda: output(nets.generator, x))
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
  for name, optimizer in optimizers.items():
    methods = hasattr(optimizer, "init") and hasattr(optimizer, "update")
    if isinstance(optimizer, type) or not methods:
      raise ValueError(
        f"the optimizer of the {name} is {shown(optimizer)}: expected one of optax, such as "
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
  """Checks the names of terms, and that no weight is negative; `minimise` checks the rest."""
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
  for name, decay in (averages or {}).items():
    if not isinstance(decay, Decay):
      raise ValueError(
        f"the average of {name!r} is {shown(decay)}: expected a decay: schedules.decay(0.999)"
      )


def _check_noise(std: Any) -> None:
  if not is_weight(std, least=0):
    raise ValueError(
      f"instance_noise is {shown(std)}: expected a standard deviation >= 0, or a schedule over "
      "rounds"
    )


def _check_batch(nets: _Networks, batch: Batch) -> None:
  """Checks that x are floats and y integers: levels or one-hot labels would pass in silence."""
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
  """Checks that fakes have the shape of the data."""
  if jnp.shape(fake) != real.shape:
    raise ValueError(
      f"the generator makes examples {jnp.shape(fake)[1:]}, the data has {real.shape[1:]}; "
      "set the generator's shape to the data's"
    )


def _check_logits(logits: Any, x: jax.Array) -> None:
  """Checks that the discriminator returns logits for each example; [B, 1] is taken for a slip."""
  shape = getattr(logits, "shape", ())
  if shape[:1] != x.shape[:1] or shape[1:] == (1,):
    raise ValueError(
      f"the discriminator returns {shown(logits)} for {x.shape[0]} examples: expected logits "
      f"[{x.shape[0]}], or [{x.shape[0]}, ...] of patches; of [B, 1] take [:, 0]"
    )
