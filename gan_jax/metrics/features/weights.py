"""The weights of InceptionV3: found, checked and read.

Converting PyTorch's file once to arrays alone:

    python -m gan_jax.metrics.features.weights pt_inception-2015-12-05-6726825d.pth OUT.npz
"""

import argparse
import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gan_jax.files import atomic_write, cache_folder, read_npz
from gan_jax.metrics.features.cache import content_hash
from gan_jax.torch_file import named_arrays, read_torch

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URL = (
  "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
  "pt_inception-2015-12-05-6726825d.pth"
)
FILES = (  # the third is the second, as torch-fidelity names it
  "inception-2015-12-05.npz",
  "pt_inception-2015-12-05-6726825d.pth",
  "weights-inception-2015-12-05-6726825d.pth",
)
LIMIT = 1 << 30  # bytes of an .npz of weights; those of InceptionV3 are 96 MB
_GET_IT = f"get it from {URL} (96 MB, sha256 {SHA256[:8]}...)"
_ELSE = "; --features=classifier, random_projection and pixels need no file"


class Weights(NamedTuple):
  """Arrays of a PyTorch file.

  Attributes:
    arrays: by their names.
    sha256: checksum of the file.
  """

  arrays: dict[str, np.ndarray]
  sha256: str


def find(path: str | os.PathLike[str] | None = None) -> pathlib.Path:
  """Returns the path of the weights.

  Args:
    path: of the file; if None, $GAN_JAX_INCEPTION, or one of `FILES` in `files.cache_folder()`.

  Returns:
    Its path.

  Raises:
    FileNotFoundError: there is none; says where to get it.
  """
  named = path or os.environ.get("GAN_JAX_INCEPTION")
  cache = cache_folder()
  if named:
    places, where = [pathlib.Path(named).expanduser()], str(named)
  else:
    places, where = [cache / name for name in FILES], f"{cache} under any name of {FILES}"
  for place in places:
    if place.is_file():
      return place
  raise FileNotFoundError(
    f"the weights of InceptionV3 are not at {where}: {_GET_IT} and put it into {cache}, or give its"
    f" path, or set GAN_JAX_INCEPTION to it{_ELSE}"
  )


def load(path: str | os.PathLike[str] | None = None, *, sha256: str | None = SHA256) -> Weights:
  """Reads the weights, from a PyTorch file or from an .npz of `save`.

  Args:
    path: see `find`.
    sha256: checksum that the PyTorch file must have, or must have had; None allows any.

  Raises:
    FileNotFoundError: there is no file.
    ValueError: it is damaged, or not what it should be.
  """
  place = find(path)
  if place.suffix == ".npz":
    weights = _read_npz(place)
    _check(place, weights.sha256, sha256)
    return weights
  content = place.read_bytes()
  checksum = hashlib.sha256(content).hexdigest()
  _check(place, checksum, sha256)  # before any of it is interpreted
  with _plainly(place, "weights saved by PyTorch"):
    arrays, _ = named_arrays(read_torch(content), LIMIT)
    return Weights(arrays, checksum)


def save(path: str | os.PathLike[str], weights: Weights) -> None:
  """Writes weights as an .npz of arrays and checksums, whole or not at all."""
  path = pathlib.Path(path)
  if path.suffix != ".npz":
    raise ValueError(f"{path} should end in .npz, by which it will be known")
  content = content_hash(weights.arrays, weights.sha256)
  marks = {"sha256": np.array(weights.sha256), "content": np.array(content)}
  # Opened here: to a name that does not end in .npz numpy would add it.
  with atomic_write(path) as temporary, temporary.open("wb") as file:
    np.savez(file, allow_pickle=False, **weights.arrays, **marks)


def _check(path: pathlib.Path, checksum: str, expected: str | None) -> None:
  if expected and checksum != expected:
    raise ValueError(
      f"{path} comes from a file with sha256 {checksum[:8]}..., and {expected[:8]}... was expected:"
      f" it is damaged, or another file; {_GET_IT}"
    )


def _read_npz(path: pathlib.Path) -> Weights:
  with _plainly(path, "an .npz of InceptionV3's weights"):
    with path.open("rb") as file:
      arrays = read_npz(str(path), file, LIMIT)
    sha256, content = str(arrays.pop("sha256")), str(arrays.pop("content"))
    if content_hash(arrays, sha256) != content:
      raise ValueError("its arrays are not those that were written")
    return Weights(arrays, sha256)


@contextlib.contextmanager
def _plainly(path: pathlib.Path, what: str) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # a damaged file can fail in any way
    reason = str(error) or type(error).__name__
    raise ValueError(f"{path} cannot be read as {what} ({reason}): {_GET_IT}") from error


def main() -> None:
  """Converts a PyTorch file to an .npz."""
  parser = argparse.ArgumentParser(prog="python -m gan_jax.metrics.features.weights")
  parser.add_argument("source", help=FILES[1])
  parser.add_argument("target", help=f"where to write, best {FILES[0]} in the cache folder")
  arguments = parser.parse_args()
  save(arguments.target, load(arguments.source))


if __name__ == "__main__":
  main()
