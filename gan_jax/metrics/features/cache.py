"""The cache of trained classifiers and of features of real images: computed once, then read."""

import contextlib
import hashlib
import os
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flax import serialization

from gan_jax.files import atomic_write, cache_folder

CHECKSUM = 32  # bytes of it, before those of a tree


def writable_cache_folder(given: str | pathlib.Path | None) -> pathlib.Path:
  """Creates the cache folder, before anything is computed for it.

  Args:
    given: see `files.cache_folder`.

  Returns:
    The path.

  Raises:
    OSError: the folder cannot be written.
  """
  folder = cache_folder(given)
  with contextlib.suppress(OSError):
    folder.mkdir(parents=True, exist_ok=True)
  if not os.access(folder, os.W_OK | os.X_OK):
    raise OSError(
      f"the cache folder {folder} cannot be made or written: name another in GAN_JAX_CACHE"
    )
  return folder


def load_or_make(path: pathlib.Path, kind: str, make: Callable[[], Any]) -> Any:
  """Loads a tree of arrays from a file; makes and writes it if there is none, or a damaged one.

  Args:
    path: path of the file, which is written whole or not at all.
    kind: kind of content, for messages.
    make: function that computes the tree.
  """
  if path.is_file():
    content = path.read_bytes()
    checksum, data = content[:CHECKSUM], content[CHECKSUM:]
    if hashlib.sha256(data).digest() == checksum:
      with contextlib.suppress(Exception):  # a right checksum does not mean that the format is
        return serialization.msgpack_restore(data)
    print_message(f"{path} is damaged: making the {kind} again")
  tree = make()
  data = serialization.msgpack_serialize(tree)
  try:
    with atomic_write(path) as temporary:
      temporary.write_bytes(hashlib.sha256(data).digest() + data)
  except OSError as error:  # the tree is still good for this process
    print_message(f"the {kind} cannot be kept in {path} ({error})")
  return tree


def content_hash(arrays: Mapping[str, np.ndarray], text: str = "") -> str:
  """Computes the sha256 of arrays, in the order of their names, and of a text before them."""
  digest = hashlib.sha256(text.encode())
  for name in sorted(arrays):
    array = arrays[name]
    digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()


def print_message(text: str) -> None:
  """Prints a message to stderr, beside the results on stdout."""
  print(text, file=sys.stderr, flush=True)
