"""A figure that notebooks show, without pyplot."""

import io

from matplotlib.figure import Figure


class Shown(Figure):
  """A figure that is shown when it is the value of a cell."""

  def _repr_png_(self) -> bytes:
    from PIL import Image

    png, file = io.BytesIO(), io.BytesIO()
    self.savefig(png, format="png", dpi=80)
    # 256 colours are enough, and a third of the size: notebooks are kept with their figures.
    Image.open(png).convert("RGB").quantize(256).save(file, "PNG", optimize=True)
    return file.getvalue()
