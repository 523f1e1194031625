"""WebDataset: tar files in which the members of one example stand together."""

import itertools
import mmap
import pathlib
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gan_jax.data.labels import encode_split
from gan_jax.data.source import Options, Source
from gan_jax.data.sources.containers.shards import files_of, shards
from gan_jax.data.sources.folders.folder import image_source
from gan_jax.data.sources.folders.trees import Content
from gan_jax.data.sources.images import SUFFIXES

_LABEL = "cls"
_MEMBER = re.compile(r"(?:\./)?((?:.*/)?[^./][^./]*)\.([^/]+)")  # up to the first dot of the name
_NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST = 100_000  # files that a pattern names
_LABEL_BYTES = 64


def open_webdataset(argument: str, split: str, options: Options) -> Source:
  """Opens `webdataset:<dir>`, one tar file, or a pattern such as `train-{0000..0099}.tar`.

  Images are members such as KEY.png, labels the decimal text of KEY.cls. Folders of keys are no
  classes. The files are mapped into memory, and no more is read than is used.

  Raises:
    FileNotFoundError: no such files.
    NoSplitError: no such split.
    ValueError: damaged, or an example that lacks what others have.
  """
  name = f"webdataset:{argument}"
  path = options.path(argument)
  match = _NUMBERS.search(path.name)
  by_split = {"train": _named(name, path, match)} if match else shards(name, path, ".tar", split)
  images, labels = _read(name, files_of(name, by_split, split))
  other = split == "test" and "train" in by_split
  training = _read(name, by_split["train"])[1] if other else labels
  y, classes = encode_split(name, labels, len(images), training)
  return image_source(name, images, y, classes, options)


def _named(name: str, path: pathlib.Path, match: re.Match[str]) -> Sequence[pathlib.Path]:
  """Lists the files that a pattern of numbers names."""
  first, last = int(match[1]), int(match[2])
  if not first <= last < first + _MOST:
    raise ValueError(f"{name} names the numbers {first} to {last}: expected at most {_MOST}")
  numbers = (f"{i:0{len(match[1])}}" for i in range(first, last + 1))
  fill = lambda number: path.name[: match.start()] + number + path.name[match.end() :]
  paths = [path.with_name(fill(number)) for number in numbers]
  if missing := [p for p in paths if not p.is_file()]:
    raise FileNotFoundError(f"{name}: there is no {missing[0].absolute()}")
  return paths


def _read(name: str, paths: Sequence[pathlib.Path]) -> tuple[Sequence[Content], np.ndarray | None]:
  """Lists the images of tar files [N], and reads their labels [N]."""
  images: list[Content] = []
  labels: list[int | None] = []
  for path in paths:
    for key, fields in _examples(path):
      present = [field for field in fields if f".{field.lower()}".endswith(SUFFIXES)]
      if len(present) != 1:
        has = f"several images, .{', .'.join(present)}" if present else "no image"
        raise ValueError(
          f"{path}: the example {key} has {has}, only .{', .'.join(fields)}: expected one of"
          f" {' '.join(SUFFIXES)}"
        )
      images.append(fields[present[0]])
      labels.append(_label(fields[_LABEL]) if _LABEL in fields else None)
  if not images:
    raise ValueError(f"{name} has no images ({', '.join(SUFFIXES)})")
  known = [label for label in labels if label is not None]
  if known and None in labels:
    without = images[labels.index(None)]
    raise ValueError(f"{without} has no label .{_LABEL} beside it, and others have: add it")
  return images, np.array(known) if known else None


def _examples(path: pathlib.Path) -> Iterator[tuple[str, Mapping[str, Content]]]:
  """Yields (key, {field: content}) of each run of members with one key."""
  for key, members in itertools.groupby(_members(path), lambda member: member[0]):
    fields: dict[str, Content] = {}
    for _, field, content in members:
      if field in fields:
        raise ValueError(f"{path} has two members {key}.{field}: make it again")
      fields[field] = content
    yield key, fields


def _members(path: pathlib.Path) -> Iterator[tuple[str, str, Content]]:
  """Yields (key, field, content) of each file in a tar file."""
  try:
    with path.open("rb") as file:
      mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with tarfile.open(fileobj=mapped, mode="r:") as archive:
      members = [member for member in archive if member.isreg() and not member.issparse()]
  except Exception as error:  # a damaged file can fail in any way
    raise ValueError(
      f"{path} cannot be read as an uncompressed tar file ({error}): replace it, or unpack it"
    ) from error
  view = memoryview(mapped)
  for member in members:
    if not (match := _MEMBER.fullmatch(member.name)):
      continue
    content = view[member.offset_data : member.offset_data + member.size]
    if len(content) < member.size:
      raise ValueError(f"{path} ends before its member {member.name} does: replace it")
    yield match[1], match[2], Content(f"{path}/{member.name}", content)


def _label(file: Content) -> int:
  text = bytes(file.content[:_LABEL_BYTES]).decode(errors="replace").strip()
  if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
    raise ValueError(f"{file} is {text!r}: expected a whole number as text")
  return int(text)
