"""Names become objects: every key of a config, its check and its object.

The names of `config` are imported when they are asked for: the command line answers at once.
"""

import importlib
from typing import Any

_NAMES = (
  *("OPTIMIZERS", "SCHEDULES", "Key", "check", "default_config", "free_numbers", "from_file"),
  *("from_values", "keys", "network", "optimizer", "replaced", "schedule", "section"),
)


def __getattr__(name: str) -> Any:
  if name not in _NAMES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  return getattr(importlib.import_module("gan_jax.run.config.config"), name)


def __dir__() -> list[str]:
  return sorted(_NAMES)
