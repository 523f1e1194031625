"""Labels as files have them, to classes 0, 1, ... without gaps, whose names are kept.

Label files count from 1, leave numbers out, or have names; networks and metrics want the classes
that there are, and nothing between them.
"""

import logging
from collections.abc import Sequence

import numpy as np

_LOG = logging.getLogger(__name__)

_SHOWN = 10  # classes that a message lists


def encode(
  name: str, y: np.ndarray, size: int, classes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """Numbers the labels of a split by the classes of its data set.

  Args:
    name: what error messages call the data.
    y: whole numbers from 0, or text: [N], or [N, 1] as some data sets have them.
    size: N.
    classes: labels of the training split [K], sorted; None takes those of y.

  Returns:
    (places among the classes, int32 [N]; the classes).

  Raises:
    ValueError: no examples, or labels that do not fit them, are no classes, or of classes that
      training never sees.
  """
  if not size:
    raise ValueError(f"{name} has no examples")
  y = y[:, 0] if y.shape == (size, 1) else y
  if y.shape != (size,) or y.dtype.kind not in "biuU":
    hint = ""
    if y.dtype.kind == "f" and y.shape == (size,):
      hint = (
        "; of classes write y.astype(int); of numbers to condition on, set"
        " --config.condition.name=vector"
      )
    if y.ndim == 2:
      hint = ". Where each row has a flag for every class, write y.argmax(axis=1) if one is set"
    raise ValueError(
      f"the labels of {name} are {y.dtype} {list(y.shape)}: expected integers [{size}], one for"
      f" each example{hint}"
    )
  y = y if y.dtype.kind == "U" else y.astype(np.int64)
  if y.dtype.kind != "U" and y.min() < 0:
    raise ValueError(
      f"the labels of {name} reach from {y.min()} to {y.max()}: expected numbers from 0. -1 often"
      " means that the class is not known: leave such examples out, or all labels"
    )
  present = np.unique(y)
  classes = present if classes is None else classes
  if unknown := sorted(set(present.tolist()) - set(classes.tolist())):
    raise ValueError(
      f"{name} has examples of {listed(unknown)} in one split that are no class of its training"
      f" split, which has {listed(classes.tolist())}: remove them there, or add some to it"
    )
  return np.searchsorted(classes, y).astype(np.int32), classes


def label_type(given: np.dtype) -> np.dtype:
  """Returns the type in which networks are given labels: int32 classes, or float32 vectors."""
  return np.dtype(np.float32 if np.issubdtype(given, np.floating) else np.int32)


def vectors(name: str, y: np.ndarray, size: int) -> np.ndarray:
  """Converts conditions that are numbers, or flags of several classes, to vectors.

  Args:
    name: what error messages call the data.
    y: numbers or flags [N] or [N, d], such as angles, attributes or several labels as 0 and 1.
    size: N.

  Returns:
    float32 [N, d].

  Raises:
    ValueError: conditions that do not fit the examples, are no numbers, or are not finite.
  """
  if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or len(y) != size or not y.size:
    raise ValueError(
      f"the conditions of {name} are {y.dtype} {list(y.shape)}: expected numbers [{size}] or"
      f" [{size}, d], a vector for each example; classes are --config.condition.name=labels"
    )
  with np.errstate(over="ignore"):  # infinities are looked for
    y = y.reshape(size, -1).astype(np.float32)
  if not np.isfinite(y).all():
    raise ValueError(f"{name} has conditions that are not finite (NaN or infinity)")
  return y


def encode_split(
  name: str,
  y: np.ndarray | None,
  size: int,
  training: np.ndarray | None,
  condition: str | None = None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
  """Numbers the labels of a split by the classes of the training split, if both have labels.

  Args:
    name, y, size: as for `encode`; None without labels.
    training: labels of the training split, [M] or [M, 1]; None without.
    condition: "vector" for labels that are vectors and no classes.

  Returns:
    (places among the classes, the classes); (None, None) without labels; (vectors, None).
  """
  if (y is None) != (training is None):
    _LOG.warning("%s has labels in one of its splits, and none in another", name)
  if y is None:
    return None, None
  if condition == "vector":
    return vectors(name, y, size), None
  if training is None or training is y:
    return encode(name, y, size)
  return encode(name, y, size, encode(name, training, len(training))[1])


def class_names(classes: Sequence[object]) -> tuple[str, ...] | None:
  """Returns names of classes, their labels; None where these are 0, 1, ... and add nothing."""
  names = tuple(map(str, classes))
  return None if names == numbers(len(names)) else names


def numbers(count: int) -> tuple[str, ...]:
  """Returns the names "0", "1", ... of classes."""
  return tuple(map(str, range(count)))


def values(names: Sequence[str]) -> np.ndarray:
  """Returns the labels of classes as files have them: numbers if all names are, else places."""
  if all(name.isascii() and name.isdecimal() and str(int(name)) == name for name in names):
    return np.array([int(name) for name in names], np.int64)
  return np.arange(len(names))


def listed(classes: Sequence[object]) -> str:
  """Lists classes for a message."""
  shown = ", ".join(map(str, classes[:_SHOWN]))
  more = f", ... ({len(classes)} in all)" if len(classes) > _SHOWN else ""
  return f"{'class' if len(classes) == 1 else 'classes'} {shown}{more}"
