"""What is made once and kept: trained classifiers, and what networks saw in real images."""

import contextlib
import hashlib
import json
import os
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flax import serialization

from gan_jax.files import atomic_write
from gan_jax.metrics.features.extractor import Extractor, Outputs, extract


def cache_folder(given: str | pathlib.Path | None) -> pathlib.Path:
  """Makes the cache folder, before anything is computed that it is to hold.

  Args:
    given: its path; by default $GAN_JAX_CACHE, else ~/.cache/gan_jax.

  Returns:
    The path.

  Raises:
    OSError: it cannot be written.
  """
  folder = pathlib.Path(given or os.environ.get("GAN_JAX_CACHE") or "~/.cache/gan_jax").expanduser()
  with contextlib.suppress(OSError):
    folder.mkdir(parents=True, exist_ok=True)
  if not os.access(folder, os.W_OK | os.X_OK):
    raise OSError(
      f"the cache folder {folder} cannot be made or written: name another in GAN_JAX_CACHE"
    )
  return folder


def kept(path: pathlib.Path, what: str, make: Callable[[], Any]) -> Any:
  """Reads a tree of arrays from a file; makes and writes it if there is none, or a damaged one.

  Args:
    path: of the file, which is written whole or not at all.
    what: it is, for the message that it is damaged.
    make: makes it.

  Returns:
    The tree.
  """
  if path.is_file():
    content = path.read_bytes()
    checksum, data = content[:32], content[32:]
    if hashlib.sha256(data).digest() == checksum:
      with contextlib.suppress(Exception):  # a checksum does not say who wrote it, nor what
        return serialization.msgpack_restore(data)
    say(f"{path} is damaged: making the {what} again")
  tree = make()
  data = serialization.msgpack_serialize(tree)
  try:
    with atomic_write(path) as temporary:
      temporary.write_bytes(hashlib.sha256(data).digest() + data)
  except OSError as error:  # it is made, and good for once
    say(f"the {what} cannot be kept in {path} ({error})")
  return tree


def extract_once(
  extractor: Extractor,
  images: np.ndarray,
  *,
  cache_dir: str | pathlib.Path | None = None,
  batch_size: int = 100,
) -> Outputs:
  """Looks at images as `extract` does, and never again at the same ones with the same network.

  Args:
    extractor: what looks; its card, with the checksum of its weights, is its name.
    images: uint8 [N, H, W, C].
    cache_dir: see `cache_folder`.
    batch_size: images at a time.

  Returns:
    As `extract` does.
  """
  if extractor.card["sha256"] is None:  # no network: quicker made than read
    return extract(extractor, images, batch_size=batch_size)
  key = content_hash({"x": images}, json.dumps(extractor.card, sort_keys=True))
  path = cache_folder(cache_dir) / f"seen-{key[:32]}.msgpack"
  return kept(path, "features", lambda: extract(extractor, images, batch_size=batch_size))


def content_hash(arrays: Mapping[str, np.ndarray], text: str = "") -> str:
  """Computes the sha256 of arrays, in the order of their names, and of a text before them."""
  digest = hashlib.sha256(text.encode())
  for name in sorted(arrays):
    array = arrays[name]
    digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()


def say(text: str) -> None:
  """Tells the user, beside the results."""
  print(text, file=sys.stderr, flush=True)
