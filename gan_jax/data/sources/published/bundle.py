"""Makes the bundled digits from MNIST's own files.

    python -m gan_jax.data.sources.published.bundle IDX_DIR OUT_DIR

Of the n digits of each class in a split, the ones at places k * n // m, k = 0 .. m-1, are taken
(m = 1000 for training, 200 for test) and kept in file order. Even spacing keeps both populations of
writers, which follow one another in MNIST's test files.
"""

import argparse
import hashlib
import pathlib

import numpy as np

from gan_jax.data.source import Raw
from gan_jax.data.sources.published.mnist import BUNDLED, find_idx, read_idx

PER_CLASS = {"train": 1000, "test": 200}


def evenly_spaced(y: np.ndarray, per_class: int) -> np.ndarray:
  """Returns evenly spaced examples of each class: labels [N] -> sorted indices."""
  members = [np.flatnonzero(y == label) for label in range(10)]
  spaced = [m[np.arange(per_class) * len(m) // per_class] for m in members]
  return np.sort(np.concatenate(spaced))


def bundle(folder: pathlib.Path) -> Raw:
  """Builds the bundled arrays {x,y}_{train,test} from a folder of idx files."""
  arrays: Raw = {}
  for split, per_class in PER_CLASS.items():
    x, y = (read_idx(find_idx(folder, split, kind)) for kind in ("images", "labels"))
    index = evenly_spaced(y, per_class)
    arrays |= {f"x_{split}": x[index], f"y_{split}": y[index]}
  return arrays


def main() -> None:
  """Writes mnist10k.npz and its checksum."""
  parser = argparse.ArgumentParser(
    prog="python -m gan_jax.data.sources.published.bundle", description=__doc__
  )
  parser.add_argument("idx_dir", type=pathlib.Path, help="a folder with MNIST's four idx files")
  parser.add_argument("out_dir", type=pathlib.Path, help="where to write")
  arguments = parser.parse_args()
  path = arguments.out_dir / BUNDLED
  np.savez_compressed(path, allow_pickle=False, **bundle(arguments.idx_dir))
  checksum = hashlib.sha256(path.read_bytes()).hexdigest()
  path.with_name(f"{BUNDLED}.sha256").write_text(f"{checksum}  {BUNDLED}\n")


if __name__ == "__main__":
  main()
