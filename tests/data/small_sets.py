"""One small data set of every kind: each writer below makes one, `write_all` makes them all."""

import functools
import gzip
import io
import pathlib
import struct
import warnings

import h5py
import numpy as np
from PIL import Image

from gan_jax.data import Source, load

NAMES = (
  "mnist10k",
  "digits8x8",
  "ring8",
  "grid25",
  "stacked:mnist10k",
  "coloured:mnist10k",
  "gray:coloured:digits8x8",
  "class:3:digits8x8",
  "idx:idx",
  "folder:shapes",
  "folder:plain",
  "npz:images.npz",
  "npz:points.npz",
  "npy:deep.npy",
  "npy:floats.npy",
  "npy:series.npy",
  "npy:volumes.npy",
  "hdf5:series.hdf5",
  "tfds:tiny_shapes",
)
AXES = {"npy:series.npy": "NTC", "hdf5:series.hdf5": "NCT"}  # of those whose shape does not say it


@functools.cache
def opened(name: str, data_dir: str | None = None) -> Source:
  """Opens a training split once, so that what was compiled for it is compiled once."""
  return load(name, data_dir=data_dir, axes=AXES.get(name))


def images(n: int, *shape: int) -> np.ndarray:
  return np.random.default_rng(n).integers(0, 256, (n, *shape), np.uint8)


def write_idx(path: pathlib.Path, array: np.ndarray) -> None:
  header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
  content = header + array.tobytes()
  path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_images(folder: pathlib.Path, array: np.ndarray, suffix: str = ".png") -> None:
  folder.mkdir(parents=True, exist_ok=True)
  for i, image in enumerate(array):
    Image.fromarray(image.squeeze()).save(folder / f"{i:03}{suffix}")


def png(image: np.ndarray) -> bytes:
  file = io.BytesIO()
  Image.fromarray(image.squeeze()).save(file, "PNG")
  return file.getvalue()


def write_tfds(data_dir: pathlib.Path) -> None:
  """Prepares a data set as TFDS does; PNG files as input keep TensorFlow out of it."""
  import tensorflow_datasets as tfds

  class TinyShapes(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
      features = {
        "image": tfds.features.Image(shape=(8, 8, 3)),
        "label": tfds.features.ClassLabel(num_classes=3),
      }
      return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict(features),
        supervised_keys=("image", "label"),
      )

    def _split_generators(self, _):
      return {"train": self._generate_examples(30), "test": self._generate_examples(20)}

    def _generate_examples(self, n):
      for i, image in enumerate(images(n, 8, 8, 3)):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        file.seek(0)
        yield i, {"image": file, "label": i % 3}

  config = tfds.download.DownloadConfig(try_download_gcs=False)
  builder = tfds.builder("tiny_shapes", data_dir=data_dir)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TFDS's own, of its progress bars and its logging
    builder.download_and_prepare(download_config=config, file_format="array_record")


def write_all(root: pathlib.Path) -> None:
  (root / "idx").mkdir()
  write_idx(root / "idx" / "train-images-idx3-ubyte", images(40, 9, 9))
  write_idx(root / "idx" / "train-labels-idx1-ubyte", np.arange(40, dtype=np.uint8) % 10)
  write_idx(root / "idx" / "t10k-images.idx3-ubyte.gz", images(20, 9, 9))
  write_idx(root / "idx" / "t10k-labels.idx1-ubyte.gz", np.arange(20, dtype=np.uint8) % 10)
  for split, n in (("train", 12), ("test", 10)):
    write_images(root / "shapes" / split / "circle", images(n, 8, 8, 3))
    write_images(root / "shapes" / split / "square", images(n + 1, 8, 8, 3), ".webp")
  write_images(root / "plain", images(21, 10, 14, 1))
  pixels, labels = images(32, 6, 8), np.arange(32) % 4
  np.savez(
    root / "images.npz", x=pixels, y=labels, x_test=pixels[:20], y_test=labels[:20].astype(np.uint8)
  )
  points = np.random.default_rng(0).normal(size=(50, 3))
  np.savez(root / "points.npz", x_train=points, x_test=points[:20])
  np.save(root / "deep.npy", np.random.default_rng(1).integers(100, 4000, (30, 6, 9, 3), np.uint16))
  np.save(root / "floats.npy", np.random.default_rng(2).normal(size=(30, 6, 9, 1)))
  rng = np.random.default_rng(3)
  np.save(root / "series.npy", rng.normal(size=(30, 12, 2)))
  np.save(root / "volumes.npy", rng.integers(100, 4000, (30, 4, 6, 5, 1), np.uint16))
  with h5py.File(root / "series.hdf5", "w") as file:
    file["x"], file["y"] = rng.integers(0, 256, (30, 2, 12), np.uint8), np.arange(30) % 3
  write_tfds(root)
