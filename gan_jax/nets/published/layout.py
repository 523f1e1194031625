"""Published weights in the place, the layout and the shape that they have here."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax.game.random import make_key
from gan_jax.nets import NETWORKS

Path = tuple[str, ...]  # of a leaf, from its collection on: ("params", "conv1", "kernel")
Arrays = Mapping[str, np.ndarray]
Place = Callable[[Path, tuple[int, ...], np.ndarray], np.ndarray]


class Network(NamedTuple):
  """A network of published code, as the one here that computes the same.

  Attributes:
    name: one of `nets.NETWORKS`.
    options: fields of it that a config has.
    shape: shape of the images (H, W, C) that it makes, or is shown; H = W = 0 for any.
    variables: its parameters and statistics.
    latent: entries of its latents; 0 of a network of images.
    classes: number of classes; None of a network without labels.
    unused: names of what the file has beside them.
  """

  name: str
  options: Mapping[str, Any]
  shape: tuple[int, int, int]
  variables: Mapping[str, Any]
  latent: int = 0
  classes: int | None = None
  unused: tuple[str, ...] = ()


class Weights(NamedTuple):
  """Networks of files.

  Attributes:
    networks: by their names in the game.
    averages: variables of the moving averages of some of them.
    missing: networks that the game needs beside them: name and options of each.
  """

  networks: Mapping[str, Network]
  averages: Mapping[str, Any] = {}
  missing: Mapping[str, tuple[str, Mapping[str, Any]]] = {}


def in_our_layout(path: Path, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
  """Transposes a published array: channels last, and inputs before outputs.

  Args:
    path: path of the leaf that it becomes.
    shape: shape of that.
    array: kernels [O, I, H, W], of transposed convolutions [I, O, H, W], or [O, I]; maps [C, H, W];
      others as they are.

  Returns:
    Array of that shape.

  Raises:
    ValueError: the array has other sizes.
  """
  if path[-1] == "kernel" and array.ndim == 4:
    transposed = path[-2].startswith("Transposed")
    axes = (2, 3, 0, 1) if transposed else (2, 3, 1, 0)
    array = (array[:, :, ::-1, ::-1] if transposed else array).transpose(axes)
  elif path[-1] == "kernel" and array.ndim == 2:
    array = array.T
  elif len(shape) == 3 and array.ndim >= 3:
    array = array.reshape(-1, *array.shape[-2:]).transpose(1, 2, 0)
  if [n for n in array.shape if n > 1] != [n for n in shape if n > 1]:
    raise ValueError(f"{list(array.shape)} in our layout, where {list(shape)} was expected")
  return array.reshape(shape)


def variables_of(
  network: nn.Module,
  inputs: Sequence[Any],
  arrays: Arrays,
  paths: Mapping[str, Path],
  place: Place = in_our_layout,
) -> dict[str, Any]:
  """Arranges published arrays as the variables of a network.

  Args:
    network: the module.
    inputs: shapes of what it is called with.
    arrays: published arrays, by name.
    paths: leaf that each is of; arrays without one are left out.
    place: (path, shape, array) -> the array of a leaf.

  Returns:
    {"params": ..., "batch_stats": ...}, float32.

  Raises:
    ValueError: an array has another shape, a leaf has no array, or the network has no such leaf.
  """
  like = jax.eval_shape(lambda *x: network.init(make_key(0), *x, train=False), *inputs)
  shapes = {path: leaf.shape for path, leaf in flatten_dict(like).items()}
  leaves: dict[Path, np.ndarray] = {}
  kind = type(network).__name__
  for name, path in paths.items():
    if path not in shapes:
      raise ValueError(f"it has {name}, and {kind} has no {'.'.join(path)}: it is another network")
    try:
      leaves[path] = np.asarray(place(path, shapes[path], arrays[name]), np.float32)
    except ValueError as error:
      sizes = list(arrays[name].shape)
      raise ValueError(f"{name} has shape {sizes}: {error}; it is another network") from error
  if lacking := [path for path in shapes if path not in leaves]:
    raise ValueError(
      f"it has nothing for {'.'.join(lacking[0])} of {kind} and {len(lacking) - 1} others: it is"
      " another network"
    )
  return unflatten_dict(leaves)


def build(
  name: str,
  options: Mapping[str, Any],
  arrays: Arrays,
  paths: Mapping[str, Path],
  *,
  shape: tuple[int, int, int],
  latent: int = 0,
  classes: int | None = None,
  place: Place = in_our_layout,
  fields: Mapping[str, Any] | None = None,
  side: int = 0,
) -> Network:
  """Builds a network of published arrays.

  Args:
    name: one of `nets.NETWORKS`.
    options: fields of it that a config has.
    arrays, paths, place: see `variables_of`.
    shape: see `Network`; where it says nothing of height and width, `side` does.
    latent: entries of its latents; 0 of a network of images.
    classes: number of classes; None of a network without labels.
    fields: fields of it that the data decide.
    side: pixels of a side of images that its variables are made for, where any will do.
  """
  module = NETWORKS[name](**options, **(fields or {}))
  height = side or shape[0]
  x = (1, latent) if latent else (1, height, height, shape[-1])
  inputs: list[Any] = [jax.ShapeDtypeStruct(x, jnp.float32)]
  if classes is not None:
    inputs.append(jax.ShapeDtypeStruct((1,), jnp.int32))
  variables = variables_of(module, inputs, arrays, paths, place)
  unused = tuple(name for name in arrays if name not in paths)
  return Network(name, options, shape, variables, latent, classes, unused)


def one_of(files: Sequence[tuple[str, Any]]) -> Any:
  """Returns what is in the one file of a snapshot.

  Raises:
    ValueError: there are several files.
  """
  if len(files) != 1:
    raise ValueError(f"there are {len(files)} files: expected one snapshot, which has all networks")
  return files[0][1]


def channels_last(array: np.ndarray, channels: int, axis: int = 0) -> np.ndarray:
  """Reorders an axis of maps that were flattened with channels first, to channels last."""
  array = np.moveaxis(array, axis, 0)
  rest = array.shape[1:]
  array = array.reshape(channels, -1, *rest).swapaxes(0, 1).reshape(-1, *rest)
  return np.moveaxis(array, 0, axis)


def side_of(places: int) -> int:
  """Returns the height of a square map of so many places.

  Raises:
    ValueError: there is no such square.
  """
  side = math.isqrt(max(0, places))
  if side * side != places or not side:
    raise ValueError(f"a map of {places} places is no square: it is another network")
  return side


def take(arrays: Arrays, name: str) -> np.ndarray:
  """Returns the array of a name by which a network is told.

  Raises:
    ValueError: there is none.
  """
  if name not in arrays:
    raise ValueError(f"it has no {name}: it is another network")
  return arrays[name]
