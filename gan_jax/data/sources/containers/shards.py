"""Files that are parts of one split, and the split that their names tell."""

import logging
import pathlib
import re
from collections.abc import Mapping, Sequence

from gan_jax.data.source import HOLD_OUT, SPLITS, NoSplitError

_LOG = logging.getLogger(__name__)

_WORD = re.compile(r"[A-Za-z]+")
_OF = re.compile(r"(.+)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?")  # as Hugging Face numbers parts


def shards(
  name: str, root: pathlib.Path, suffix: str, split: str
) -> Mapping[str, Sequence[pathlib.Path]]:
  """Lists the files of each split.

  A split is told by a word of a file's name, the first that names one, or of the folder that it is
  in; files that tell none are the training split. Folders are no classes.

  Args:
    name: name of the data in error messages.
    root: a file, or a folder of files.
    suffix: ending of their names, such as ".tar".
    split: that will be opened; what is left out is told for "train" alone.

  Returns:
    {"train" or "test": files in the order of their names}.

  Raises:
    FileNotFoundError: there is none.
    ValueError: a part is missing, or there are several data sets.
  """
  if root.is_file():
    return {"train": [root]}
  files = sorted(p for p in root.rglob(f"*{suffix}") if p.is_file()) if root.is_dir() else []
  files = [path for path in files if not path.name.startswith(".")]
  if not files:
    raise FileNotFoundError(f"{name}: there is no {root.absolute()} with files *{suffix}")
  by_split: dict[str, list[pathlib.Path]] = {}
  for path in files:
    by_split.setdefault(_split_of(path, root), []).append(path)
  for paths in by_split.values():
    _check_parts(name, paths)
  if "validation" in by_split and "test" in by_split:
    left_out = by_split.pop("validation")
    if split == "train":
      _LOG.warning("%s: %s is left out, as there is a test split", name, left_out[0].name)
  if "validation" in by_split:
    by_split["test"] = by_split.pop("validation")
  return by_split


def files_of(
  name: str, by_split: Mapping[str, Sequence[pathlib.Path]], split: str
) -> Sequence[pathlib.Path]:
  """Returns the files of a split; raises NoSplitError if there are none."""
  if split in by_split:
    return by_split[split]
  hint = HOLD_OUT if split == "test" else "name a file"
  raise NoSplitError(f"{name} has no {split} split among its files: {hint}")


def _split_of(path: pathlib.Path, root: pathlib.Path) -> str:
  # Not the first word alone: names may begin with that of the data, as imagenet1k-validation-00.
  texts = [path.name, *(folder.name for folder in path.relative_to(root).parents)]
  words = (word.lower() for text in texts for word in _WORD.findall(text))
  return next((SPLITS[word] for word in words if word in SPLITS), "train")


def _check_parts(name: str, paths: Sequence[pathlib.Path]) -> None:
  """Refuses files of one split that are of several data sets, or lack a part."""
  folders = sorted({path.parent for path in paths})
  if len(folders) > 1:
    raise ValueError(
      f"{name} has files of one split in several folders, {folders[0]} and {folders[1]}: name"
      " one of them"
    )
  parts = [match for path in paths if (match := _OF.fullmatch(path.stem))]
  for match in parts:
    present = {int(other[2]) for other in parts if other[1] == match[1] and other[3] == match[3]}
    if missing := sorted({*range(min(int(match[3]), 100_000))} - present):
      raise ValueError(
        f"{name} has {len(present)} of {int(match[3])} parts {match[1]}-...: part {missing[0]:05}"
        " is missing; fetch it"
      )
