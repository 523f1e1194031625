"""Folders in, a page out; what cannot be is refused before any work."""

import datetime
import pathlib
from collections.abc import Sequence

from gan_jax.files import atomic_write, check_writable
from gan_jax.run.cli.usage import UsageError
from gan_jax.run.report import ablation, gather, render, reproduce
from gan_jax.run.results import sweeps
from gan_jax.run.results.listing import ABLATION, RUN, find


def write(paths: Sequence[str | pathlib.Path], out: str | pathlib.Path) -> list[str]:
  """Writes a page of runs and ablations.

  Args:
    paths: their folders; that of a sweep stands for its runs.
    out: where to; a name in .html.

  Returns:
    What of the runs could not be read or shown, a line each.

  Raises:
    FileNotFoundError: there is no run in one of the folders.
    ValueError: a run's config is damaged; one is named twice; `out` cannot be written, or the page
      would be too large.
  """
  named, out = [pathlib.Path(path) for path in paths], pathlib.Path(out)
  folders, left = sweeps.expanded(named)
  _check(folders, out)
  is_ablation = [(folder / ABLATION).is_file() for folder in folders]
  content = render.Content(
    gather.runs([folder for folder, yes in zip(folders, is_ablation, strict=True) if not yes]),
    [ablation.gather(folder) for folder, yes in zip(folders, is_ablation, strict=True) if yes],
    reproduce.report_command(named, out),
    datetime.datetime.now(),
  )
  text, notes = render.page(content)
  with atomic_write(out) as temporary:
    temporary.write_text(text, encoding="utf-8")
  return [*left, *notes]


def _check(folders: Sequence[pathlib.Path], out: pathlib.Path) -> None:
  """Refuses folders without a run, and a place that cannot be written to."""
  if not folders:
    raise UsageError("expected gan_jax report RUN [RUN...] --out=report.html: folders of runs")
  for folder in folders:
    if not any((folder / file).is_file() for file in (RUN, ABLATION)):
      inside = find(folder)[:3] if folder.is_dir() else []
      hint = f"; there are runs below it, such as {inside[0]}" if inside else ""
      raise FileNotFoundError(
        f"no run in {folder}: expected a folder with {RUN} or {ABLATION}{hint}"
      )
  twice = {folder.resolve() for folder in folders}
  if len(twice) < len(folders):
    raise UsageError("one of the folders is named twice, which would count its run as two")
  if out.suffix.lower() != ".html":
    raise UsageError(f"--out={out}: the page is HTML; expected a name in .html")
  check_writable("--out", out)
