"""Images in Parquet files, as Hugging Face's data sets have them."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.data.labels import encode, encode_split
from gan_jax.data.source import Options, Source
from gan_jax.data.sources.containers.shards import files_of, shards
from gan_jax.data.sources.folders.folder import image_source
from gan_jax.data.sources.folders.trees import Content

if TYPE_CHECKING:
  import pyarrow as pa

_IMAGES = ("image", "img")  # the first choice among several columns of bytes
_ROWS = 64  # that are unfolded at a time: a few bytes may stand for many long values


class Columns(NamedTuple):
  """Columns that are read.

  Attributes:
    image: column of encoded images.
    label: column of labels; None without.
    names: names of the classes, if the file has them.
  """

  image: str
  label: str | None
  names: Sequence[str] | None


def open_parquet(argument: str, split: str, options: Options) -> Source:
  """Opens `parquet:<file>` or `parquet:<dir>`, whose files' names tell splits and parts.

  Images are a column of PNG, JPEG or such files, bare or with their paths; labels are a column of
  classes. All encoded images are kept in memory; where they would not fit when decoded, each batch
  is decoded as it comes.

  Raises:
    FileNotFoundError: no such files.
    NoSplitError: no such split.
    ValueError: damaged or too large files, columns of which nobody knows what they are, or values
      that are missing.
  """
  name = f"parquet:{argument}"
  by_split = shards(name, options.path(argument), ".parquet", split)
  paths = files_of(name, by_split, split)
  columns = _columns(paths[0], options.label)
  images, labels = _read(name, paths, columns, options.memory_limit)
  if labels is None or columns.label is None:
    return image_source(name, images, None, None, options)
  called = f"{name} (column {columns.label})"
  if columns.names is not None:
    y, _ = encode(called, labels, len(images), np.arange(len(columns.names)))
    return image_source(name, images, y, np.array(columns.names), options)
  training: np.ndarray | None = labels
  if split == "test" and "train" in by_split:
    only_labels = columns._replace(image="")
    training = _read(name, by_split["train"], only_labels, options.memory_limit)[1]
  known, classes = encode_split(called, labels, len(images), training)
  return image_source(name, images, known, classes, options)


def _open(path: pathlib.Path) -> Any:
  import pyarrow.parquet as parquet

  try:
    return parquet.ParquetFile(path)
  except Exception as error:  # a damaged file can fail in any way
    raise _damaged(path, error) from error


def _damaged(path: pathlib.Path, error: Exception) -> ValueError:
  return ValueError(f"{path} cannot be read as Parquet ({error}): replace it")


def _columns(path: pathlib.Path, label: str | None) -> Columns:
  """Chooses the columns of images and labels, by what Hugging Face writes of them or by type."""
  schema = _open(path).schema_arrow
  features = _features(path, schema.metadata or {})
  kinds = {name: of.get("_type") for name, of in features.items() if isinstance(of, dict)}
  images = [field.name for field in schema if kinds.get(field.name) == "Image"]
  images = images or [field.name for field in schema if _is_bytes(field.type)]
  if len(images) > 1:
    images = [name for name in images if name in _IMAGES] or images
  if len(images) != 1:
    raise ValueError(
      f"{path} has columns {', '.join(schema.names)}: expected one of encoded images, and"
      f" {'none' if not images else ', '.join(images)} can be one; leave all others out"
    )
  labels = [field.name for field in schema if kinds.get(field.name) == "ClassLabel"]
  labels = labels or [field.name for field in schema if _may_be_label(field)]
  if label is not None and label not in schema.names:
    raise ValueError(
      f"{path} has no column {label!r}, only {', '.join(schema.names)}: choose another"
      " --config.data_options.label"
    )
  if label is None and len(labels) > 1:
    raise ValueError(
      f"{path} has several columns of labels, {', '.join(labels)}: choose one, such as"
      f" --config.data_options.label={labels[0]}"
    )
  label = label or (labels[0] if labels else None)
  names = features.get(label, {}).get("names") if label else None
  if names is not None and not (isinstance(names, list) and {*map(type, names)} == {str}):
    raise ValueError(f"{path} has names of classes of {label} that are no text: write it again")
  return Columns(images[0], label, names)


def _features(path: pathlib.Path, metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
  """Reads what Hugging Face writes of each column."""
  if b"huggingface" not in metadata:
    return {}
  try:
    features = json.loads(metadata[b"huggingface"])["info"]["features"]
    return {str(key): value for key, value in features.items()}
  except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{path} has a description of its columns that cannot be read ({error}): write it again"
    ) from error


def _is_bytes(type_: "pa.DataType") -> bool:
  """Checks for bytes, or bytes beside a path."""
  import pyarrow as pa

  if pa.types.is_struct(type_):
    return type_.get_field_index("bytes") >= 0 and _is_bytes(type_.field("bytes").type)
  return pa.types.is_binary(type_) or pa.types.is_large_binary(type_)


def _may_be_label(field: "pa.Field") -> bool:
  import pyarrow as pa

  text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
  named = field.name in ("y", "class", "target") or field.name.endswith(("label", "labels"))
  return named and (pa.types.is_integer(field.type) or text)


def _read(
  name: str, paths: Sequence[pathlib.Path], columns: Columns, limit: int
) -> tuple[list[Content], np.ndarray | None]:
  """Reads the encoded images [N] and the labels [N] of a split."""
  images: list[Content] = []
  labels: list[Any] = []
  size = 0
  wanted = [column for column in (columns.image, columns.label) if column]
  for path in paths:
    first = len(images)
    for batch in _batches(path, wanted):
      for value in batch.get(columns.image, ()):
        images.append(_image(path, columns.image, len(images) - first, value))
        size += len(images[-1].content)
      labels += batch.get(columns.label or "", ())
      if None in labels[-_ROWS:]:
        raise ValueError(
          f"{path} has a row without a {columns.label}: remove such rows, or the column"
        )
      if size > limit:
        raise ValueError(
          f"{name} has more than memory_limit={limit} bytes of encoded images: name fewer of its"
          " files, or raise memory_limit in load(...)"
        )
  if not images and columns.image:
    raise ValueError(f"{name} has no rows")
  return images, np.array(labels) if columns.label else None


def _batches(path: pathlib.Path, wanted: Sequence[str]) -> Any:
  """Yields {column: values} of a few rows at a time."""
  file = _open(path)
  if missing := [column for column in wanted if column not in file.schema_arrow.names]:
    raise ValueError(f"{path} has no column {missing[0]}, as the first file has: replace it")
  try:
    for batch in file.iter_batches(_ROWS, columns=list(wanted), use_threads=False):
      yield batch.to_pydict()
  except Exception as error:  # a damaged file can fail in any way
    raise _damaged(path, error) from error


def _image(path: pathlib.Path, column: str, row: int, value: Any) -> Content:
  content, where = value, None
  if isinstance(value, dict):
    content, where = value.get("bytes"), value.get("path")
  if not isinstance(content, bytes):
    had = f"a path, {where!r:.100}, and no bytes" if where else "no bytes"
    raise ValueError(
      f"{path}: the column {column} has {had} in row {row}: write the images into the file"
      " (Hugging Face: push_to_hub does, or cast_column with decode and embed_table_storage)"
    )
  return Content(f"{path}, row {row} of {column}", content)
