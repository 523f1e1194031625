"""Text in columns, for tables in a terminal or a file."""

from collections.abc import Container, Sequence


def align(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
  """Formats rows of cells as lines with aligned columns, two spaces apart.

  Args:
    rows: [rows][columns] cells.
    right: places of the columns that are aligned to the right.

  Returns:
    [rows] lines without trailing spaces.
  """
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  cell = lambda i, text: text.rjust(widths[i]) if i in right else text.ljust(widths[i])
  return ["  ".join(cell(i, text) for i, text in enumerate(row)).rstrip() for row in rows]
