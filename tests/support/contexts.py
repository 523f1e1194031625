"""Keeps MLIR's contexts: JAX builds one for each program that it lowers.

That takes a quarter of the time of the programs of most tests, one operation on a few numbers.
"""

import threading

import jax
from jax._src.interpreters import mlir

KEPT = threading.local()  # a context is of one thread


def keep() -> None:
  """Has JAX lower all programs of a thread in one context."""
  if jax.__version_info__[:2] != (0, 10):  # others may have dropped the name
    return
  make = mlir.make_ir_context

  def kept():
    if mlir.ir.Context.current is not None:  # a program is lowered while another is
      return make()
    if not hasattr(KEPT, "context"):
      KEPT.context = make()
    return KEPT.context

  mlir.make_ir_context = kept


def forget() -> None:
  """Lets go of this thread's context, and of the constants that it holds."""
  vars(KEPT).clear()
