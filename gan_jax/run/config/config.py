"""The keys of a config, and the one function that completes and checks it.

A config file defines `get_config()`, which starts from `default_config()` and changes what it is
about. Everything can be overridden on the command line: `--config.loss=hinge --config.k=5`. It is
numbers, flags and names; the files of `sections/` say what each key means, check it, and make its
object.
"""

import pathlib
import runpy
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.checks import shown
from gan_jax.files import flat
from gan_jax.run.config import aliases
from gan_jax.run.config.sections import course, data, evaluation
from gan_jax.run.config.sections.key import (
  Key,
  Keys,
  Section,
  WrongTypeError,
  check_known,
  check_type,
  lookup,
)
from gan_jax.run.config.sections.kinds import games


def keys(game: str = games.DEFAULT) -> Keys:
  """Lists every key there is with a game: nested sections of `Key`, as docs/config.md has them.

  Args:
    game: name of a kind of game.

  Returns:
    The keys.

  Raises:
    ValueError: for an unknown game.
  """
  own = lookup(games.GAMES, game, "game").keys()
  name = Key(game, "kind of game; the keys of another are of default_config('its name')")
  return {**course.KEYS, **data.KEYS, "game": {"name": name}, **own, **evaluation.KEYS}


def default_config(game: str = games.DEFAULT) -> ConfigDict:
  """Builds a config with every key there is with a game, each at its default; see `keys`."""
  return ConfigDict(_defaults_of(keys(game))).lock()


def _defaults_of(section: Any) -> Any:
  if isinstance(section, Mapping):
    return {key: _defaults_of(value) for key, value in section.items()}
  return section.default


def complete(config: ConfigDict) -> ConfigDict:
  """Fills in what a config leaves out, and refuses what has no meaning: once, before all else.

  Args:
    config: `default_config()` with changes; sections may have been replaced.

  Returns:
    A config that has every key, with our names for short ones; functions that take it trust it.

  Raises:
    ValueError: for an unknown key or name, or a value of another type or out of range.
  """
  if not isinstance(config, ConfigDict):
    raise ValueError(
      f"config is {shown(config)}: expected a config, such as config.default_config() or "
      "config.from_file('experiments/ring.py')"
    )
  _check_not_shared(config, "config", {})
  kind, game = games.kind_of(config), games.name_of(config)
  known = keys(game)
  start = "" if game == games.DEFAULT else f", which start from default_config({game!r})"
  check_known(config, known, f"config keys of the game {game!r}{start}")
  values = canonical(config).copy_and_resolve_references()
  config = ConfigDict(_completed(values, known, "config"))
  for check in (course.check, data.check, kind.check, evaluation.check):
    check(config)
  return config.lock()


def _completed(values: Mapping[str, Any], keys: Keys, path: str) -> dict[str, Any]:
  """Fills a section in and checks each of its values by itself."""
  check_known(values, keys, f"keys of {path}")
  filled: dict[str, Any] = {}
  for name, key in keys.items():
    where = f"{path}.{name}"
    value = values.get(name, {} if isinstance(key, Mapping) else key.default)
    if not isinstance(key, Key) and not isinstance(value, Mapping | ConfigDict):
      raise WrongTypeError(f"{where} is {value!r}: expected a section, {{key: value}}")
    if isinstance(key, Mapping):
      filled[name] = _completed(value, key, where)
    elif isinstance(key, Section):
      filled[name] = key.complete(where, value)
    else:
      if value is None and not key.default:  # another word for 0, or for an empty name
        value = key.default
      check_type(where, value, key.default)
      if key.check is not None:
        key.check(where, value)
      filled[name] = value
  return filled


def _check_not_shared(section: ConfigDict, path: str, paths: dict[int, str]) -> None:
  """Refuses one section in two places, where a flag for the one would change the other too."""
  if id(section) in paths:
    raise ValueError(
      f"{paths[id(section)]} and {path} are one object: overriding a key of one would change "
      "both; make each by its own call in the config file"
    )
  paths[id(section)] = path
  for key, value in section.items():
    if isinstance(value, ConfigDict):
      _check_not_shared(value, f"{path}.{key}", paths)


def from_file(path: str | pathlib.Path, beside: str = "") -> ConfigDict:
  """Reads the config of a file, to change it in another file.

  Args:
    path: path of the file.
    beside: a file from whose folder a relative path starts: `__file__`.

  Returns:
    The config that its get_config() returns.
  """
  return runpy.run_path(str(pathlib.Path(beside).parent / path))["get_config"]()


def from_values(values: Mapping[str, Any]) -> ConfigDict:
  """Builds the config of values that JSON has kept; `complete` checks it.

  Args:
    values: values of a config, by key; newer keys get their defaults, which change nothing.

  Returns:
    The config, whose keys can be overridden as those of the config file could.
  """
  return _like(values, default_config(games.name_of(values))).lock()


def _like(value: Any, default: Any) -> Any:
  """Converts a value to the type that it has in the default config."""
  if isinstance(value, list):
    return tuple(_like(item, None) for item in value)
  if not isinstance(value, Mapping):
    return value
  known = default if isinstance(default, ConfigDict) else ConfigDict()
  options = {key: _like(item, known.get(key)) for key, item in value.items()}
  if value.get("name") == known.get("name"):  # options of another network are none of this one's
    options = {**known, **options}
  return ConfigDict(options, type_safe=known.is_type_safe)


def replaced(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
  """Copies a config with other values at some of its keys, of whatever type.

  Args:
    config: a config; it stays as it is.
    changes: {dotted key: value}; of a complete config, values that are known to be in range, such
      as a seed.

  Returns:
    The copy.

  Raises:
    ValueError: for a key that there is not.
  """
  copy = config.copy_and_resolve_references()
  for key, value in changes.items():
    *path, last = key.split(".")
    section = copy
    for name in path:
      section = section[name] if name in section else ConfigDict()
    if last not in section:
      raise ValueError(f"the config has no key {key!r}")
    with section.ignore_type():
      section[last] = value
  return copy


def as_game(config: ConfigDict, game: str) -> ConfigDict:
  """Builds the config of another kind of game, with a config's values at the keys that both have.

  Args:
    config: a config of any kind of game; it stays as it is.
    game: name of the kind of game.

  Raises:
    ValueError: for an unknown game.
  """
  new = default_config(game)
  _take(new, config.copy_and_resolve_references())
  new.game.name = game
  return new


def _take(section: ConfigDict, config: ConfigDict) -> None:
  """Sets the keys of a section that another section has too."""
  for key in set(section) & set(config):
    value = config[key]
    # What names a network or a schedule goes with its options, and replaces the section.
    if isinstance(value, ConfigDict) and not {"name", "schedule"} & set(value):
      _take(section[key], value)
    else:
      with section.ignore_type():
        section[key] = value


def canonical(config: ConfigDict) -> ConfigDict:
  """Replaces short names by ours (see `aliases`), before a config is kept or compared."""
  changes = {
    key: name
    for key, value in flat(config.to_dict()).items()
    if (name := aliases.canonical(key, value)) != value
  }
  return replaced(config, changes) if changes else config
