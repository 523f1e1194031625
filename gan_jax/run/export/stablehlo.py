"""A generator in one file that JAX opens without gan_jax: StableHLO, written by `jax.export`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from gan_jax.game.random import KEYS, fixed
from gan_jax.run.export.generator import OTHERS, Generator

PLATFORMS = ("cpu", "cuda", "tpu")
MANY = 64  # examples that the lines which open a file ask for


@fixed
def serialized(generator: Generator, *, from_key: bool = False) -> bytes:
  """Serializes a generator for all `PLATFORMS` and any number of examples.

  Args:
    generator: the generator.
    from_key: whether it draws its latents itself, from a typed key in their place.

  Returns:
    What `jax.export.deserialize` reads.

  Raises:
    ValueError: a key for a translator, which draws nothing.
  """
  (n,) = jax.export.symbolic_shape("n")
  specs: dict[str, Any] = {
    name: jax.ShapeDtypeStruct((n, *of.shape), of.dtype) for name, of in generator.inputs.items()
  }
  call = generator.generate
  if from_key:
    if generator.draw is None:
      raise ValueError("a translator starts from images and not from a key: leave out --from_key")
    call = generator.draw
    key = jax.eval_shape(lambda: jax.random.key(0, impl=KEYS))
    others = {name: spec for name, spec in specs.items() if name in OTHERS}
    specs = {"key": key, **(others or {"count": jax.ShapeDtypeStruct((n,), jnp.float32)})}
  # Products of float32 as float32 on every device: on some they are of fewer bits by default.
  with jax.default_matmul_precision("highest"), _without_folders():
    exported = jax.export.export(jax.jit(call), platforms=PLATFORMS)(*specs.values())
  return bytes(exported.serialize())


@contextlib.contextmanager
def _without_folders() -> Iterator[None]:
  """Has JAX name source files without the folders that they lie in on this machine."""
  name = "jax_hlo_source_file_canonicalization_regex"
  before = getattr(jax.config, name)
  jax.config.update(name, ".*/")
  try:
    yield
  finally:
    jax.config.update(name, before)


def usage(generator: Generator, file: str, *, from_key: bool = False) -> str:
  """Formats three lines of Python that open a file of a generator and draw examples."""
  given = {name: _example(of.shape, of.dtype, name) for name, of in generator.inputs.items()}
  if from_key:
    others = {name: text for name, text in given.items() if name in OTHERS}
    count = {"count": f"jax.numpy.zeros({MANY})"}
    given = {"key": "jax.random.key(0)", **(others or count)}
  return (
    "import jax.export\n"
    f"generator = jax.export.deserialize(open({file!r}, 'rb').read())\n"
    f"x = generator.call({', '.join(given.values())})"
  )


def _example(shape: tuple[int, ...], dtype: str, name: str) -> str:
  """Formats an input of `MANY` examples."""
  if dtype == "int32":
    return f"jax.numpy.arange({MANY}) % 2"
  if name in ("psi", "x"):
    return f"jax.numpy.ones({(MANY, *shape) if shape else MANY})"
  return f"jax.random.normal(jax.random.key(0), {(MANY, *shape)})"
