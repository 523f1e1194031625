"""A figure that notebooks show, without pyplot."""

import io

from matplotlib.figure import Figure

from gan_jax.plots import look


class Shown(Figure):
  """A figure that is shown when it is the value of a cell."""

  def _repr_png_(self) -> bytes:
    from PIL import Image

    # 256 colours are enough, and a third of the size: notebooks are kept with their figures.
    image, file = Image.fromarray(look.pixels(self, dpi=80)).quantize(256), io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
