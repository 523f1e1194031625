"""Rollbacks: back to the last good checkpoint, and on from there with other noise.

How often a run has gone back is in its folder before it goes on, so that a run that is killed and
resumed plays the rounds that it would have played.
"""

import pathlib
from typing import Any

import jax

from gan_jax.files import read_json, write_json
from gan_jax.game.core import State
from gan_jax.game.random import make_key
from gan_jax.run.training.log.detectors import Warning_

FILE = "rollbacks.json"


def read_rollbacks(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Loads the rollbacks of a run: {"round": round of the failure, "seen": its numbers}.

  Raises:
    ValueError: the file is damaged; the message names it.
  """
  path = workdir / FILE
  rollbacks = read_json(path).get("rollbacks") if path.is_file() else []
  if not isinstance(rollbacks, list):
    raise ValueError(f"{path} is damaged (it has no list of rollbacks); restore it from a copy")
  return rollbacks


def record_rollback(
  workdir: pathlib.Path, warning: Warning_, before: list[dict[str, Any]]
) -> list[dict[str, Any]]:
  """Appends a rollback to the file of a run; returns the longer list."""
  rollbacks = [*before, {"round": warning.round, "seen": warning.seen}]
  if jax.process_index() == 0:
    write_json(workdir / FILE, {"rollbacks": rollbacks})
  return rollbacks


def reseed(state: State, seed: int, rollbacks: int) -> State:
  """Replaces the key of a state by that of a number of rollbacks; the data keep their order.

  Args:
    state: state from a checkpoint, or of `init` with `make_key(seed)`.
    seed: seed of the run.
    rollbacks: number of rollbacks; 0 returns the state as it is.

  Returns:
    The state with another key.
  """
  if not rollbacks:
    return state
  make = lambda: jax.random.fold_in(make_key(seed), 1 + rollbacks)  # `init` folds in 0 and 1
  return state.replace(key=jax.jit(make, out_shardings=state.key.sharding)())
