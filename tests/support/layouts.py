"""One round on every layout of eight devices, for tests that compare them with one device."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax

from experiments.bench.layouts import LAYOUTS
from gan_jax.game.core import Game, Metrics, State


def on_every_layout(
  game: Game, state: State, batch: Any, names: Sequence[str] = ("data 8", "pmap", "jit alone")
) -> Iterator[tuple[str, State, Metrics]]:
  """Plays one round on a mesh as training does (by shard_map), under pmap, and by jit alone.

  Args:
    game: the game.
    state: before the round.
    batch: leaves [n, B, ...] with B a multiple of 8.
    names: names of the layouts.

  Yields:
    (name of the layout, state after, metrics).
  """
  for name in names:
    after, metrics = LAYOUTS[name](game, state, jax.tree.map(lambda x: x[None], batch))
    yield name, after, jax.tree.map(lambda x: x[0], metrics)
