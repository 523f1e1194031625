"""The files of an ablation: its plan, and a row of each run that has ended."""

import contextlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from gan_jax.files import atomic_write, differences, plain, read_json, write_json

PLAN, ROWS = "ablation.json", "rows.jsonl"
SHOWN = 5  # keys in a message, of those in which two bases differ

Labels = dict[str, str]  # of a variant, by axis
T = TypeVar("T")


class Results(NamedTuple):
  """The files of an ablation.

  Attributes:
    plan: axes, baseline, seeds and score.
    rows: a row of each run that has ended.
  """

  plan: dict[str, Any]
  rows: list[dict[str, Any]]


def variant_name(labels: Mapping[str, str]) -> str:
  """Returns the name of a variant."""
  return ", ".join(f"{axis} {label}" for axis, label in labels.items())


def read(workdir: str | pathlib.Path) -> Results:
  """Loads an ablation; a last line that was cut off is left out.

  Args:
    workdir: its folder.

  Returns:
    The plan, and the rows so far of its variants and seeds.

  Raises:
    FileNotFoundError: there is none.
    ValueError: its plan or a row is damaged.
  """
  folder = pathlib.Path(workdir)
  if not (folder / PLAN).is_file():
    raise FileNotFoundError(f"{folder} has no ablation: there is no {PLAN} in it")
  plan = read_json(folder / PLAN)
  try:
    return Results(plan, [row for row in read_rows(folder) if _is_of(plan, row)])
  except (LookupError, TypeError, AttributeError) as error:
    raise ValueError(f"{folder / PLAN} or its rows are damaged ({error!r})") from error


def read_rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Loads all rows of a folder, those of variants and seeds that its plan has no more as well."""
  rows = []
  lines = (workdir / ROWS).read_text().splitlines() if (workdir / ROWS).is_file() else []
  for line in lines:
    with contextlib.suppress(ValueError):
      rows.append(json.loads(line))
  return rows


def _is_of(plan: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
  axes, labels = plan["axes"], row["variant"]
  return (
    labels.keys() == axes.keys()
    and all(label in axes[axis] for axis, label in labels.items())
    and row["seed"] in plan["seeds"]
  )


def write_plan(workdir: pathlib.Path, plan: Mapping[str, Any]) -> None:
  """Writes what is asked for, unless the folder has rows of another base.

  Raises:
    ValueError: it has; names the keys that differ.
  """
  plan = plain({"name": workdir.name, **plan})
  if (workdir / ROWS).is_file():
    of_base = lambda plan: {key: plan[key] for key in ("base", "rounds") if key in plan}
    changed = differences(of_base(read_json(workdir / PLAN)), of_base(plan))
    if lines := [line.replace("  ", "  --config.", 1) for line in changed.values()]:
      more = [f"  and {len(lines) - SHOWN} other keys"] if len(lines) > SHOWN else []
      raise ValueError(
        f"{workdir} has rows of another ablation:\n"
        + "\n".join([*lines[:SHOWN], *more])
        + "\nset these as they were, or use another --workdir"
      )
  write_json(workdir / PLAN, plan)


def add_rows(workdir: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
  """Adds rows to those there are, in place of any of the same variants and seeds."""
  replaced = [(row["variant"], row["seed"]) for row in rows]
  others = [row for row in read_rows(workdir) if (row["variant"], row["seed"]) not in replaced]
  with atomic_write(workdir / ROWS) as temporary:
    temporary.write_text("".join(json.dumps(plain(row)) + "\n" for row in [*others, *rows]))


def without(results: Results, runs: Iterable[tuple[Labels, int]]) -> Results:
  """Leaves out the rows of some runs, each of a variant's labels and a seed."""
  runs = list(runs)
  return results._replace(
    rows=[row for row in results.rows if (row["variant"], row["seed"]) not in runs]
  )


def arrange(
  variants: Iterable[tuple[Labels, T]],
) -> tuple[list[str], list[str], dict[tuple[str, str], T]]:
  """Arranges variants as a matrix: choices of the first axis down, of all others across.

  Args:
    variants: labels and cell of each variant.

  Returns:
    Rows and columns in their order ([""] of one axis), and the cells {(row, column): cell}.
  """
  cells = {place(labels): cell for labels, cell in variants}
  rows, columns = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
  return rows, columns, cells


def place(labels: Labels) -> tuple[str, str]:
  """Returns the row and the column of a variant in the matrix."""
  first, *others = labels.values()
  return first, ", ".join(others)


def by_column(plan: Mapping[str, Any], labels: Labels) -> list[int]:
  """Returns the places of a variant's choices in the plan, to sort by; the first axis is last."""
  first, *others = [plan["axes"][axis].index(label) for axis, label in labels.items()]
  return [*others, first]
