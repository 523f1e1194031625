"""The networks of a generator and a discriminator: how they start, and how a move applies them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.game.core import Batch, Carried, Clock, Params, PyTree, StepContext
from gan_jax.game.forward import STAGES, sample_network, split_variables, train_network
from gan_jax.game.kinds import checks
from gan_jax.game.latents import Latent, Styled
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.views import Views, apply_views, first_inside, memory_of
from gan_jax.losses.objectives import per_example

Outputs = dict[str, jax.Array]  # of a discriminator, by name
FEATURES = "features"  # output that encoders are called with; without it they read the view


class Networks(NamedTuple):
  """The networks of a two-player game and how they are called; see `two_player`."""

  generator: nn.Module
  discriminator: nn.Module
  latent: Latent
  conditional: bool
  views: Views
  joint: bool
  encoders: Mapping[str, nn.Module]
  remat: bool
  fake_labels: Latent | None = None


def checked(nets: Networks) -> Networks:
  """Checks networks, priors and views, each of them and together."""
  checks.check_network("generator", nets.generator, "z", nets.conditional)
  checks.check_network("discriminator", nets.discriminator, "x", nets.conditional)
  checks.check_latent(nets.latent)
  checks.check_views(nets.views, nets.conditional, nets.encoders)
  if nets.fake_labels is not None:
    checks.check_fake_labels(nets.fake_labels, nets.conditional)
  return nets._replace(views=tuple(nets.views))


def initialise(nets: Networks, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  checks.check_batch(batch, nets.conditional)
  z_key, g_key, d_key = jax.random.split(key, 3)
  # Shapes alone: where networks start depends on the seed, and on no data.
  x = jnp.zeros(batch["x"].shape)
  y = jnp.zeros(batch["y"].shape, batch["y"].dtype) if nets.conditional else None
  z = nets.latent(example_keys(z_key, batch["x"].shape[0]))
  try:
    fake, generator = nets.generator.init_with_output(g_key, z, y, train=False)
    checks.check_fakes(fake, x)
  except Exception:
    # Flax's error tells of shapes within a layer; networks in each other's place are named.
    checks.check_not_exchanged(nets.generator, nets.discriminator, z, x, y)
    raise
  context = StepContext(key, Clock(), None)
  # A view may change the shape: packs have the channels of several examples.
  viewed = jax.eval_shape(
    lambda: apply_views(nets.views, x, "real", memory_of(nets.views)[0], context)
  )
  x = jnp.zeros(viewed.shape)
  out, discriminator = nets.discriminator.init_with_output(d_key, x, y, train=False)
  outputs = _named(out)
  checks.check_logits(outputs.get("logits"), x)
  initial = {"generator": generator, "discriminator": discriminator}
  for name, net in nets.encoders.items():
    features = outputs.get(FEATURES, x)
    # By name: with an encoder or without, the other networks start the same.
    initial[name] = net.init(named_key(key, name), features, y, train=False)
  return split_variables(initial)


def generate(
  nets: Networks,
  params: Params,
  carried: Carried,
  z: PyTree,
  labels: jax.Array | None,
  method: str | None = None,
) -> jax.Array:
  """Generates examples in evaluation mode, or what a method of the generator returns."""
  if nets.conditional != (labels is not None):
    raise ValueError(
      "this game is conditional: give labels, int32 [n], one for each example"
      if nets.conditional
      else "this game is not conditional, and its generator takes no labels: leave them out"
    )
  options: dict[str, Any] = {"method": method}
  if isinstance(z, Styled):
    z, options = z.z, {**options, "psi": z.psi}
  return sample_network(nets.generator, "generator", params, carried, z, labels, **options)


def labels_of(nets: Networks, batch: Batch, context: StepContext) -> dict[str, jax.Array | None]:
  """Returns the labels of real examples and of fakes: the same, or draws of their own prior."""
  y = batch["y"] if nets.conditional else None
  if nets.fake_labels is None:
    return {"real": y, "fake": y}
  # By name, not by another split: a prior of labels leaves latents and dropout as they are.
  keys = context.example_keys(named_key(context.key, "labels"), batch["x"].shape[0])
  return {"real": y, "fake": nets.fake_labels(keys)}


class Forward(NamedTuple):
  """The networks of one forward, each applied with its parameters, its labels and its draws."""

  nets: Networks
  params: Params
  carried: Carried
  labels: Mapping[str, jax.Array | None]  # "real" and "fake"
  keys: Mapping[str, jax.Array]  # of dropout: "generator", "real" and "fake"
  context: StepContext

  def apply(
    self,
    name: str,
    stats: PyTree,
    x: PyTree,
    y: Any,
    key: jax.Array,
    method: str | None = None,
    parts: int = 1,
  ) -> Any:
    of = {"generator": self.nets.generator, "discriminator": self.nets.discriminator}
    net = {**of, **self.nets.encoders}[name]
    remat, params = self.nets.remat, self.params[name]
    return train_network(net, name, params, stats, x, y, key, self.context, remat, method, parts)

  def pack(self, x: jax.Array, kind: str) -> jax.Array:
    """Applies the views up to the last that packs: what is an example to penalties."""
    views = self.nets.views
    return apply_views(views, x, kind, self.carried, self.context, slice(first_inside(views)))

  def view(self, x: jax.Array, kind: str) -> jax.Array:
    """Applies the views that follow: what the discriminator network takes."""
    views = self.nets.views
    return apply_views(views, x, kind, self.carried, self.context, slice(first_inside(views), None))

  def generate(self, z: PyTree) -> tuple[jax.Array, PyTree]:
    """Computes fakes, as penalties see them, and the generator's new statistics."""
    stats, y, key = self.carried["generator"], self.labels["fake"], self.keys["generator"]
    x, new_stats = self.apply("generator", stats, z, y, key)
    return self.pack(x.astype(jnp.float32), "fake"), new_stats

  def stages(self, key: jax.Array) -> dict[str, Callable[[jax.Array], jax.Array]]:
    """Builds the functions of a generator's stages, by name; {} of one without."""
    # Methods of the class alone: a field or a layer of the name is no stage.
    of_class = [getattr(type(self.nets.generator), name, None) for name in STAGES]
    if not all(map(inspect.isfunction, of_class)):
      return {}
    stats, y = self.carried["generator"], self.labels["fake"]
    apply = lambda stage, x: self.apply("generator", stats, x, y, key, stage)[0]
    return {stage: functools.partial(apply, stage) for stage in STAGES}

  def discriminate(
    self, viewed: jax.Array, y: Any, stats: PyTree, key: jax.Array, parts: int = 1
  ) -> tuple[Outputs, PyTree]:
    """Computes the discriminator's outputs by name, and its new statistics."""
    out, new_stats = self.apply("discriminator", stats, viewed, y, key, parts=parts)
    outputs = _named(out)
    checks.check_logits(outputs.get("logits"), viewed)
    # Losses and penalties are in float32, whatever dtype the network computes in.
    return jax.tree.map(lambda x: x.astype(jnp.float32), outputs), new_stats

  def discriminate_both(
    self, viewed: tuple[jax.Array, jax.Array]
  ) -> tuple[tuple[Outputs, Outputs], PyTree]:
    """Computes the outputs for real examples and for fakes, and the new statistics."""
    y, fake_y, stats = self.labels["real"], self.labels["fake"], self.carried["discriminator"]
    if self.nets.joint:
      # Batch norm then normalises a mixture of both kinds, as in the code of many published GANs.
      both_y = None if y is None or fake_y is None else jnp.concatenate([y, fake_y])
      x, key = jnp.concatenate(viewed), self.keys["real"]
      both, stats = self.discriminate(x, both_y, stats, key, parts=2)
      real, fake = ({k: jnp.split(x, 2)[i] for k, x in both.items()} for i in (0, 1))
      return (real, fake), stats
    # Running statistics move twice, by real examples and then by fakes.
    real, stats = self.discriminate(viewed[0], y, stats, self.keys["real"])
    fake, stats = self.discriminate(viewed[1], fake_y, stats, self.keys["fake"])
    return (real, fake), stats

  def encode(self, name: str, features: jax.Array, kind: str) -> tuple[jax.Array, PyTree]:
    """Computes an encoder's outputs and its new statistics."""
    # Dropout of its own: the masks of the generator are of other layers.
    key = named_key(self.keys["generator"], name)
    code, new_stats = self.apply(name, self.carried[name], features, self.labels[kind], key)
    return code.astype(jnp.float32), new_stats

  def outputs_at(self, x: jax.Array, kind: str) -> Outputs:
    """Computes the discriminator's outputs at other examples, which move no statistics."""
    viewed, stats = self.view(x, kind), self.carried["discriminator"]
    # With the key of the real pass: the dropout mask at real examples is that of their logits.
    outputs, _ = self.discriminate(viewed, self.labels[kind], stats, self.keys["real"])
    return {FEATURES: viewed, **outputs}

  def logits_at(self, x: jax.Array, kind: str = "real") -> jax.Array:
    """Computes logits [B] at other examples: `Match.discriminator`."""
    return per_example(self.outputs_at(x, kind)["logits"])

  def code_at(self, name: str, x: jax.Array) -> jax.Array:
    """Computes an encoder's outputs at real examples: one of `Match.encoders`."""
    return self.encode(name, self.outputs_at(x, "real")[FEATURES], "real")[0]


def _named(out: Any) -> Outputs:
  """Returns the outputs of a discriminator by name."""
  return dict(out) if isinstance(out, Mapping) else {"logits": out}
