"""Compiled programs, kept on disk: each is written whole or not at all.

JAX 0.10.2 writes them in place, and never over one that is there: a process killed in between, or a
full disk, leaves a part, which every later process reads, warns of, and compiles again.
"""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax

from gan_jax.files import atomic_write, cache_folder


def keep_programs(folder: str | os.PathLike[str] | None = None, seconds: float = 0.1) -> None:
  """Keeps compiled programs, of this process and others, in a folder.

  To be called before anything is compiled, after which JAX looks for no cache.

  Args:
    folder: folder of the cache; by default JAX's own, if JAX_COMPILATION_CACHE_DIR names one, or
      `xla` in `files.cache_folder()`.
    seconds: shortest time of compiling for a program to be kept, but in JAX's own folder. Small
      programs too: a short run has a dozen, of 0.1 to 1 s each.
  """
  write_whole()
  if folder is None and os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    return
  folder = folder or cache_folder() / "xla"
  jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(folder).expanduser()))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


def write_whole() -> None:
  """Sets how JAX writes an entry of its cache: to a file that takes its place once it is whole."""
  try:
    from jax._src.lru_cache import LRUCache
  except ImportError:  # another JAX, which is left as it is
    return
  if not hasattr(LRUCache.put, "__wrapped__"):
    setattr(LRUCache, "put", _written_whole(LRUCache.put))  # noqa: B010


def _written_whole(put: Callable[[Any, str, bytes], None]) -> Callable[[Any, str, bytes], None]:
  @functools.wraps(put)
  def put_whole(cache: Any, key: str, value: bytes) -> None:
    folder = str(cache.path)
    if cache.eviction_enabled or "://" in folder:  # under a lock; or no files, and whole already
      return put(cache, key, value)
    # Over one that is there: JAX could not read it, else it would not have compiled.
    with atomic_write(pathlib.Path(folder, f"{key}-cache")) as path:
      path.write_bytes(value)

  return put_whole
