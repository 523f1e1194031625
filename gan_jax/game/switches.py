"""JAX's own switches: those that games do not depend on, and those that a run remembers.

JAX_ENABLE_X64, JAX_THREEFRY_PARTITIONABLE, JAX_DEFAULT_PRNG_IMPL and JAX_NUMPY_DTYPE_PROMOTION may
be set for other code; a game plays the same numbers under all of them. Precision and seeds are for
the user to choose, so a run goes on under those that it was started under. What is neither changes
no number, or its rounding alone.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

P = ParamSpec("P")
R = TypeVar("R")

# Draws of a batch of keys of the kind "rbg" depend on the first key alone, and so on the layout.
KEYS = "threefry2x32"
FIXED: dict[str, Any] = {
  "enable_x64": False,
  "threefry_partitionable": True,
  "default_prng_impl": KEYS,
  "numpy_dtype_promotion": "standard",
}
REMEMBERED = ("default_matmul_precision", "random_seed_offset")
GUARDS = ("", "_host_to_device", "_device_to_device", "_device_to_host")


def fixed(function: Callable[P, R]) -> Callable[P, R]:
  """Makes a function compute the same whatever JAX's switches say, also while it is traced."""

  @functools.wraps(function)
  def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
    with contextlib.ExitStack() as stack:
      for name, value in FIXED.items():
        stack.enter_context(getattr(jax, name)(value))
      return function(*args, **kwargs)

  return wrapped


def in_32_bits(x: jax.Array) -> jax.Array:
  """Takes an array that was made under JAX_ENABLE_X64 to what it had been without; in `fixed`."""
  dtype: Any = jax.dtypes.canonicalize_dtype(x.dtype, allow_extended_dtype=True)
  return jnp.asarray(x, dtype)


def fix_all() -> None:
  """Does so for a whole process and its threads; for programs of our own."""
  for name, value in FIXED.items():
    jax.config.update(f"jax_{name}", value)


def remembered() -> dict[str, Any]:
  """Lists the switches that numbers depend on, as they are here."""
  return {f"JAX_{name.upper()}": getattr(jax.config, f"jax_{name}") for name in REMEMBERED}


def made_with() -> dict[str, Any]:
  """Tells what the rounding of numbers depends on, beside the layout."""
  return {"jax": jax.__version__, "device": jax.devices()[0].device_kind}


def check() -> None:
  """Refuses switches under which no run can be played."""
  if getattr(jax.config, "jax_disable_jit", False):
    raise ValueError(
      "JAX_DISABLE_JIT: rounds are compiled before they are played; leave it out, and call "
      "gan_jax.game.play_round, which runs without a compiler, from Python"
    )
  for guard in (f"jax_transfer_guard{what}" for what in GUARDS):
    if str(getattr(jax.config, guard)).startswith("disallow"):
      raise ValueError(
        f"{guard.upper()} forbids to move data to devices and back, as every run does; leave it "
        "out, or set it to log"
      )
