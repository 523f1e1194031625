"""Ablations: variants of a config by seeds, their runs, and their statistics.

Its names are imported when they are asked for: reading results needs no builder of experiments.
"""

import importlib
from typing import Any

_PLAN = ("Axis", "ablation", "axis")
_MODULES = ("outcomes", "results")


def __getattr__(name: str) -> Any:
  if name not in (*_PLAN, *_MODULES):
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  module = importlib.import_module(f"{__name__}.{'plan' if name in _PLAN else name}")
  return getattr(module, name) if name in _PLAN else module


def __dir__() -> list[str]:
  return sorted((*_PLAN, *_MODULES))
