"""Names become objects: every key of a config, its check and its object.

The names of `config` are imported when they are asked for: the command line answers at once.
"""

import importlib
from typing import Any

_NAMES = {
  **dict.fromkeys(
    ("complete", "default_config", "from_file", "from_values", "keys", "replaced"),
    "config",
  ),
  "Key": "sections.key",
  **dict.fromkeys(("GAMES", "Kind", "free_numbers"), "sections.kinds.games"),
  "augmentation": "sections.augmentation",
  "network": "sections.networks",
  "task": "sections.kinds.auxiliary_task",
  **dict.fromkeys(("OPTIMIZERS", "SCHEDULES", "optimizer", "schedule"), "sections.optimizers"),
}


def __getattr__(name: str) -> Any:
  if name not in _NAMES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  return getattr(importlib.import_module(f"gan_jax.run.config.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
  return sorted(_NAMES)
