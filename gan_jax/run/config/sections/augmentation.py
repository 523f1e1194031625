"""Augmentation in front of the discriminator: its section, and the view that this names."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.game.views import AUGMENTATIONS, Views
from gan_jax.run.config.sections import optimizers
from gan_jax.run.config.sections.key import (
  Section,
  argument_docs,
  check_known,
  check_number,
  defaults,
  is_schedule,
  lookup,
  named,
  naming,
  numbers,
)


def section() -> Section:
  """Builds the section of the augmentation; what a user has registered is among its names."""
  meanings = {"name": f"augmentation of all the discriminator sees: {', '.join(AUGMENTATIONS)}"}
  for factory in AUGMENTATIONS.values():
    meanings = {**argument_docs(factory.__doc__), **meanings}
  return named(augmentation, "augmentation", "none", meanings, _check_schedules)


def _check_schedules(section: Mapping[str, Any]) -> None:
  """Refuses schedules of what is no number >= 0; other options are known to the augmentation."""
  for key, value in section.items():
    if is_schedule(value):
      check_number(key, value, least=0.0)


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the options that other options of an augmentation switch off; see `games.idle`."""
  options, unread = config.get("augmentation", {}), {}
  if options.get("adaptive") is False:
    of_adaptive = [f"augmentation.{key}" for key in ("target", "interval", "kimg", "ceiling")]
    unread = dict.fromkeys(of_adaptive, "config.augmentation.adaptive is False")
  for name in ("translation", "cutout"):
    if "policy" in options and name not in options["policy"]:
      unread[f"augmentation.{name}_ratio"] = f"config.augmentation.policy has no {name}"
  return unread


def augmentation(name: str, **options: Any) -> ConfigDict:
  """Builds the config of an augmentation: its name, and every option it takes.

  Args:
    name: one of `game.views.AUGMENTATIONS`.
    **options: other values than its defaults; numbers may be schedules where it takes them.

  Raises:
    ValueError: for an unknown name or option.
  """
  fields = defaults(lookup(AUGMENTATIONS, name, "augmentation"))
  check_known(options, fields, f"options of augmentation {name!r}")
  return numbers({"name": name, **fields, **options})


def build(config: ConfigDict) -> Views:
  """Builds the view of the augmentation of a complete config; none of "none"."""
  options = {key: optimizers.number(value) for key, value in config.augmentation.items()}
  with naming("config.augmentation"):
    view = AUGMENTATIONS[options.pop("name")](**options)
  return () if view is None else (view,)
