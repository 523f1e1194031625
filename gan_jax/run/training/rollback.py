"""Going back to the last good checkpoint, and on from there with other noise.

How often a run has gone back is in its folder before it goes on, so that a run that is killed and
resumed plays the rounds that it would have played.
"""

import json
import pathlib
from typing import Any

import jax

from gan_jax.game.core import State
from gan_jax.game.random import make_key
from gan_jax.run.results.rows import write_json
from gan_jax.run.training.diagnostics import Alarm

FILE = "rollbacks.json"


def read_rollbacks(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Lists what a run has gone back for: {"round": when, "seen": what}."""
  path = workdir / FILE
  return json.loads(path.read_text())["rollbacks"] if path.is_file() else []


def note_rollback(
  workdir: pathlib.Path, alarm: Alarm, before: list[dict[str, Any]]
) -> list[dict[str, Any]]:
  """Writes down that a run goes back once more; returns the longer list."""
  rollbacks = [*before, {"round": alarm.round, "seen": alarm.seen}]
  if jax.process_index() == 0:
    write_json(workdir / FILE, {"rollbacks": rollbacks})
  return rollbacks


def other_noise(state: State, seed: int, rollbacks: int) -> State:
  """Gives a state the noise of a run that has gone back so often; the data keep their order.

  Args:
    state: restored, or made by `init` from `make_key(seed)`.
    seed: of the run.
    rollbacks: how often it has gone back; 0 leaves the state as it is.

  Returns:
    The state with another key.
  """
  if not rollbacks:
    return state
  make = lambda: jax.random.fold_in(make_key(seed), 1 + rollbacks)  # `init` folds in 0 and 1
  return state.replace(key=jax.jit(make, out_shardings=state.key.sharding)())
