"""A figure that notebooks show, without pyplot."""

import io

from matplotlib.figure import Figure


class Shown(Figure):
  """A figure that is shown when it is the value of a cell."""

  def _repr_png_(self) -> bytes:
    file = io.BytesIO()
    self.savefig(file, format="png", dpi=72)
    return file.getvalue()
