"""The flag `--config=FILE.py[:ARGUMENT]`: what the file makes, and what overrides mean for it."""

import ast
import contextlib
import inspect
import pathlib
import re
import runpy
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from gan_jax.run.config import aliases
from gan_jax.run.config.aliases import SCHEDULE


class ConfigFileError(Exception):
  """A config file, or an override of one of its keys, that cannot be; says so in a line."""


class ConfigFileParser(flags.ArgumentParser):
  """Parses a path to the config that its file makes, ready for the overrides of `sys.argv`."""

  def parse(self, argument: str) -> Any:
    """Runs the file; a section whose name is overridden takes the defaults of that name."""
    config = load(argument)
    if isinstance(config, ConfigDict):
      given = overrides(sys.argv)
      for message in rename(config, given):
        print(f"gan_jax: {message}", file=sys.stderr)
      for path, value in given.items():
        _check_key(config, path)
        _check_section(config, path, value)
      config.lock()
    return config


def load(argument: str) -> Any:
  """Runs a config file.

  Args:
    argument: path of the file, and after a colon what its get_config() is called with.

  Returns:
    What get_config() returns.

  Raises:
    ConfigFileError: there is no such file, it fails, or takes another number of arguments.
  """
  file, colon, given = argument.partition(":")
  if not pathlib.Path(file).is_file():
    is_folder = pathlib.Path(file).is_dir()
    problem = f"{file} is a folder" if is_folder else f"there is no file {file}"
    raise ConfigFileError(f"--config: {problem}; expected a Python file that defines get_config()")
  try:
    if not callable(get_config := runpy.run_path(file).get("get_config")):
      raise ConfigFileError(f"--config: {file}: the file defines no get_config()")
    _check_argument(get_config, file, given if colon else None)
    return get_config(*[given] if colon else [])
  except ConfigFileError:
    raise
  except Exception as error:
    raise ConfigFileError(f"--config: {_place(error, file)}: {_said(error)}") from error


def _check_argument(get_config: Any, file: str, given: str | None) -> None:
  """Refuses an argument that get_config() does not take, and the lack of one that it needs."""
  takes = inspect.signature(get_config).parameters
  try:
    inspect.signature(get_config).bind(*[] if given is None else [given])
  except TypeError:
    if given is None:
      raise ConfigFileError(
        f"--config: get_config({', '.join(takes)}) of {file} needs an argument: "
        f"--config={file}:{next(iter(takes)).upper()}"
      ) from None
    raise ConfigFileError(
      f"--config: get_config({', '.join(takes)}) of {file} takes "
      f"{'no argument' if not takes else 'other arguments'}, and {given!r} is given after the "
      f"colon: --config={file}"
    ) from None


def _place(error: Exception, file: str) -> str:
  """Names the line of the config file that failed."""
  if isinstance(error, SyntaxError):
    return f"{error.filename}, line {error.lineno}"
  lines = [
    frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file
  ]
  return f"{file}, line {lines[-1]}" if lines else file


def _said(error: Exception) -> str:
  """Formats an error as one line; errors of this project without their type."""
  if isinstance(error, SyntaxError):
    return error.msg
  text = " ".join(str(error.args[0] if error.args else error).split()) or "failed"
  text = re.sub(r" Other fields present: .*?(?=Did you mean|$)", " ", text).strip()  # ConfigDict's
  return text if type(error) in (ValueError, ConfigFileError) else f"{type(error).__name__}: {text}"


# --- overrides ------------------------------------------------------------------------------------


def overrides(argv: Sequence[str]) -> dict[str, str]:
  """Lists the overrides of a command line, `--config.KEY=VALUE`: {dotted key: value}."""
  given = {}
  for i, word in enumerate(argv):
    flag, equals, value = word.lstrip("-").partition("=")
    if word.startswith("-") and flag.startswith("config."):
      following = argv[i + 1] if i + 1 < len(argv) else ""
      given[flag.removeprefix("config.")] = value if equals else following
  return given


def rename(config: ConfigDict, given: Mapping[str, str]) -> list[str]:
  """Resets sections whose name is overridden to the defaults of that name.

  Of an optimizer, those options stay that every optimizer has.

  Args:
    config: the config, changed in place.
    given: {dotted key: value}, of `overrides`.

  Returns:
    Messages that list the new options, one for each section.

  Raises:
    ConfigFileError: for an unknown name.
  """
  messages = []
  for path, name in given.items():
    *parents, key = path.split(".")
    section = _at(config, parents)
    if key != "name" or not isinstance(section, ConfigDict) or section.get("name") in (None, name):
      continue
    try:
      replacement = _named(parents, name, section)
    except ValueError as error:
      raise ConfigFileError(f"--config.{path}={name}: {error}") from error
    if replacement is not None:
      with config.unlocked(), config.ignore_type():
        _at(config, parents[:-1])[parents[-1]] = replacement
      options = ", ".join(f"{k}={v!r}" for k, v in replacement.items() if k != "name")
      messages.append(f"--config.{path}={name} comes with its own defaults: {options}")
  return messages


def _named(parents: Sequence[str], name: str, old: ConfigDict) -> ConfigDict | None:
  """Builds the section of a network, optimizer, augmentation or task; None for any other."""
  from gan_jax.nets import roles
  from gan_jax.run.config.sections.augmentation import augmentation
  from gan_jax.run.config.sections.kinds.auxiliary_task import task
  from gan_jax.run.config.sections.networks import network
  from gan_jax.run.config.sections.optimizers import EXTRA_OPTIONS, optimizer

  if list(parents[-2:-1]) == ["optimizers"]:
    shared = {key: old[key] for key in ("learning_rate", *EXTRA_OPTIONS) if key in old}
    return optimizer(name, **shared)
  by_name = {"task": task, "augmentation": augmentation}
  if len(parents) == 1 and parents[0] in by_name:
    return by_name[parents[0]](name)
  return network(name) if parents[-1] in roles() else None


def _at(config: Any, path: Sequence[str]) -> Any:
  """Returns the section at a path; None where there is none."""
  for key in path:
    if not isinstance(config, ConfigDict) or key not in config:
      return None
    config = config[key]
  return config


def _check_key(config: ConfigDict, path: str) -> None:
  """Refuses an override of a key that there is not, with the keys there are beside it."""
  section: Any = config
  names = path.split(".")
  for depth, name in enumerate(names):
    key, where = name.split("[")[0], ".".join(["config", *names[:depth]])
    if not isinstance(section, ConfigDict):
      raise ConfigFileError(
        f"--config.{path}: {where} is {section!r} and has no keys; a schedule is given as a whole: "
        f'--{where}="{SCHEDULE}"'
      )
    if key != name:
      raise ConfigFileError(
        f"--config.{path}: a part of {where}.{key} cannot be given alone; give all of it: "
        f'--{where}.{key}="{section.get(key)}"'
      )
    if key not in section:
      near = aliases.published(key) or aliases.near(key, section)
      raise ConfigFileError(
        f"--config.{path}: {where} has no key {key!r}; its keys: {', '.join(sorted(section))}{near}"
      )
    section = section[key]


def _check_section(config: ConfigDict, path: str, value: str) -> None:
  """Refuses a number or a name in the place of a section."""
  section = _at(config, path.split("."))
  if not isinstance(section, ConfigDict) or "schedule" in section or value.strip().startswith("{"):
    return
  if "name" in section:
    raise ConfigFileError(
      f"--config.{path}={value}: {path} is a section; its name is --config.{path}.name={value}"
    )
  keys = ", ".join(f"--config.{path}.{key}" for key in section)
  raise ConfigFileError(f"--config.{path}={value}: {path} is a section; its keys: {keys}")


class WholeNumber(flags.ArgumentParser):
  """Parses a whole number, also as 1e4."""

  def parse(self, argument: Any) -> Any:
    if not isinstance(argument, str):
      return argument  # what the config file says
    with contextlib.suppress(ValueError):
      return int(argument, 0)
    with contextlib.suppress(ValueError):
      if (number := float(argument)).is_integer():
        return int(number)
    raise ValueError("invalid literal for int(); expected a whole number")


class NumberOrSection(flags.ArgumentParser):
  """Parses a number or a section of the config, since a schedule may stand where a number may."""

  def parse(self, argument: Any) -> Any:
    if not isinstance(argument, str):
      return argument  # what the config file says
    with contextlib.suppress(ValueError):
      return float(argument)
    with contextlib.suppress(SyntaxError, ValueError):
      if isinstance(value := ast.literal_eval(argument), dict):
        return ConfigDict(value)
    raise ValueError(
      f"expected a number, a schedule such as {SCHEDULE}, or a section such as {{'name': ...}}"
    )
