"""Names of runs and methods, by the differences of their configs or by their folders."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.files import flat
from gan_jax.run.config.roles import LAYOUT
from gan_jax.run.config.stored import SEED, config_values, read_config
from gan_jax.run.evaluation.cards.files import FOLDER


def config_of(path: str | pathlib.Path) -> dict[str, Any] | None:
  """Loads the config behind a score: of a run's folder, or of the folder that a card lies in.

  Args:
    path: folder of a run, or file of a card.

  Returns:
    {dotted key: value}; None for a card that lies elsewhere.
  """
  path = pathlib.Path(path)
  if path.is_file():
    path = path.parent.parent if path.parent.name == FOLDER else path
  return flat(config_values(read_config(path))) if (path / "config.json").is_file() else None


def names_of(
  configs: Sequence[Sequence[Mapping[str, Any] | None]], paths: Sequence[str]
) -> list[str]:
  """Returns names of methods by their differences, "loss=hinge", or by paths without configs.

  Args:
    configs: [methods][runs] configs, as of `config_of`.
    paths: [methods] path of the first run.

  Returns:
    [methods] names, all different.
  """
  folders = _names_of_folders(paths)
  if any(config is None for method in configs for config in method):
    return folders
  keys = _distinctive(differing(configs))
  short = {key: _short(key, keys) for key in keys}
  values = [{key: "/".join(values_of(method, key)) for key in keys} for method in configs]
  for count in (*range(min(SHOWN, len(keys)), 0, -1), *range(SHOWN + 1, len(keys) + 1)):
    rest = " ..." if count < len(keys) else ""
    names = [" ".join(f"{short[k]}={v[k]}" for k in keys[:count]) + rest for v in values]
    if len(set(names)) == len(names) and max(map(len, names)) <= LONGEST:
      return names
  return folders


SHOWN, LONGEST = 3, 60  # keys in a name at most, where they suffice, and characters


def differing(configs: Sequence[Sequence[Mapping[str, Any] | None]]) -> list[str]:
  """Returns the keys in which the configs of methods differ, without the seed."""
  keys = sorted(set().union(*(config or {} for method in configs for config in method)) - {SEED})
  return [key for key in keys if len({tuple(values_of(m, key)) for m in configs}) > 1]


def values_of(method: Sequence[Mapping[str, Any] | None], key: str) -> list[str]:
  """Returns the values of a key among the runs of a method."""
  return list(dict.fromkeys(str((config or {}).get(key, "not set")) for config in method))


def _distinctive(keys: Sequence[str]) -> list[str]:
  """Returns the keys to name methods by, in order, without options of what itself differs."""
  sections = [key.removesuffix("name") for key in keys if key.endswith(".name")]
  options = lambda key: any(key.startswith(s) and key != f"{s}name" for s in sections)
  distinctive = [key for key in keys if not options(key) and key.split(".")[0] not in LAYOUT]
  return sorted(distinctive, key=lambda key: (key != "loss", not key.endswith(".name"), key))


def _short(key: str, keys: Sequence[str]) -> str:
  """Returns the shortest end of a key that no other has; of a section's name, the section's."""
  parts = {k: k.removesuffix(".name").split(".") for k in keys}
  for depth in range(1, len(parts[key]) + 1):
    end = parts[key][-depth:]
    if sum(other[-depth:] == end for other in parts.values()) == 1:
      return ".".join(end)
  return key


def names(paths: Sequence[pathlib.Path]) -> list[str]:
  """Returns the last parts of paths, as many as are needed for different names."""
  parts = [pathlib.Path(os.path.abspath(path)).parts for path in paths]
  for depth in range(1, max(map(len, parts), default=1) + 1):
    ends = ["/".join(part[-depth:]) for part in parts]
    if len(set(ends)) == len(ends):
      break
  return ends


def _names_of_folders(paths: Sequence[str]) -> list[str]:
  """Returns names of methods by the folders of their first runs, after a letter if these repeat."""
  ends = [
    (p.parent.parent.name if p.parent.name == FOLDER else p.stem)[-18:]
    for p in map(pathlib.Path, paths)
  ]
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  if len(set(ends)) == len(ends):
    return ends
  return [f"{letters[i % 26]} {end}" for i, end in enumerate(ends)]
