"""BigGAN and SAGAN, as ajbrock/BigGAN-PyTorch and StudioGAN name their weights.

Brock et al. 2019 (arXiv:1809.11096), Zhang et al. 2019 (arXiv:1805.08318). Their files do not say
how the networks were made: sizes are those of the weights. Numbers that leave no trace there are
the published ones: the epsilon of spectral norm is 1e-12 at 32 pixels and 1e-6 above.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gan_jax.nets.biggan.biggan import DISCRIMINATORS, GENERATORS, SMALLEST
from gan_jax.nets.heads import EmbeddingHead
from gan_jax.nets.published.layout import (
  Arrays,
  Network,
  Path,
  Place,
  build,
  channels_last,
  take,
)
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


def is_studio_generator(arrays: Arrays) -> bool:
  """Checks whether arrays are a StudioGAN generator's, by its first layer."""
  return any(name.startswith("linear0.") for name in arrays)


def studio_generator(arrays: Arrays) -> Network:
  """Builds the generator of StudioGAN's backbone big_resnet; errors as of `generator`.

  Kang et al. 2023 (arXiv:2206.09479). In evaluation spectral norm has the singular vectors that
  training left, and the epsilons of norms are 1e-4.
  """
  spectral = "linear0.weight_orig" in arrays
  places = _studio_places(arrays)
  count = sum(place.startswith("block") for place in places.values())
  side = SMALLEST << count
  weight = "weight_orig" if spectral else "weight"
  linear, gain = take(arrays, f"linear0.{weight}"), arrays.get(f"blocks.0.0.bn1.gain.{weight}")
  shared = arrays.get("shared.weight")
  if any(name.startswith("info_") for name in arrays):
    raise ValueError("its latents are joined by codes (InfoGAN), which is not read")
  of_shared, classes = (0, None) if shared is None else (shared.shape[1], len(shared))
  # Without classes a norm sees a chunk of the latent alone; one of the backbone resnet, the class.
  if side not in GENERATORS or gain is None or gain.shape[1] != of_shared + linear.shape[1]:
    raise ValueError("it is no generator of StudioGAN's backbone big_resnet, which alone is read")
  heights = [SMALLEST << (int(p.partition("_")[2]) + 1) for p in places.values() if p[0] == "a"]
  multiples = STUDIO_GENERATORS.get(side, GENERATORS[side])
  options = {
    "width": len(linear) // SMALLEST**2 // multiples[0],
    "multiples": STUDIO_GENERATORS.get(side, ()),
    "hierarchical": True,
    "shared": of_shared,
    "attention": tuple(heights),
    "spectral": "frozen" if spectral else "none",
    "epsilon": 1e-6,
    "norm_epsilon": 1e-4,
    "output_epsilon": 1e-4,
  }
  shape = (side, side, len(take(arrays, f"conv2d5.{weight}")))
  return build(
    "biggan_generator",
    options,
    arrays,
    _studio_paths(arrays, places),
    shape=shape,
    latent=linear.shape[1] * (count + 1),
    classes=classes,
    place=_studio_place(place_first),
    fields={"shape": shape, "num_classes": classes},
  )


def studio_discriminator(arrays: Arrays) -> Network:
  """Builds the discriminator of StudioGAN's backbone big_resnet, and of its resnet, the same.

  Kang et al. 2023 (arXiv:2206.09479). Activations overwrite their inputs, so that the shortcuts of
  all blocks but the first are of relu(x).

  Raises:
    ValueError: another network, or one with outputs that no network here has.
  """
  for sign, what in _STUDIO_HEADS.items():
    if any(name.startswith(sign) for name in arrays):
      raise ValueError(f"it has {sign}, {what}, which is not read")
  if any(name.endswith("running_mean") for name in arrays):
    raise ValueError("it has batch norm in the place of spectral norm, which is not read")
  linear, embedding = take(arrays, "linear1.weight_orig"), arrays.get("embedding.weight_orig")
  if len(linear) > 1:
    raise ValueError(f"it has {len(linear)} logits (MD or MH), which is not read: expected one")
  head = arrays.get("linear2.weight_orig")
  if head is not None and embedding is None:
    # Whether the features are normalised before it is not said either.
    raise ValueError("it has logits of classes without a bias (AC), which is not read")
  places = _studio_places(arrays)
  count = sum(place.startswith("block") for place in places.values())
  sides = [side for side, plan in DISCRIMINATORS.items() if len(plan.multiples) == count]
  if not sides:
    raise ValueError(f"it has {count} blocks: another network than of 32 to 256 pixels")
  side, first = sides[0], take(arrays, "blocks.0.0.conv2d1.weight_orig")
  classes = None if embedding is None else len(embedding)
  options = {
    "width": len(first) // DISCRIMINATORS[side].multiples[0],
    "attention_blocks": tuple(int(p.partition("_")[2]) for p in places.values() if p[0] == "a"),
    "rectified_shortcut": True,
    "spectral": "frozen",
    "epsilon": 1e-6,
  }
  paths = _studio_paths(arrays, places)
  fields: dict[str, Any] = {"num_classes": classes}
  if head is not None:
    paths = {name: _OF_HEAD.get(path[1], lambda path: path)(path) for name, path in paths.items()}
    fields["head"] = EmbeddingHead(len(head))
  return build(
    "biggan_discriminator" if head is None else "auxiliary_biggan_discriminator",
    options,
    arrays,
    paths,
    shape=(side, side, first.shape[1]),
    classes=classes,
    place=_studio_place(layout),
    fields=fields,
  )


# Channels of the generator's first map and of each block, in widths, where BigGAN-PyTorch's differ.
STUDIO_GENERATORS = {64: (16, 8, 4, 2, 1)}
_STUDIO_HEADS = {"linear_mi": "a second classifier (TAC)", "info_": "codes (InfoGAN)"}
_OTHER = {"u": "v", "v": "u", "embedding": "kernel"}
# Of the network with a head, whose classes are one-hot in the place of rows of a table: what is
# left of the table is right here. The next step of power iteration is half a step apart.
_OF_HEAD: Mapping[str, Callable[[Path], Path]] = {
  "linear": lambda path: (path[0], "Logit_0", "logit", *path[2:]),
  "linear2": lambda path: (path[0], "head", "embedding", *path[2:]),
  "embed": lambda path: (path[0], "head", "proxy", *path[2:-1], _OTHER[path[-1]]),
}
_STUDIO = {
  "linear0": "linear",
  "linear1": "linear",
  "embedding": "embed",
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


def _studio_places(arrays: Arrays) -> dict[int, str]:
  """Returns the modules of StudioGAN's blocks, in which an attention counts as one of its own."""
  indices = sorted({int(match[1]) for name in arrays if (match := _BLOCK.fullmatch(name))})
  places: dict[int, str] = {}
  count = 0
  for index in indices:
    attends = any(name.startswith(f"blocks.{index}.0.conv1x1_theta") for name in arrays)
    places[index] = f"attention_{count - 1}" if attends else f"block_{count}"
    count += not attends
  return places


def _studio_paths(arrays: Arrays, places: Mapping[int, str]) -> dict[str, Path]:
  return {name: path for name in arrays if (path := _studio_path(name, places))}


def _studio_path(name: str, places: Mapping[int, str]) -> Path | None:
  """Returns the path of a weight or statistic of StudioGAN; None of counters."""
  *layers, leaf = name.split(".")
  if leaf not in _STUDIO_LEAVES:
    return None
  collection, *rest = _STUDIO_LEAVES[leaf]
  if layers[0] == "blocks":
    layers = [places[int(layers[1])], *layers[3:]]
  parts = [_STUDIO.get(layer, layer) for layer in layers]
  if parts == ["output_norm"]:
    parts = ["output_norm", "bn"]
    rest = ["scale"] if leaf == "weight" else rest
  if parts in (["shared"], ["embed"]) and rest == ["kernel"]:
    rest = ["embedding"]
  return (collection, *parts, *rest)


def _studio_place(place: Place) -> Place:
  """Returns `place`, but for tables, and the left vector of a convolution, its inputs first."""

  def own(path: Path, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
    if path[1:3] == ("head", "proxy"):
      return array.reshape(shape)
    if path[-1] == "v" and path[-3] in ("conv1", "conv2", "output_conv"):
      array = channels_last(array, len(array) // 9)  # of 3 x 3 places
    return place(path, shape, array)

  return own


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
