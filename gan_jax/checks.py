"""Functions of the checks of arguments, whose errors are one line that says what to pass."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

LONGEST = 60  # characters of a value in an error
RANGES: dict[str, Callable[[float], bool]] = {  # by what an error says of them
  ">= 0": lambda x: x >= 0,
  ">= 1": lambda x: x >= 1,
  "> 0": lambda x: x > 0,
  "in [0, 1]": lambda x: 0 <= x <= 1,
}


def shown(value: Any) -> str:
  """Describes a value in a few words: classes and functions by name, arrays by dtype and shape."""
  if isinstance(value, type):
    return f"the class {value.__name__}"
  if inspect.isroutine(value):
    return f"the function {value.__name__}"
  if isinstance(value, np.generic):
    value = value.item()
  if hasattr(value, "dtype") and hasattr(value, "shape"):
    return f"{value.dtype}{list(value.shape)}"
  text = " ".join(repr(value).split())
  return text if len(text) <= LONGEST else f"a {type(value).__name__}"


def takes(function: Any, *arguments: Any, **named: Any) -> bool:
  """Checks whether something can be called with such arguments; True in doubt."""
  try:
    inspect.signature(function).bind(*arguments, **named)
  except TypeError:  # of what is no function as well
    return False
  except ValueError:  # of some that are written in C
    return True
  return True


def is_number(value: Any, fits: Callable[[float], bool] = lambda x: True) -> bool:
  """Checks for a finite number that fits; a traced one does, as its value is not known."""
  if isinstance(value, bool | np.bool_ | str) or getattr(value, "shape", ()) != ():
    return False
  try:
    number = float(value)
  except (TypeError, OverflowError):  # no number, one too large, or one that is traced
    return hasattr(value, "aval")
  return math.isfinite(number) and fits(number)


def is_integer(value: Any) -> bool:
  """Checks for an integer, of Python or of NumPy, and not a bool."""
  return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_range(value: Any) -> bool:
  """Checks for two finite numbers, the lower one first."""
  pair = isinstance(value, tuple | list) and len(value) == 2 and all(map(is_number, value))
  return pair and value[0] < value[1]


def require(holds: bool, message: str) -> None:
  """Raises a ValueError where a condition does not hold."""
  if not holds:
    raise ValueError(message)


def check_numbers(options: Any, ranges: Mapping[str, str]) -> None:
  """Checks numbers among the fields of an object.

  Args:
    options: network, or named tuple; fields that it lacks, and those that are None, are left out.
    ranges: names of fields, with blanks between, by their range, one of `RANGES`.

  Raises:
    ValueError: for a number out of its range.
  """
  for expected, names in ranges.items():
    for name in names.split():
      value = getattr(options, name, None)
      if value is not None and not is_number(value, RANGES[expected]):
        raise ValueError(f"{name} is {shown(value)}: expected a number {expected}")
