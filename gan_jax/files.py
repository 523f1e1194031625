"""Files: written whole or not at all; read as if somebody else had made them.

Nothing in them is executed, and they are measured first: a few bytes can announce, or unfold to,
more than a machine has, so sizes meet a limit before anything of that size is allocated.
"""

import contextlib
import io
import json
import math
import os
import pathlib
import pickle
import pickletools
import tempfile
import threading
import zipfile
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

Path = str | os.PathLike[str]

JSON_LIMIT = 64 << 20  # bytes: what a run writes has some thousands
MOST_DEFLATED = 1032  # bytes that one byte of a compressed file can stand for
_HEADERS = {
  (1, 0): np.lib.format.read_array_header_1_0,
  (2, 0): np.lib.format.read_array_header_2_0,
}
_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # that numpy writes


def cache_folder(given: Path | None = None) -> pathlib.Path:
  """Returns the folder of what is computed or fetched once, then kept; makes none.

  Args:
    given: path of the folder; by default $GAN_JAX_CACHE, else ~/.cache/gan_jax.
  """
  return pathlib.Path(given or os.environ.get("GAN_JAX_CACHE") or "~/.cache/gan_jax").expanduser()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[pathlib.Path]:
  """Yields a temporary path that replaces `path` once it is written without an error."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # Hidden: a glob for *.png does not match it while it is half written. Each thread has its own.
  temporary = path.with_name(f".{path.name}.{threading.get_native_id()}")
  try:
    with error_context(path, temporary):
      yield temporary
      os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def check_writable(flag: str, path: Path) -> None:
  """Checks that a file can be written, before there is anything to write.

  Args:
    flag: flag that names the file, for the message.
    path: path of the file; folders above it are made when it is written.

  Raises:
    ValueError: the path is a folder, or lies in none that can be written to.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    raise ValueError(f"{flag}={path} cannot be written: it is a folder; name a file in it")
  _check_parent(flag, path, path.absolute().parents)


def check_folder(flag: str, path: Path, *, new: bool = True) -> None:
  """Checks that a folder can be written to, and is new or empty.

  Args:
    flag: flag that names the folder, for the message.
    path: path of the folder, which is made when it is written to.
    new: whether the folder must be new, or empty.

  Raises:
    ValueError: the path is a file, has files though it must not, or cannot be written to.
  """
  path, kind = pathlib.Path(path), "a folder that is new, or empty" if new else "a folder"
  if path.is_file():
    raise ValueError(f"{flag}={path} is a file: name {kind}")
  if new and path.is_dir() and any(path.iterdir()):
    raise ValueError(f"{flag}={path} has files already: name {kind}")
  _check_parent(flag, path, [path.absolute(), *path.absolute().parents])


def _check_parent(flag: str, path: pathlib.Path, parents: Sequence[pathlib.Path]) -> None:
  """Checks that files can be made in the first of the parents that exists."""
  parent = next(folder for folder in parents if folder.exists())
  if not parent.is_dir():
    raise ValueError(f"{flag}={path} cannot be written: {parent} is a file, and no folder")
  try:  # whose it is says little: root cannot write everywhere either
    tempfile.TemporaryFile(dir=parent).close()
  except OSError as error:
    raise ValueError(
      f"{flag}={path} cannot be written: nothing can be made in {parent} ({error.strerror})"
    ) from error


@contextlib.contextmanager
def error_context(path: Path, temporary: Path = "") -> Iterator[None]:
  """Raises errors of writing with the path of the file, where they name none or a temporary one."""
  try:
    yield
  except OSError as error:
    if error.filename not in (None, "", str(temporary)) or not error.errno:
      raise
    raise OSError(error.errno, error.strerror, str(path)) from error


def remove_temporaries(folder: Path) -> None:
  """Deletes files half written by a killed process; for the only process that writes there."""
  for path in pathlib.Path(folder).glob(".*.*"):
    if path.suffix[1:].isdecimal():
      path.unlink(missing_ok=True)


def read_json(path: Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
  """Reads a JSON file that holds values by name.

  Args:
    path: path of the file.
    limit: largest size in bytes.

  Raises:
    OSError: the file cannot be read.
    ValueError: the file holds something else, is damaged, or is too large; the message names it.
  """
  path = pathlib.Path(path)
  if path.stat().st_size > limit:
    raise ValueError(f"{path} has more than {limit} bytes, which no run writes")
  try:
    values = json.loads(path.read_bytes())
  except (ValueError, RecursionError) as error:  # bytes that are no text, no JSON, or too deep
    raise ValueError(f"{path} is damaged ({error}); restore it from a copy") from error
  if not isinstance(values, dict):
    raise ValueError(f"{path} is damaged (it holds no names); restore it from a copy")
  return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
  """Writes a JSON file that is never seen half written."""
  with atomic_write(path) as temporary:
    temporary.write_text(json.dumps(plain(values), indent=2) + "\n")


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays by name to an .npz file."""
  with atomic_write(path) as temporary, temporary.open("wb") as file:
    np.savez_compressed(file, allow_pickle=False, **arrays)


def plain(value: Any) -> Any:
  """Returns numpy numbers as Python's, and NaN and infinities, which JSON lacks, as names."""
  if isinstance(value, Mapping):
    return {str(key): plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [plain(item) for item in value]
  if isinstance(value, np.ndarray | np.generic):
    return plain(value.tolist())
  if isinstance(value, float) and not math.isfinite(value):
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
  return value


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Flattens nested keys to dotted ones."""
  leaves: dict[str, Any] = {}
  for key, value in tree.items():
    leaves |= (
      flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    )
  return leaves


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
  """Lists the dotted keys whose values differ: {key: line with both values}."""
  a, b = flat(old), flat(new)
  of = lambda values, key: values.get(key, "not set") if values.get(key) != "" else "''"
  return {
    key: f"  {key}: {of(a, key)} there, {of(b, key)} here"
    for key in sorted(a.keys() | b.keys())
    if a.get(key) != b.get(key)
  }


class TooLargeError(ValueError):
  """A file needs more memory than it may have."""


def npz_names(path: Path) -> set[str]:
  """Lists the arrays of an .npz file; none of a file that is no such archive."""
  try:
    with zipfile.ZipFile(path) as archive:
      return {name.removesuffix(".npy") for name in archive.namelist()}
  except (OSError, ValueError, zipfile.BadZipFile):
    return set()


def read_npz(
  name: str, file: IO[bytes], limit: int, *, only: Container[str] | None = None
) -> dict[str, np.ndarray]:
  """Reads the arrays of an .npz file.

  Args:
    name: name of the file in error messages.
    file: open file, read from its beginning.
    limit: largest size of all arrays together, in bytes.
    only: names of the arrays to read; None for all of them.

  Returns:
    The arrays by name.

  Raises:
    TooLargeError: the arrays are larger; nothing of that size is allocated before.
    ValueError: the file is damaged, or holds pickled objects.
  """
  try:
    with zipfile.ZipFile(file) as archive:
      size = _unfolded(archive, limit, only)
    if size <= limit:
      file.seek(0)
      with np.load(file, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files if only is None or key in only}
  except Exception as error:  # zip, zlib and npy each have their own ways to be damaged
    raise ValueError(f"{name} cannot be read as .npz arrays without pickle ({error})") from error
  raise TooLargeError(f"{name} needs {size} bytes, more than")


def _unfolded(archive: zipfile.ZipFile, limit: int, only: Container[str] | None) -> int:
  """Returns how many bytes an archive has, by its directory and by the headers of its arrays."""
  members = [
    member
    for member in archive.infolist()
    if only is None or member.filename.removesuffix(".npy") in only
  ]
  if any(member.compress_type not in _COMPRESSION for member in members):
    raise ValueError("it is compressed in a way that numpy does not use")
  # The headers come second: they, too, may unfold without end.
  size = sum(member.file_size for member in members)
  return size if size > limit else sum(_array_bytes(archive, member) for member in members)


def _array_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
  """Returns the size that the header of one array announces."""
  with archive.open(member) as file:
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
  if min(shape, default=0) < 0:  # or it would hide another's size
    raise ValueError(f"{member.filename} has the shape {shape}")
  return math.prod(shape) * dtype.itemsize


def check_pickle(file: io.BytesIO) -> None:
  """Refuses a pickle of which a few bytes make Python take memory without end.

  It makes room for as many remembered objects as the largest number of one, and for as many bytes
  as one is said to have, before it looks whether they are there.
  """
  most = len(file.getbuffer())
  for code, argument, _ in pickletools.genops(file):
    if code.name.endswith("PUT") and int(argument or 0) > most:
      raise pickle.UnpicklingError("it remembers more objects than it has")
    if code.name in ("BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER", "DUP"):
      raise pickle.UnpicklingError(f"it has {code.name}, which arrays do not need")
