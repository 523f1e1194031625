"""The types of a config's keys and sections, and the checks that all subjects share."""

import contextlib
import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.checks import is_integer, is_number
from gan_jax.run.config import aliases
from gan_jax.run.config.aliases import SCHEDULE

Check = Callable[[str, Any], None]  # (dotted key, value); raises ValueError


class Key(NamedTuple):
  """A key of the config.

  Attributes:
    default: the default value; other values have the same type.
    meaning: one line, which --help and docs/config.md show.
    check: refuses values out of range.
  """

  default: Any
  meaning: str
  check: Check | None = None


class Section(NamedTuple):
  """A section whose options depend on a name, or whose numbers may be schedules.

  Attributes:
    default: the default values.
    meanings: {option: one line}.
    complete: (dotted key, values) -> the section with nothing left out; refuses what cannot be.
  """

  default: ConfigDict
  meanings: Mapping[str, str]
  complete: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


Keys = Mapping[str, Any]  # of Key, Section, and sections of these


# --- checks ---------------------------------------------------------------------------------------


def at_least(least: int) -> Check:
  """Builds the check of a number that has a smallest value."""

  def check(key: str, value: Any) -> None:
    if value < least:
      raise ValueError(f"{key} = {value}: expected at least {least}")

  return check


def rounds_or_never(key: str, value: Any) -> None:
  """Refuses a negative number of rounds."""
  if value < 0:
    raise ValueError(f"{key} = {value}: expected a number of rounds, at least 0")


def one_of(*names: str) -> Check:
  """Builds the check of a name out of a few."""

  def check(key: str, value: Any) -> None:
    if value not in names:
      raise ValueError(f"{key} is {value!r}: expected {' or '.join(map(repr, names))}")

  return check


class WrongTypeError(TypeError, ValueError):
  """A value is of a type that its key cannot have."""


def check_type(key: str, value: Any, default: Any) -> None:
  """Refuses a value of another type than its default, and tuples with other entries."""
  if isinstance(default, tuple) and default:
    kinds = (int, float) if isinstance(default[0], float) else type(default[0])
    entries = value if isinstance(value, tuple | list) else [None]
    if not all(isinstance(x, kinds) and type(x) is not bool for x in entries):
      raise WrongTypeError(f"{key} is {value!r}: expected entries such as those of {default}")
  elif isinstance(default, bool):
    if type(value) is not bool:
      raise WrongTypeError(f"{key} is {value!r}: expected True or False")
  elif isinstance(default, int | float):
    is_int = isinstance(default, int)
    if not (is_integer(value) if is_int else is_number(value)):
      raise WrongTypeError(f"{key} is {value!r}: expected {'an integer' if is_int else 'a number'}")
  elif isinstance(default, str) and not isinstance(value, str):
    raise WrongTypeError(f"{key} is {value!r}: expected a name, such as {default!r}")


def check_number(name: str, value: Any, fixed: bool = False, least: float = -math.inf) -> None:
  """Refuses what is neither a finite number nor, unless it must be fixed, a schedule of them."""
  values = [value] if fixed else reached(value)
  if not all(is_number(x, lambda x: x >= least) for x in values):
    expected = "a number" if least == -math.inf else f"a number >= {least:g}"
    expected += "" if fixed else f", or a schedule such as {SCHEDULE}"
    shown = dict(value) if isinstance(value, ConfigDict) else value
    raise ValueError(f"{name} is {shown!r}: expected {expected}")


def reached(value: Any) -> list[Any]:
  """Lists the numbers that a number takes: itself, or those that a schedule names and reaches."""
  if not is_schedule(value):
    return [value]
  named = (value.get(key) for key in ("init_value", "peak_value", "end_value"))
  return [number for number in named if number is not None]


def is_schedule(value: Any) -> bool:
  """Checks whether a value is a `schedule`, and no number."""
  return isinstance(value, Mapping | ConfigDict) and "schedule" in value


def lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
  """Returns the entry of a name; refuses an unknown name with a list of the known ones."""
  if name not in table:
    raise ValueError(aliases.unknown(name, table, kind))
  return table[name]


def check_known(given: Iterable[str], valid: Iterable[str], kind: str) -> None:
  """Refuses names that are not valid, with those that are."""
  if unknown := sorted(set(given) - set(valid)):
    near = aliases.near(unknown[0], valid)
    expected = ", ".join(sorted(valid))
    raise ValueError(f"unknown {kind}: {', '.join(unknown)}; expected: {expected}{near}")


@contextlib.contextmanager
def naming(key: str) -> Iterator[None]:
  """Names the key of the config in errors of the objects that are made of it."""
  try:
    yield
  except ValueError as error:
    if str(error).startswith("config."):  # of another key, which is named already
      raise
    raise ValueError(f"{key}: {error}") from error


# --- sections -------------------------------------------------------------------------------------


def numbers(values: Mapping[str, Any]) -> ConfigDict:
  """Builds a section in which schedules and numbers may take each other's place."""
  return ConfigDict(values, type_safe=False)


def weights(defaults: Mapping[str, float], meanings: Mapping[str, str]) -> Section:
  """Builds a section of numbers >= 0, each of which may be a schedule."""

  def complete(path: str, values: Mapping[str, Any]) -> ConfigDict:
    check_known(values, defaults, f"keys of {path}")
    for name, value in values.items():
      check_number(f"{path}.{name}", value, least=0.0)
    return numbers({**defaults, **values})

  return Section(numbers(defaults), meanings, complete)


def named(
  make: Callable[..., ConfigDict],
  kind: str,
  default: str,
  meanings: Mapping[str, str],
  check: Callable[[ConfigDict], None] = lambda section: None,
) -> Section:
  """Builds a section whose name decides which options it has.

  Args:
    make: name, **options -> the section with all options of the name.
    kind: what it is of, such as "network", in errors.
    default: name.
    meanings: one line for each option.
    check: refuses values out of range in a section that has all options.
  """

  def complete(path: str, values: Mapping[str, Any]) -> ConfigDict:
    if "name" not in values:
      raise ValueError(f"a {kind} of the config has no name; it has: {', '.join(sorted(values))}")
    usual = make(values["name"])  # an unknown name is told as such
    try:
      filled = make(**values)
    except ValueError as error:
      raise ValueError(
        f"{error}. To change to another {kind}, give its section as a whole, {{'name': "
        f"{values['name']!r}}}, or on the command line its .name={values['name']}"
      ) from error
    for key, value in filled.items():
      if isinstance(usual.get(key), tuple | int):  # and bools; a number may be a schedule
        check_type(f"{path}.{key}", value, usual[key])
    with naming(path):
      check(filled)
    return filled

  return Section(make(default), meanings, complete)


def defaults(factory: Callable[..., Any]) -> dict[str, Any]:
  """Lists a factory's options that have plain defaults."""
  plain = bool | int | float | str | tuple
  return {
    key: parameter.default
    for key, parameter in inspect.signature(factory).parameters.items()
    if isinstance(parameter.default, plain)
  }


@functools.cache
def argument_docs(docstring: str | None) -> dict[str, str]:
  """Reads what a docstring says of each argument or attribute: {name: text}."""
  docs: dict[str, str] = {}
  names: list[str] = []
  for line in inspect.cleandoc(docstring or "").splitlines():
    if match := re.fullmatch(r"  ([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)", line):
      names = match[1].split(", ")
      docs |= dict.fromkeys(names, match[2])
    elif line.startswith("    ") and names:
      docs |= {name: f"{docs[name]} {line.strip()}" for name in names}
    else:
      names = []
  return {name: text.rstrip(".") for name, text in docs.items()}


def leaves(section: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
  """Lists numbers, and the first values of schedules, by dotted key."""
  for key, value in section.items():
    if isinstance(value, int | float) and not isinstance(value, bool):
      yield f"{path}.{key}", value
    elif is_schedule(value) and "init_value" in value:
      yield f"{path}.{key}.init_value", value["init_value"]
