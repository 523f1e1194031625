"""The leaves of a saved state: their shapes, dtypes and checksums, and how they may differ."""

import json
import math
import os
import pathlib
import re
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gan_jax.game.core import State
from gan_jax.parallel.mesh import to_host

Leaves = Mapping[str, np.ndarray]  # of a state, whole, on the host


class OtherGameError(ValueError):
  """A checkpoint holds a state of other arrays than those that were asked for."""


def check_sizes(folder: pathlib.Path, like: State) -> None:
  """Refuses arrays that would take more memory than the state: few bytes may announce many."""
  import orbax.checkpoint as ocp

  arrays = jax.tree.leaves(ocp.StandardCheckpointHandler().metadata(folder).tree)
  for array in arrays:
    part = array.storage.chunk_shape  # is unfolded whole, however little of it the array has
    if math.prod(part) > max(1, math.prod(array.shape)):
      raise ValueError(f"an array of the shape {array.shape} is stored in parts of {part}")
  stored = sum(math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in arrays)
  wanted = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(like))
  if stored > wanted:
    raise ValueError(f"its arrays have {stored} bytes, and the state has {wanted}")


def with_sharding(leaf: Any) -> Any:
  """Puts a leaf that has no sharding on the first device; Orbax would want the saved one."""
  if getattr(leaf, "sharding", None) is not None:
    return leaf
  first = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=first)


def with_key_of(leaves: Mapping[str, Any], like: State) -> State:
  """Replaces the kind of key by the saved one, for runs from when JAX's default was taken."""
  kinds = {"key<rbg>": "rbg", "key<urbg>": "unsafe_rbg"}
  saved = leaves.get(".key", {}).get("dtype")
  if saved not in kinds:
    return like
  key = jax.eval_shape(lambda: jax.random.key(0, impl=kinds[saved]))
  sharding = like.key.sharding
  return like.replace(key=jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=sharding))


def check_same_game(saved: dict[str, Any], wanted: dict[str, Any], path: pathlib.Path) -> None:
  """Checks that a checkpoint has the arrays of a game, and no others."""
  if ".images" not in saved:
    raise OtherGameError(
      f"checkpoint {path} is of an earlier version of gan_jax, which averaged parameters without "
      "bias correction and sampled them under other batch statistics; go on with it by that "
      "version (gan_jax 0.1), or train anew in another --workdir"
    )
  for name in sorted(saved.keys() | wanted.keys()):
    a, b = saved.get(name), wanted.get(name)
    if a is None or b is None or a["shape"] != b["shape"] or a["dtype"] != b["dtype"]:
      show = lambda leaf: f"{leaf['dtype']}{leaf['shape']}" if leaf else "nothing"
      raise OtherGameError(
        f"checkpoint {path} is of another game: {name} is {show(a)} there, {show(b)} here; "
        "use the config the run was started with, or another --workdir"
      )


def _by_name(state: State) -> dict[str, Any]:
  leaves = jax.tree_util.tree_leaves_with_path(state)
  return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def on_host(state: State) -> dict[str, np.ndarray]:
  """Reads every leaf of a state by its name; keys as the numbers they are made of."""
  return {name: to_host(leaf) for name, leaf in _by_name(state).items()}


def shapes(state: State) -> dict[str, dict[str, Any]]:
  """Describes every leaf by its shape and dtype."""
  return {
    name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}
    for name, leaf in _by_name(state).items()
  }


def describe(state: State, leaves: Leaves) -> dict[str, dict[str, Any]]:
  """Describes every leaf by its shape and dtype, and its bytes by a checksum."""
  like = shapes(state)
  return {name: {**like[name], "crc32": _crc32(x)} for name, x in leaves.items()}


def _crc32(values: np.ndarray) -> int:
  return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def checksum(values: Mapping[str, Any]) -> int:
  """Computes the checksum of values as JSON has them."""
  return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def reason(error: Exception) -> str:
  """Shortens an error of Orbax or TensorStore, which may have pages, to its cause."""
  if match := re.search(r"os_error_code='(\d+)'", str(error)):
    return os.strerror(int(match[1]))
  text = (str(error).splitlines() or [type(error).__name__])[0].split(" [tensorstore_spec")[0]
  return text if len(text) < 300 else text[:300] + " ..."
