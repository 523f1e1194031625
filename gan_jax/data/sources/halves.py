"""One half of images that lie side by side in one file: a pair of pix2pix's published data."""

from gan_jax.data.source import Options, Raw, Source
from gan_jax.data.sources.images import fit_each


def half(name: str, source: Source, right: bool, options: Options) -> Source:
  """Builds the source of the left or the right half of images [H, 2 W, C].

  Args:
    name: name of the new source.
    source: images in their own size.
    right: which half.
    options: keyword arguments of `load`, which halves are resized by.

  Raises:
    ValueError: examples are no images of even width.
  """
  if source.read is None or len(source.shape) != 3 or source.shape[1] % 2:
    raise ValueError(
      f"{name} cuts images in the middle, and those of {source.name} are {source.shape}: expected"
      " [H, W, C] of even width W, from files"
    )
  read, width = source.read, source.shape[1] // 2
  columns = slice(width, None) if right else slice(width)
  size, channels = options.image_size, options.channels or source.shape[2]

  def cut(raw: Raw) -> Raw:
    return {**raw, "x": fit_each(raw["x"][:, :, columns], size, channels)}

  shape = (size or source.shape[0], size or width, channels)
  arrays = cut(source.arrays) if "x" in source.arrays else {}
  of_table = lambda indices: {key: value[indices] for key, value in arrays.items()}
  of_files = lambda indices: cut(read(indices))
  return source._replace(
    name=name, shape=shape, arrays=arrays, read=of_table if arrays else of_files
  )
