"""BigGAN and SAGAN, as ajbrock/BigGAN-PyTorch and StudioGAN name their weights.

Brock et al. 2019 (arXiv:1809.11096), Zhang et al. 2019 (arXiv:1805.08318). Their files do not say
how the networks were made: sizes are those of the weights. Numbers that leave no trace there are
the published ones: the epsilon of spectral norm is 1e-12 at 32 pixels and 1e-6 above.
"""

import re
from collections.abc import Mapping

import numpy as np

from gan_jax.nets.biggan.biggan import DISCRIMINATORS, GENERATORS, SMALLEST
from gan_jax.nets.published.layout import Arrays, Network, Path, build, channels_last, take
from gan_jax.nets.published.layout import in_our_layout as layout

LEAVES = {
  "weight": ("params", "kernel"),
  "bias": ("params", "bias"),
  "gain": ("params", "scale"),
  "gamma": ("params", "gamma"),
  "u0": ("batch_stats", "spectral_norm", "u"),
  "stored_mean": ("batch_stats", "mean"),
  "stored_var": ("batch_stats", "var"),
}
OUTPUT = {"0": "output_norm", "2": "output_conv"}
EMBEDDINGS = ("shared", "embed")
_BLOCK = re.compile(r"blocks\.(\d+)\.([01])\.(.*)")


def path_of(name: str, by_class: bool = False) -> Path | None:
  """Returns the path of a weight or statistic; None of one that is for the log alone.

  Args:
    name: such as "blocks.1.0.bn2.stored_mean".
    by_class: whether the norms' gains and biases are embeddings of classes.
  """
  layer, _, leaf = name.rpartition(".")
  if leaf not in LEAVES:
    return None
  collection, *rest = LEAVES[leaf]
  parts = _layer(layer)
  if leaf.startswith("stored") or parts[-1:] in (["bn1"], ["bn2"], ["output_norm"]):
    parts = [*parts, "bn"]
  is_gain = by_class and len(parts) == 3 and parts[1] in ("bn1", "bn2")
  if leaf == "weight" and (parts in ([e] for e in EMBEDDINGS) or is_gain):
    rest = ["embedding"]
  return (collection, *parts, *rest)


def _layer(layer: str) -> list[str]:
  """Returns the path of a layer, such as ["block_1", "conv1"]."""
  if match := _BLOCK.fullmatch(layer):
    index, place, rest = match.groups()
    return [f"{'attention' if place == '1' else 'block'}_{index}", *rest.split(".")]
  if match := re.fullmatch(r"blocks\.(\d+)\.1", layer):  # of gamma, which has no layer
    return [f"attention_{match[1]}"]
  if layer.startswith("output_layer."):
    return [OUTPUT.get(layer.removeprefix("output_layer."), layer)]
  return layer.split(".") if layer else []


def place_first(path: Path, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
  """Transposes an array as `layout.in_our_layout`; channels of the first map come last."""
  if path[1] == "linear" and path[-1] in ("kernel", "bias", "u"):
    array = array.reshape(-1) if path[-1] == "u" else array
    array = channels_last(array, len(array) // SMALLEST**2)
  return layout(path, shape, array)


def is_generator(arrays: Arrays) -> bool:
  """Checks whether arrays are a generator's, by its first layer and its norms."""
  return any(name.endswith(("stored_mean", "running_mean")) for name in arrays)


def generator(arrays: Arrays) -> Network:
  """Builds the generator of a state dict of BigGAN-PyTorch.

  Raises:
    ValueError: another network, such as BigGAN-deep.
  """
  if "blocks.0.0.conv4.weight" in arrays:
    raise ValueError("it is BigGAN-deep, which is not read: expected BigGAN or SAGAN")
  blocks = _blocks(arrays)
  side = SMALLEST << len(blocks)
  if side not in GENERATORS:
    raise ValueError(f"it has {len(blocks)} blocks, which make {side} pixels: another network")
  linear = take(arrays, "linear.weight")
  gain = arrays.get("blocks.0.0.bn1.gain.weight")
  shared = arrays.get("shared.weight")
  of_shared = 0 if shared is None else shared.shape[1]
  by_class = gain is not None and shared is None
  classes = None if gain is None else len(gain if shared is None else shared)
  # Of hierarchical latents a chunk comes beside the embedding.
  hierarchical = gain is not None and not by_class and gain.shape[1] > of_shared
  latent = linear.shape[1] * (len(blocks) + 1 if hierarchical else 1)
  spectral = "linear.u0" in arrays
  options = {
    "width": len(linear) // SMALLEST**2 // GENERATORS[side][0],
    "hierarchical": hierarchical,
    "shared": of_shared,
    "attention": tuple(SMALLEST << (index + 1) for index in blocks if blocks[index]),
    "spectral": "iterated" if spectral else "none",
    "epsilon": 1e-12 if side == 32 else 1e-6,
  }
  image = take(arrays, "output_layer.2.weight")
  shape = (side, side, len(image))
  return build(
    "biggan_generator",
    options,
    arrays,
    _paths(arrays, by_class),
    shape=shape,
    latent=latent,
    classes=classes,
    place=place_first,
    fields={"shape": shape, "num_classes": classes},
  )


def discriminator(arrays: Arrays) -> Network:
  """Builds the discriminator of a state dict of BigGAN-PyTorch; errors as of `generator`."""
  blocks = _blocks(arrays)
  sides = [side for side, plan in DISCRIMINATORS.items() if len(plan.multiples) == len(blocks)]
  if not sides:
    raise ValueError(f"it has {len(blocks)} blocks: another network than BigGAN's discriminator")
  side, first = sides[0], take(arrays, "blocks.0.0.conv1.weight")
  plan = DISCRIMINATORS[side]
  options = {
    "width": len(take(arrays, "blocks.0.0.conv2.weight")) // plan.multiples[0],
    "wide": len(take(arrays, "blocks.1.0.conv1.weight"))
    == len(take(arrays, "blocks.1.0.conv2.weight")),
    "attention": tuple(dict.fromkeys(plan.heights[index] for index in blocks if blocks[index])),
    "spectral": "iterated" if "linear.u0" in arrays else "none",
    "epsilon": 1e-12 if side == 32 else 1e-6,
  }
  embed = arrays.get("embed.weight")
  classes = None if embed is None else len(embed)
  return build(
    "biggan_discriminator",
    options,
    arrays,
    _paths(arrays, False),
    shape=(side, side, first.shape[1]),
    classes=classes,
    fields={"num_classes": classes},
  )


def studio_generator(arrays: Arrays) -> Network:
  """Builds the generator of StudioGAN's backbone big_resnet; errors as of `generator`.

  Kang et al. 2023 (arXiv:2206.09479). In evaluation spectral norm has the singular vectors that
  training left, and the epsilons of norms are 1e-4.
  """
  if "linear0.weight" not in arrays and "linear0.weight_orig" not in arrays:
    raise ValueError("it has no linear0, as generators of StudioGAN's backbone big_resnet have")
  spectral = "linear0.weight_orig" in arrays
  indices = sorted({int(match[1]) for name in arrays if (match := _BLOCK.fullmatch(name))})
  places: dict[int, str] = {}
  count = 0
  for index in indices:  # an attention is a block of its own, after the one that it is of
    attends = any(name.startswith(f"blocks.{index}.0.conv1x1_theta") for name in arrays)
    places[index] = f"attention_{count - 1}" if attends else f"block_{count}"
    count += not attends
  side = SMALLEST << count
  weight = "weight_orig" if spectral else "weight"
  linear, gain = take(arrays, f"linear0.{weight}"), f"blocks.0.0.bn1.gain.{weight}"
  shared = arrays.get("shared.weight")
  if side not in GENERATORS or shared is None or gain not in arrays:
    raise ValueError(
      "it is no generator of StudioGAN's backbone big_resnet with classes, which alone is read"
    )
  heights = [SMALLEST << (int(p.partition("_")[2]) + 1) for p in places.values() if p[0] == "a"]
  options = {
    "width": len(linear) // SMALLEST**2 // GENERATORS[side][0],
    "hierarchical": arrays[gain].shape[1] > shared.shape[1],
    "shared": shared.shape[1],
    "attention": tuple(heights),
    "spectral": "frozen" if spectral else "none",
    "epsilon": 1e-6,
    "norm_epsilon": 1e-4,
    "output_epsilon": 1e-4,
  }
  shape = (side, side, len(take(arrays, f"conv2d5.{weight}")))
  paths = {name: path for name in arrays if (path := _studio_path(name, places))}
  return build(
    "biggan_generator",
    options,
    arrays,
    paths,
    shape=shape,
    latent=linear.shape[1] * (count + 1 if options["hierarchical"] else 1),
    classes=len(shared),
    place=place_first,
    fields={"shape": shape, "num_classes": len(shared)},
  )


_STUDIO = {
  "linear0": "linear",
  "conv2d0": "conv_sc",
  "conv2d1": "conv1",
  "conv2d2": "conv2",
  "bn4": "output_norm",
  "conv2d5": "output_conv",
  "conv1x1_attn": "o",
  **{f"conv1x1_{name}": name for name in ("theta", "phi", "g")},
}
_STUDIO_LEAVES: Mapping[str, tuple[str, ...]] = {
  "weight": ("params", "kernel"),
  "weight_orig": ("params", "kernel"),
  "bias": ("params", "bias"),
  "sigma": ("params", "gamma"),
  "weight_u": ("batch_stats", "spectral_norm", "u"),
  "weight_v": ("batch_stats", "spectral_norm", "v"),
  "running_mean": ("batch_stats", "mean"),
  "running_var": ("batch_stats", "var"),
}


def _studio_path(name: str, places: Mapping[int, str]) -> Path | None:
  """Returns the path of a weight or statistic of StudioGAN; None of counters."""
  *layers, leaf = name.split(".")
  if leaf not in _STUDIO_LEAVES:
    return None
  if layers == ["shared"]:
    return ("params", "shared", "embedding")
  collection, *rest = _STUDIO_LEAVES[leaf]
  if layers[0] == "blocks":
    layers = [places[int(layers[1])], *layers[3:]]
  parts = [_STUDIO.get(layer, layer) for layer in layers]
  if parts == ["output_norm"]:
    parts = ["output_norm", "bn"]
    rest = ["scale"] if leaf == "weight" else rest
  return (collection, *parts, *rest)


def _blocks(arrays: Arrays) -> dict[int, bool]:
  """Lists the blocks, and whether attention follows each."""
  matches = [match for name in arrays if (match := _BLOCK.fullmatch(name))]
  indices = sorted({int(match[1]) for match in matches})
  if indices != list(range(len(indices))) or not indices:
    raise ValueError("it has no blocks.0, blocks.1, ...: it is another network than BigGAN's")
  attends = {int(match[1]) for match in matches if match[2] == "1"}
  return {index: index in attends for index in indices}


def _paths(arrays: Arrays, by_class: bool) -> dict[str, Path]:
  return {name: path for name in arrays if (path := path_of(name, by_class)) is not None}
