"""JAX's own switches, for a run: those it fixes, remembers, or cannot be played under.

Precision and seeds are for the user to choose, so a run goes on under those that it was started
under. What is neither fixed (`gan_jax.game.random.FIXED`) nor remembered changes no number, or its
rounding alone.
"""

from typing import Any

import jax

from gan_jax.game.random import FIXED

REMEMBERED = ("default_matmul_precision", "random_seed_offset")
GUARDS = ("", "_host_to_device", "_device_to_device", "_device_to_host")


def fix_all() -> None:
  """Sets the switches that games fix for a whole process and its threads; for commands."""
  for name, value in FIXED.items():
    jax.config.update(f"jax_{name}", value)


def remembered() -> dict[str, Any]:
  """Returns the switches that numbers depend on, as they are set here."""
  return {f"JAX_{name.upper()}": getattr(jax.config, f"jax_{name}") for name in REMEMBERED}


def made_with() -> dict[str, Any]:
  """Returns what the rounding of numbers depends on, beside the layout."""
  return {"jax": jax.__version__, "device": jax.devices()[0].device_kind}


def check() -> None:
  """Checks that no switch is set under which a run cannot be played."""
  if getattr(jax.config, "jax_disable_jit", False):
    raise ValueError(
      "JAX_DISABLE_JIT: rounds are compiled before they are played; leave it out, and call "
      "gan_jax.game.play_round, which runs without a compiler, from Python"
    )
  for guard in (f"jax_transfer_guard{direction}" for direction in GUARDS):
    if str(getattr(jax.config, guard)).startswith("disallow"):
      raise ValueError(
        f"{guard.upper()} forbids to move data to devices and back, as every run does; leave it "
        "out, or set it to log"
      )
