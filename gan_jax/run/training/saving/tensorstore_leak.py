"""Saves without a leak: TensorStore (up to 0.1.86) never frees the JSON that it returns to Python.

Orbax (0.12) asks for it once an array, to fill in the defaults of a spec for files, which has none,
and twice a save, to count bytes for its telemetry: 35 KB a checkpoint of 40 arrays, for ever.
`tests/run/training/test_train.py::test_nothing_grows_with_the_rounds` fails without this module.
"""

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import tensorstore

try:
  from orbax.checkpoint._src.serialization import tensorstore_utils
except ImportError:  # another Orbax, which is left as it is
  tensorstore_utils = types.SimpleNamespace()


@contextlib.contextmanager
def without_leak() -> Iterator[None]:
  """Replaces the parts of TensorStore that leak while Orbax saves."""
  tensorstore_utils.ts = _Answers()
  try:
    yield
  finally:
    tensorstore_utils.ts = tensorstore


class _Answers:
  """TensorStore without the calls that leak."""

  def __getattr__(self, name: str) -> Any:
    return getattr(tensorstore, name)

  def experimental_collect_matching_metrics(self, prefix: str) -> list[Any]:
    return []

  @property
  def KvStore(self) -> Any:
    return types.SimpleNamespace(open=tensorstore.KvStore.open, Spec=_spec)


def _spec(given: dict[str, Any]) -> Any:
  if given.keys() == {"driver", "path"} and given["driver"] == "file":
    return types.SimpleNamespace(to_json=lambda: given)
  return tensorstore.KvStore.Spec(given)
