"""SNGAN and its kin, as kwotsin/mimicry names their weights.

Miyato et al. 2018 (arXiv:1802.05957, 1802.05637), Chen et al. 2019 (SSGAN, arXiv:1811.11212); Lee &
Town 2020 (mimicry, arXiv:2005.02494). Generators double maps by bilinear interpolation; shortcuts
of discriminators are rectified.
"""

import re
from collections.abc import Mapping

import numpy as np

from gan_jax.nets.published.layout import Arrays, Network, Path, build, channels_last, side_of, take
from gan_jax.nets.published.layout import in_our_layout as layout
from gan_jax.nets.sngan import DISCRIMINATORS, GENERATORS

LAYERS = {"c1": "Conv_0", "c2": "Conv_1", "c_sc": "Dense_0", "b1": "Norm_0", "b2": "Norm_1"}
LEAVES = {
  "weight": ("params", "kernel"),
  "weight_orig": ("params", "kernel"),
  "bias": ("params", "bias"),
  "weight_u": ("batch_stats", "spectral_norm", "u"),
  "sn_u": ("batch_stats", "spectral_norm", "u"),
}
NORM = {
  "weight": ("params", "scale"),
  "bias": ("params", "bias"),
  "running_mean": ("batch_stats", "mean"),
  "running_var": ("batch_stats", "var"),
}
_BLOCK = re.compile(r"block(\d+)\.(c1|c2|c_sc|b1|b2)(?:\.bn)?\.(\w+)")
_LAST = re.compile(r"([bcl])(\d+|_y)\.(\w+)")


def discriminator_path(name: str) -> Path | None:
  """Returns the path of a weight, or of the vector u of its spectral norm; None of others."""
  if match := _BLOCK.fullmatch(name):
    number, layer, leaf = match.groups()
    if leaf not in LEAVES:
      return None
    collection, *rest = LEAVES[leaf]
    return (collection, f"DiscriminatorBlock_{int(number) - 1}", LAYERS[layer], *rest)
  match = _LAST.fullmatch(name)
  if match is None or match[1] != "l" or match[3] not in LEAVES:
    return None
  collection, *rest = LEAVES[match[3]]
  return (collection, "Logit_0", "embedding" if match[2] == "_y" else "logit", *rest)


def generator_path(name: str) -> Path | None:
  """Returns the path of a weight or statistic; None of counters."""
  if match := _BLOCK.fullmatch(name):
    number, layer, leaf = match.groups()
    block = f"GeneratorBlock_{int(number) - 2}"
    of, norm = (NORM, ["BatchNorm_0"]) if layer[0] == "b" else (LEAVES, [])
    if leaf not in of:
      return None
    collection, *rest = of[leaf]
    return (collection, block, LAYERS[layer], *norm, *rest)
  match = _LAST.fullmatch(name)
  kinds: dict[str, tuple[Mapping[str, tuple[str, ...]], list[str]]]
  kinds = {"l": (LEAVES, ["Dense_0"]), "c": (LEAVES, ["Conv_0"])}
  kinds["b"] = (NORM, ["Norm_0", "BatchNorm_0"])
  if match is None or match[2] == "_y" or match[3] not in kinds[match[1]][0]:
    return None
  leaves, parts = kinds[match[1]]
  collection, *rest = leaves[match[3]]
  return (collection, *parts, *rest)


def is_generator(arrays: Arrays) -> bool:
  """Checks whether arrays are a generator's, by its first layer."""
  return "l1.weight" in arrays or "l1.weight_orig" in arrays


def generator(arrays: Arrays) -> Network:
  """Builds the generator of SNGAN, SSGAN, InfoMax-GAN or cGAN-PD of a state dict.

  Raises:
    ValueError: another network, such as SAGAN's.
  """
  if any(name.endswith("weight_orig") for name in arrays):
    raise ValueError("it is a generator with spectral norm (SAGAN), which is not read")
  first, linear = take(arrays, "block2.c1.weight"), take(arrays, "l1.weight")
  smallest = side_of(len(linear) // first.shape[1])
  count = len({m[1] for name in arrays if (m := _BLOCK.fullmatch(name))})
  side = smallest << count
  if side not in GENERATORS:
    raise ValueError(f"it makes images of {side} pixels: expected one of {sorted(GENERATORS)}")
  arrays, classes = _split_embeddings(arrays)
  image = take(arrays, f"c{count + 2}.weight")
  shape = (side, side, len(image))
  paths = {name: path for name in arrays if (path := generator_path(name))}
  paths |= {name: _embedding_path(name) for name in arrays if ".embed." in name}
  if classes:  # the last norm, which is one for all classes
    tables = {"weight": "scale", "bias": "shift"}
    last = f"b{count + 2}"
    paths |= {f"{last}.{k}": ("params", "Norm_0", v, "kernel") for k, v in tables.items()}

  def place(path: Path, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
    if path[1] == "Dense_0":
      array = channels_last(array, first.shape[1])
    elif path[-2] in ("scale", "shift"):
      return np.broadcast_to(array, shape)  # a row for each class
    return layout(path, shape, array)

  return build(
    "sngan_generator",
    {"width": first.shape[1] // GENERATORS[side].multiples[0], "upsampling": "bilinear"},
    arrays,
    paths,
    shape=shape,
    latent=linear.shape[1],
    classes=classes,
    place=place,
    fields={"shape": shape, "num_classes": classes},
  )


def discriminator(arrays: Arrays) -> Network:
  """Builds the discriminator of SNGAN, cGAN-PD, or SSGAN without its rotations."""
  numbers = sorted({int(m[1]) for name in arrays if (m := _BLOCK.fullmatch(name))})
  first = take(arrays, "block1.c1.weight_orig")
  plans = {side: p for side, p in DISCRIMINATORS.items() if len(p.multiples) == len(numbers)}
  widths = [len(take(arrays, f"block{number}.c2.weight_orig")) for number in numbers]
  sides = [
    side
    for side, plan in plans.items()
    if [m * (widths[0] // plan.multiples[0]) for m in plan.multiples] == widths
  ]
  if not sides:
    raise ValueError(f"it has blocks of {widths} channels: another network than SNGAN's")
  side = sides[0]
  table = arrays.get("l_y.weight_orig", arrays.get("l_y.weight"))
  embedding = table is not None and "l_y.bias" not in arrays
  classes = len(table) if embedding and table is not None else None
  paths = {
    name: path
    for name in arrays
    if (path := discriminator_path(name)) and (embedding or not name.startswith("l_y"))
  }

  def place(path: Path, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
    if path[1:3] == ("Logit_0", "embedding"):
      if path[-1] == "u":  # a table is the transpose of a layer of one-hot labels: so is its u
        assert table is not None
        array = array.reshape(-1) @ table
        array = array / np.linalg.norm(array)
      return array.reshape(shape)
    return layout(path, shape, array)

  return build(
    "sngan_discriminator",
    {"width": widths[0] // DISCRIMINATORS[side].multiples[0], "rectified_shortcut": True},
    arrays,
    paths,
    shape=(side, side, first.shape[1]),
    classes=classes,
    place=place,
    fields={"num_classes": classes},
  )


def _split_embeddings(arrays: Arrays) -> tuple[Arrays, int | None]:
  """Splits the tables of conditional norms in those of scales and of shifts."""
  split, classes = {}, None
  for name, array in arrays.items():
    if name.endswith(".embed.weight"):
      classes, half = len(array), array.shape[1] // 2
      stem = name.removesuffix("weight")
      split[f"{stem}scale"], split[f"{stem}shift"] = array[:, :half], array[:, half:]
    else:
      split[name] = array
  return split, classes


def _embedding_path(name: str) -> Path:
  block, norm, _, leaf = name.split(".")
  number = int(block.removeprefix("block")) - 2
  return ("params", f"GeneratorBlock_{number}", LAYERS[norm], leaf, "kernel")
