"""Pages of a generator's examples: by seed, by truncation, and of mixed styles."""

from collections.abc import Sequence

import numpy as np

from gan_jax.plots.images import sheet, strips
from gan_jax.run.latents.space import Labels, LatentSpace

IN_ROW = 8  # examples of a page of seeds


def seeds(
  space: LatentSpace, numbers: Sequence[int], labels: Labels = None, bounds: Sequence[float] = ()
) -> np.ndarray:
  """Draws an example of each seed below its number; of several bounds a row for each.

  Args:
    space: space of latents.
    numbers: seeds.
    labels: of each, of a conditional generator.
    bounds: truncations; see `Run.sample`.

  Returns:
    uint8 [height, width, channels].
  """
  z, places = space.of_prior(numbers), np.asarray(numbers)
  draw = lambda bound: space.shown(space.examples(space.of_z(z, labels, bound), labels, places))
  names = list(map(str, numbers))
  if len(bounds) > 1:
    return sheet(np.stack([draw(bound) for bound in bounds]), [f"{b:g}" for b in bounds], names)
  x = draw(bounds[0] if bounds else None)
  return strips(x[None], (), names, IN_ROW)


def mixing(
  space: LatentSpace,
  rows: Sequence[int],
  columns: Sequence[int],
  layers: Sequence[int],
  labels: Labels = None,
  bound: float | None = None,
) -> np.ndarray:
  """Draws examples of mixed styles: those of a row, but in some layers those of a column.

  Karras et al. 2019 (arXiv:1812.04948), figure 3: the first layers are the coarse ones.

  Args:
    space: space of styles.
    rows: seeds of the rows.
    columns: seeds of the columns.
    layers: layers, from 0, whose styles are the column's.
    labels: label of all, [1], of a conditional generator.
    bound: truncation.

  Returns:
    uint8 [height, width, channels]; the first row and the first column are unmixed.

  Raises:
    ValueError: layers that there are not.
  """
  if not layers or min(layers) < 0 or max(layers) >= space.rows:
    raise ValueError(f"layers are {list(layers)}: expected some from 0 to {space.rows - 1}")
  of = lambda seeds: space.of_z(
    space.of_prior(seeds), None if labels is None else np.repeat(labels, len(seeds), axis=0), bound
  )
  down, across = of(rows), of(columns)
  mixed = np.repeat(down[:, None], len(columns), axis=1)
  mixed[:, :, list(layers)] = across[None, :, list(layers)]
  table = np.concatenate([down[:, None], mixed], axis=1)
  every = np.concatenate([across, table.reshape(-1, *down.shape[1:])])
  # One draw for all: what differs is the styles.
  x = space.shown(space.examples(every, None, np.zeros(len(every), int)))
  head = np.concatenate([np.full_like(x[:1], 255), x[: len(columns)]])
  body = x[len(columns) :].reshape(len(rows), len(columns) + 1, *x.shape[1:])
  names = ["", *map(str, rows)], ["", *map(str, columns)]
  return sheet(np.concatenate([head[None], body]), *names)
