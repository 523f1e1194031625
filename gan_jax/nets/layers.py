"""What the networks share: layers, normalisations, and the heads that use labels.

Parameters are float32 whatever the dtype computed in. Running statistics (of batch norm, and the
vector u of spectral norm) live in the collection "batch_stats" and move in training forwards only.
Flax names parameters by class (`Logit_0`), so the names of these classes are part of checkpoints.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.checks import check_numbers
from gan_jax.game.random import keys_at
from gan_jax.nets.convolution import forms
from gan_jax.nets.examples import read_examples
from gan_jax.nets.heads import MinibatchDiscrimination
from gan_jax.nets.linear import Dense

NORMS = ("batch", "layer", "instance", "spectral", "none")
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "relu": nn.relu,
  "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
  "elu": nn.elu,
  "gelu": nn.gelu,
  "softplus": nn.softplus,
  "swish": nn.swish,
  "tanh": nn.tanh,
}
OUTPUTS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "tanh": nn.tanh,
  "sigmoid": nn.sigmoid,
  "linear": lambda x: x,
}
Outputs = dict[str, jax.Array]  # of a discriminator that returns more than logits, by name
HIDDEN = 64  # units of the layer that a condition vector passes


def lookup(table: Any, name: Any, kind: str) -> Any:
  """Returns the entry of a table, or raises an error that lists its names.

  Args:
    table: mapping, or collection of names.
    name: name of the entry.
    kind: kind of thing that is named, for the message.

  Returns:
    The mapping's value, or the name itself.

  Raises:
    ValueError: the name is not in the table; the message lists those that are.
  """
  if name not in table:
    raise ValueError(f"Unknown {kind} {name!r}; expected one of {', '.join(map(str, table))}.")
  return table[name] if isinstance(table, dict) else name


def image_size(shape: Sequence[int], sizes: Collection[int]) -> int:
  """Returns the height of square images.

  Args:
    shape: shape of one example.
    sizes: heights that the network supports.

  Raises:
    ValueError: not (H, W, C) with H = W in sizes; the message lists them.
  """
  if len(shape) != 3 or shape[0] != shape[1] or shape[0] not in sizes:
    raise ValueError(
      f"This network is for square images (H, W, C) of {', '.join(map(str, sizes))} pixels; "
      f"got {tuple(shape)}. Resize the data, or choose another network."
    )
  return shape[0]


def layer_options(norm: str, dtype: Any) -> dict[str, Any]:
  """Returns the options of every layer of a network with this norm, one of `NORMS`."""
  return {"spectral": lookup(NORMS, norm, "norm") == "spectral", "dtype": dtype}


class ClassShares(NamedTuple):
  """Labels between classes, in the place of classes [B]: for walks from one class to another.

  Attributes:
    shares: share of each class, float32 [B, num_classes], of sum 1.
  """

  shares: jax.Array


def labels_for(num_classes: int | None, y: Any) -> jax.Array | None:
  """Computes what a conditional network sees of labels; to be called within its `__call__`.

  Classes are one-hot. A vector passes a hidden layer of the network: what follows is linear in
  what this function returns, and a condition such as an angle is not.

  Args:
    num_classes: number of classes, or of entries of a vector; None for an unconditional network,
      which ignores labels.
    y: classes, int32 [B]; vectors, float32 [B, num_classes]; or `ClassShares`.

  Returns:
    float32 [B, num_classes], or [B, `HIDDEN`] of vectors, or None.

  Raises:
    ValueError: a conditional network got no labels.
  """
  if num_classes is None:
    return None
  if y is None:
    raise ValueError(f"A network with num_classes={num_classes} needs labels y [B]; got None.")
  if isinstance(y, ClassShares):
    return y.shares
  if y.ndim == 1:
    return jax.nn.one_hot(y, num_classes)
  return nn.relu(nn.Dense(HIDDEN, name="condition")(y.astype(jnp.float32)))


def stream_keys(module: nn.Module, stream: str, n: int) -> jax.Array:
  """Derives one key for each example from a stream of random numbers; within a `__call__`.

  In training a key depends on the example's place in the global batch, in sampling on the seed and
  the place: device layouts, microbatches and the number of samples change no draw. A bare
  `make_rng(stream)` gives all devices, microbatches and chunks of samples the same draw.

  Args:
    module: module that draws, whose path in the network and earlier calls make draws differ.
    stream: name of the stream, such as "noise". "dropout" is apart from all others.
    n: number of examples in the module's input.

  Returns:
    [n] typed keys.
  """
  key, read = module.make_rng(stream), read_examples(module)
  if (keys := read("keys")) is not None:
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, jax.random.bits(key))
  # Of parts one after the other each device has its share of each.
  share = max(1, n // read("parts", 1))
  part, place = jnp.divmod(jnp.arange(n), share)
  place += share * (read("device", 0) + read("devices", 1) * part)
  return keys_at(key, read("index", 0) + read("count", 1) * place)


class Dropout(nn.Module):
  """Zeroes entries with probability `rate` in training and scales the others by 1 / (1 - rate).

  Each example has a mask of its own, by `stream_keys`.
  """

  rate: float

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    if not train or self.rate == 0 or self.is_initializing():
      return x
    keys = stream_keys(self, "dropout", x.shape[0])
    keep = 1 - self.rate
    mask = jax.vmap(lambda key: jax.random.bernoulli(key, keep, x.shape[1:]))(keys)
    return jnp.where(mask, x / (keep or 1), 0)  # of nothing kept, a slope of 0 and not 0/0


class BatchNorm(nn.Module):
  """Computes what `flax.linen.BatchNorm` does, parameters and statistics too, by products on CPU.

  Attributes:
    use_scale, use_bias: whether each channel is scaled and shifted.
    momentum: share of the running statistics that a training forward keeps.
    epsilon: added to variances.
    scale_init: initialiser of the scale.
    unbiased: whether the running variance is of n / (n - 1) times a batch's, as in PyTorch; that
      of standing statistics is of a batch's own, as in the published BigGAN.
    axis_name: mapped axis that splits the global batch, if any.
    dtype: of what is returned; statistics are float32.
  """

  use_scale: bool = True
  use_bias: bool = True
  momentum: float = 0.9
  epsilon: float = 1e-5
  scale_init: Callable = nn.initializers.ones
  unbiased: bool = False
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Normalises x [B, ..., C] over all axes but the last; `train` lets statistics move."""
    channels = x.shape[-1:]
    running = {
      name: self.variable("batch_stats", name, init, channels, jnp.float32)
      for name, init in (("mean", jnp.zeros), ("var", jnp.ones))
    }
    mean, var = running["mean"].value, running["var"].value
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if train:
      mean, of_squares = forms.mean_of_places(x), forms.mean_of_places(x * x)
      if self.axis_name is not None and not self.is_initializing():
        mean, of_squares = jax.lax.pmean((mean, of_squares), self.axis_name)
      var = jnp.maximum(0.0, of_squares - mean**2)
      if not self.is_initializing():
        standing = read_examples(self)("momentum")
        momentum = self.momentum if standing is None else standing
        stored = self._stored(var, x) if standing is None else var
        for name, new in (("mean", mean), ("var", stored)):
          running[name].value = momentum * running[name].value + (1 - momentum) * new
    factor = jax.lax.rsqrt(var + self.epsilon)
    if self.use_scale:
      factor *= self.param("scale", self.scale_init, channels, jnp.float32)
    x = (x - forms.spread(mean, x.shape)) * forms.spread(factor, x.shape)
    if self.use_bias:
      x += forms.spread(self.param("bias", nn.initializers.zeros, channels, jnp.float32), x.shape)
    return x.astype(self.dtype)

  def _stored(self, var: jax.Array, x: jax.Array) -> jax.Array:
    """Computes the variance that joins the running one, of that of the n places of the batch."""
    if not self.unbiased:
      return var
    n = x.size // x.shape[-1] * (1 if self.axis_name is None else jax.lax.psum(1, self.axis_name))
    return var * (n / max(1, n - 1))


class Norm(nn.Module):
  """Normalises by choice, then scales and shifts each channel.

  With labels, scale and shift belong to the class (Dumoulin et al. 2017, arXiv:1610.07629).

  * "batch" (Ioffe & Szegedy 2015, arXiv:1502.03167): over the global batch and all places;
    with running statistics in evaluation.
  * "layer" (Ba et al. 2016, arXiv:1607.06450): over all places and channels of an example.
  * "instance" (Ulyanov et al. 2016, arXiv:1607.08022): over the places of an example, by channel.
  * "spectral", "none": not at all; "spectral" is a matter of the layers' weights.

  Attributes:
    kind: one of `NORMS`.
    axis_name: mapped axis that splits the global batch, if any.
    dtype: computed in; statistics are float32.
    momentum: share of the running statistics that a training forward keeps.
    epsilon: added to variances.
    scale_init: initialiser of the scale, where it does not belong to the class.
  """

  kind: str = "batch"
  axis_name: str | None = None
  dtype: Any = jnp.float32
  momentum: float = 0.9
  epsilon: float = 1e-5
  scale_init: Callable = nn.initializers.ones

  @nn.compact
  def __call__(self, x: jax.Array, labels: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Normalises x [B, ..., C]; labels, if any, are one-hot, [B, num_classes]."""
    plain = labels is None
    options: dict[str, Any] = {"use_scale": plain, "use_bias": plain, "epsilon": self.epsilon}
    options |= {"scale_init": self.scale_init, "dtype": self.dtype}
    lookup(NORMS, self.kind, "norm")
    if self.kind == "batch":
      x = BatchNorm(momentum=self.momentum, axis_name=self.axis_name, **options)(x, train=train)
    elif self.kind == "layer":
      x = nn.LayerNorm(reduction_axes=tuple(range(1, x.ndim)), feature_axes=-1, **options)(x)
    elif self.kind == "instance":
      x = nn.InstanceNorm(**options)(x)
    if labels is None:
      return x
    # In float32, as the gradients of scale and shift are sums over all places.
    scale = self._by_class("scale", nn.initializers.ones, x, labels)
    shift = self._by_class("shift", nn.initializers.zeros, x, labels)
    return (x * scale + shift).astype(self.dtype)

  def _by_class(self, name: str, init: Callable, x: jax.Array, labels: jax.Array) -> jax.Array:
    layer = Dense(x.shape[-1], use_bias=False, kernel_init=init, dtype=self.dtype, name=name)
    row = layer(labels).astype(jnp.float32)
    return row.reshape(x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])


class SelfAttention(nn.Module):
  """Self-attention between all places of a feature map (Zhang et al. 2019, arXiv:1805.08318).

  x + gamma v(h(x) softmax(f(x) g(x))), with 1x1 convolutions f, g, h to an eighth of the channels
  and gamma starting at 0.
  """

  spectral: bool = False
  kernel_init: Callable = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    b, h, w, c = x.shape
    options: dict[str, Any] = {"spectral": self.spectral, "kernel_init": self.kernel_init}
    options |= {"use_bias": False, "dtype": self.dtype}
    dense = lambda name, features, x: Dense(features, name=name, **options)(x, train=train)
    places = x.reshape(b, h * w, c)
    key, query, value = (dense(name, max(1, c // 8), places) for name in ("f", "g", "h"))
    scores = jnp.einsum("bqc,bkc->bqk", query, key, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(scores).astype(self.dtype)
    gamma = self.param("gamma", nn.initializers.zeros, ())  # float32: its gradient is a sum of all
    return (x + gamma * dense("v", c, weights @ value).reshape(x.shape)).astype(self.dtype)


def double(x: jax.Array) -> jax.Array:
  """Repeats each place of [B, H, W, C] in a 2x2 square."""
  b, h, w, c = x.shape
  x = jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, 2, w, 2, c))
  return x.reshape(b, 2 * h, 2 * w, c)


def halve(x: jax.Array) -> jax.Array:
  """Averages each 2x2 square of [B, H, W, C]."""
  b, h, w, c = x.shape
  return jnp.mean(x.reshape(b, h // 2, 2, w // 2, 2, c), axis=(2, 4))


class WithLabels(nn.Module):
  """Appends an embedding of the label to a latent (Mirza & Osindero 2014, arXiv:1411.1784)."""

  @nn.compact
  def __call__(self, z: jax.Array, labels: jax.Array | None) -> jax.Array:
    """Returns z [B, d], or [B, 2 d] with one-hot labels [B, num_classes]."""
    if labels is None:
      return z
    # Its norm is that of one coordinate of z: at the norm of z it drowns z, and every class
    # collapses to one image.
    init = nn.initializers.normal(z.shape[-1] ** -0.5)
    embedding = Dense(z.shape[-1], use_bias=False, kernel_init=init, name="embedding")(labels)
    return jnp.concatenate([z, embedding], axis=-1)


class Logit(nn.Module):
  """Computes logits of features, by projection where there are labels.

  psi(h) + <embedding(y), h>, Miyato & Koyama 2018 (arXiv:1802.05637).
  """

  spectral: bool = False
  kernel_init: Callable = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(
    self, features: jax.Array, labels: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    """Returns float32 logits [B] for features [B, F] and one-hot labels [B, num_classes]."""
    features = features.astype(jnp.float32)
    options: dict[str, Any] = {"spectral": self.spectral, "kernel_init": self.kernel_init}
    logits = Dense(1, name="logit", **options)(features, train=train)[:, 0]
    if labels is None:
      return logits
    layer = Dense(features.shape[-1], use_bias=False, name="embedding", **options)
    return logits + jnp.sum(layer(labels, train=train) * features, axis=-1)


def auxiliary_outputs(
  net: Any,
  x: jax.Array,
  y: jax.Array | None,
  places: jax.Array | None = None,
  *,
  train: bool,
  **options: Any,
) -> Outputs:
  """Computes the outputs of an auxiliary discriminator from features [B, F], within its `__call__`.

  The network Q of InfoGAN (Chen et al. 2016, arXiv:1606.03657) reads the features. AC-GAN (Odena et
  al. 2017, arXiv:1610.09585) has the classes, and gives the discriminator no labels.

  Args:
    net: network with the fields of `AuxiliaryMLPDiscriminator`.
    x: features [B, F].
    y: labels [B], which heads of classes alone are given.
    places: features of places [B, H, W, C], of a network that has places.
    train: whether the network trains.
    **options: options of the layers.

  Returns:
    "logits" [B], "features" [B, F], and what the head returns; without a head "classes"
    [B, num_classes]; all float32.
  """
  check_numbers(net, {">= 0": "minibatch_kernels", ">= 1": "minibatch_dim"})
  x = x.astype(jnp.float32)
  with_closeness = x
  if net.minibatch_kernels:
    layer = MinibatchDiscrimination(net.minibatch_kernels, net.minibatch_dim, net.axis_name)
    with_closeness = jnp.concatenate([x, layer(x)], axis=1)
  outputs = {"logits": Logit(**options)(with_closeness, train=train), "features": x}
  if net.head is not None:
    outputs |= net.head(x, places, labels_for(net.num_classes, y), train=train, **options)
  elif net.num_classes is not None:
    outputs["classes"] = Dense(net.num_classes, name="classes", **options)(x, train=train)
  return outputs
