"""The summary of a run: the last and the best of its scores, and the machine it was made on."""

import contextlib
import importlib.metadata
import math
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.cores import cores


def last_and_best(
  scored: Sequence[tuple[int, Mapping[str, float]]], better: Mapping[str, str]
) -> dict[str, Any]:
  """Returns each score's last and best value.

  Args:
    scored: rounds, and the scores of each.
    better: which way is better, "min" or "max", by score; of "none" there is no best.

  Returns:
    {score: {"last": value, "best": value, "best_round": round}}. Best alone would hide a collapse.
  """
  gathered = {}
  for name, direction in better.items():
    pairs = [(float(scores[name]), round) for round, scores in scored if name in scores]
    if pairs and direction == "none":
      gathered[name] = {"last": pairs[-1][0]}
    elif pairs:
      ranked = [pair for pair in pairs if not math.isnan(pair[0])] or pairs
      best, at = (min if direction == "min" else max)(ranked, key=lambda pair: pair[0])
      gathered[name] = {"last": pairs[-1][0], "best": best, "best_round": at}
  return gathered


def machine() -> dict[str, Any]:
  """Returns the versions of software, and the hardware, that numbers depend on."""
  import jax

  packages = ("gan_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
  versions = {}
  for package in packages:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[package] = importlib.metadata.version(package)
  return {
    "python": platform.python_version(),
    **versions,
    "platform": platform.platform(),
    "processor": _processor(),
    "cores": cores(),
    "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    "processes": jax.process_count(),
  }


def _processor() -> str:
  with contextlib.suppress(OSError):
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
      if line.startswith("model name"):
        return line.split(":", 1)[1].strip()
  return platform.processor()
