"""Folders of images, translated by a run."""

import pathlib

import jax.numpy as jnp
import numpy as np

from gan_jax.data import UINT8, load, to_float
from gan_jax.data.sources.folders.layout import listing
from gan_jax.data.sources.folders.trees import folder_tree
from gan_jax.plots.png import save_png
from gan_jax.run.results.run import Run

BATCH = 64  # images that are in memory at once


def translate_folder(run: Run, source: str, folder: str, *, ema: bool = True) -> int:
  """Translates the images of a folder, each to a PNG of its name.

  They are resized, and cropped to the middle, to the size that the translator was trained on.

  Args:
    run: run of a game whose sampler starts from images.
    source: folder of images.
    folder: folder to write to.
    ema: whether to use averaged networks.

  Returns:
    The number of images.

  Raises:
    FileNotFoundError: there is no such folder, or no image in it.
    ValueError: the run does not translate, or images cannot be read.
  """
  sampler = run.sampler
  shape, pixel_range = sampler.example.input_shape, sampler.example.pixel_range
  if not sampler.translates or pixel_range is None:
    raise ValueError(f"{run.folder.workdir} is of a game that translates no images")
  # As absolute path, since that of a data set starts elsewhere.
  root = pathlib.Path(source).expanduser().absolute()
  scale = sampler.example.scale
  channels = shape[2] if scale == UINT8 else None
  images = load(f"folder:{root}", image_size=shape[0], channels=channels)
  if images.scale.dtype != scale.dtype or images.shape != shape:
    raise ValueError(
      f"{source} has images of {images.scale.dtype} {list(images.shape)}, and {run.folder.workdir}"
      f" was trained on {scale.dtype} {list(shape)}: name others"
    )
  names, _ = listing(folder_tree(root), False)
  assert images.read is not None and images.size == len(names)
  for first in range(0, len(names), BATCH):
    places = np.arange(first, min(first + BATCH, len(names)))
    x = to_float(jnp.asarray(images.read(places)["x"]), pixel_range, scale)
    translated = sampler.generate(run.state, np.asarray(x), ema=ema)
    for place, image in zip(places.tolist(), sampler.shown(translated), strict=True):
      save_png(pathlib.Path(folder, names[place]).with_suffix(".png"), image)
  return len(names)
