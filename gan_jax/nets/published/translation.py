"""CycleGAN and pix2pix, as junyanz/pytorch-CycleGAN-and-pix2pix names their weights, by position.

Zhu et al. 2017 (arXiv:1703.10593), Isola et al. 2017 (arXiv:1611.07004). Layers stand in the order
of their calls. Instance norm leaves nothing in a file.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.game.random import make_key
from gan_jax.nets.layers import BatchNorm
from gan_jax.nets.linear import Linear
from gan_jax.nets.published.layout import Arrays, Network, Path, build
from gan_jax.nets.translation import (
  PatchDiscriminator,
  PixelDiscriminator,
  ResnetTranslator,
  UnetTranslator,
)

LINEAR = {"weight": ("params", "kernel"), "bias": ("params", "bias")}
NORM = {
  "weight": ("params", "scale"),
  "bias": ("params", "bias"),
  "running_mean": ("batch_stats", "mean"),
  "running_var": ("batch_stats", "var"),
}


def leaf_paths(net: nn.Module, shape: tuple[int, ...], names: Sequence[str]) -> dict[str, Path]:
  """Maps names of published weights to the leaves of a network.

  Args:
    net: the network.
    shape: of its input, [B, H, W, C].
    names: "LAYER.weight" and the like, in the order of the published state dict, in which layers
      stand in the order of their calls.

  Returns:
    {name: path}, such as {"model.1.weight": ("params", "ReflectConv_0", "kernel")}.

  Raises:
    ValueError: the network has another number of layers.
  """
  called: list[tuple[Path, bool]] = []

  def record(method: Callable, arguments: Any, options: Any, context: Any) -> Any:
    if context.method_name == "__call__" and isinstance(context.module, Linear | BatchNorm):
      called.append((context.module.path, isinstance(context.module, Linear)))
    return method(*arguments, **options)

  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  with nn.intercept_methods(record):
    jax.eval_shape(lambda x: net.init(make_key(0), x, train=False), x)
  layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
  if len(layers) != len(called):
    raise ValueError(
      f"it has {len(layers)} layers, and {type(net).__name__} has {len(called)}: another network"
    )
  own = dict(zip(layers, called, strict=True))
  paths: dict[str, Path] = {}
  for name in names:
    layer, _, leaf = name.rpartition(".")
    path, is_linear = own[layer]
    place = (LINEAR if is_linear else NORM).get(leaf)
    if place is None:
      raise ValueError(f"it has {name}, which {type(net).__name__} has no place for")
    paths[name] = (place[0], *path, place[1])
  return paths


def translator(arrays: Arrays) -> Network:
  """Builds the ResNet or U-Net of a state dict.

  Raises:
    ValueError: another network.
  """
  arrays = _own(arrays)
  convolutions = [array for array in arrays.values() if array.ndim == 4]
  blocks = {name.split(".")[1] for name in arrays if ".conv_block." in name}
  if len(convolutions) < 3:
    raise ValueError("it has fewer than three convolutions: it is no translator")
  first, last = convolutions[0], convolutions[-1]
  norm = "batch" if any(name.endswith("running_mean") for name in arrays) else "instance"
  options: dict[str, Any] = {"width": len(first), "norm": norm}
  net: nn.Module
  if blocks:
    drops = any(".conv_block.6." in name for name in arrays)
    options |= {"blocks": len(blocks), "dropout": 0.5 if drops else 0.0}
    channels, side, name = len(last), 16, "resnet_translator"
    net = ResnetTranslator(channels=channels, **options)
  else:
    options["levels"] = len(convolutions) // 2
    # The last convolution is transposed, [I, O, H, W].
    channels, side, name = last.shape[1], 1 << options["levels"], "unet_translator"
    net = UnetTranslator(channels=channels, **options)
  return _built(name, net, options, arrays, first.shape[1], side, {"channels": channels})


def discriminator(arrays: Arrays) -> Network:
  """Builds the PatchGAN, or the discriminator of pixels, of a state dict; errors likewise."""
  arrays = _own(arrays)
  convolutions = [array for array in arrays.values() if array.ndim == 4]
  if len(convolutions) < 3:
    raise ValueError("it has fewer than three convolutions: it is no PatchGAN")
  first = convolutions[0]
  norm = "batch" if any(name.endswith("running_mean") for name in arrays) else "instance"
  options: dict[str, Any] = {"width": len(first), "norm": norm}
  if first.shape[-1] == 1:
    net: nn.Module = PixelDiscriminator(**options)
    return _built("pixel_discriminator", net, options, arrays, first.shape[1], 4, {})
  options["layers"] = len(convolutions) - 2
  net, side = PatchDiscriminator(**options), 4 << options["layers"]
  return _built("patch_discriminator", net, options, arrays, first.shape[1], side, {})


def is_translator(arrays: Arrays) -> bool:
  """Checks whether arrays are of a translator: a ResNet's blocks, or the levels of a U-Net."""
  return any(".conv_block." in name or name.startswith("model.model.") for name in arrays)


def _own(arrays: Arrays) -> Arrays:
  """Leaves out counters, and running statistics that instance norm had before PyTorch 0.4."""
  layers = {name.rpartition(".")[0] for name in arrays if name.endswith(".weight")}
  return {
    name: array
    for name, array in arrays.items()
    if name.rpartition(".")[0] in layers and not name.endswith("num_batches_tracked")
  }


def _built(
  name: str,
  net: nn.Module,
  options: dict[str, Any],
  arrays: Arrays,
  channels: int,
  side: int,
  fields: dict[str, Any],
) -> Network:
  paths = leaf_paths(net, (1, side, side, channels), list(arrays))
  shape = (0, 0, channels)
  return build(name, options, arrays, paths, shape=shape, fields=fields, side=side)
