"""Files below a folder or in a zip, by their names from there on, as if both were the same."""

import io
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

_FOLDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LONGEST = 1000  # characters of a name in a zip
_JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what file managers leave


class Member(NamedTuple):
  """A file in a zip; of a path, it has what is needed to read it.

  Attributes:
    archive: the zip.
    name: in it.
  """

  archive: zipfile.ZipFile
  name: str

  def open(self, mode: str = "rb") -> IO[bytes]:
    """Opens it to be read; no more bytes come than its entry announces."""
    del mode
    return self.archive.open(self.name)

  def __str__(self) -> str:
    """Names zip and file."""
    return f"{self.archive.filename}/{self.name}"


class Content(NamedTuple):
  """A file within another, whose bytes are in memory or mapped there.

  Attributes:
    where: name of both, for messages.
    content: its bytes.
  """

  where: str
  content: bytes | memoryview

  def open(self, mode: str = "rb") -> IO[bytes]:
    """Opens it to be read."""
    del mode
    return io.BytesIO(self.content)

  def __str__(self) -> str:
    """Names both files."""
    return self.where


File = pathlib.Path | Member | Content


class Tree(NamedTuple):
  """Files and folders below a place.

  Attributes:
    where: the place, for messages.
    names: of files, relative and with slashes, sorted; those of folders end in a slash.
    file: name -> what to open.
  """

  where: str
  names: tuple[str, ...]
  file: Callable[[str], File]

  def below(self, folder: str) -> "Tree":
    """Returns what is in one of its folders."""
    start = f"{folder}/"
    names = tuple(n.removeprefix(start) for n in self.names if n.startswith(start) and n != start)
    return Tree(f"{self.where}/{folder}", names, lambda name: self.file(start + name))


def folder_tree(root: pathlib.Path) -> Tree:
  """Lists what is below a folder; hidden files are left out, and links are followed."""
  return Tree(str(root), tuple(sorted(_walk(root, "", ()))), lambda name: root / name)


def _walk(folder: pathlib.Path, before: str, above: tuple[str, ...]) -> Iterator[str]:
  real = os.path.realpath(folder)
  if real in above:
    raise ValueError(f"{folder} leads back to {real}, which it is in: remove the link")
  with os.scandir(folder) as entries:
    for entry in entries:
      if not _seen(entry.name):
        continue
      if entry.is_dir():
        yield f"{before}{entry.name}/"
        yield from _walk(folder / entry.name, f"{before}{entry.name}/", (*above, real))
      else:
        yield before + entry.name


def zip_tree(path: pathlib.Path) -> Tree:
  """Lists what is in a zip; nothing is unpacked.

  Raises:
    ValueError: it is damaged, encrypted, or of another compression than zips have.
  """
  try:
    archive = zipfile.ZipFile(path)
  except (OSError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(f"{path} cannot be read as a zip ({error}): replace it") from error
  originals: dict[str, str] = {}
  for member in archive.infolist():
    name = member.filename.removeprefix("./").lstrip("/")
    if len(name) > _LONGEST:
      raise ValueError(
        f"{path} has a name of {len(name)} characters, and not a file's: make it again"
      )
    if not all(map(_seen, name.rstrip("/").split("/"))):
      continue
    if member.flag_bits & 1 or member.compress_type not in _FOLDED:
      raise ValueError(
        f"{path}/{name} is encrypted, or compressed in a way that few programs read: unpack the"
        " zip, and name the folder"
      )
    if name in originals:
      raise ValueError(f"{path} has two files of the name {name}: make the zip again")
    originals[name] = member.filename
  return Tree(str(path), tuple(sorted(originals)), lambda name: Member(archive, originals[name]))


def _seen(part: str) -> bool:
  return not part.startswith(".") and part not in _JUNK
