"""Output of a run: rows of numbers, TensorBoard events, a progress line, pictures, JSON.

Everything here is on the host: numpy in, files out. Files that may be read while they are written
appear whole (`gan_jax.files.atomic_write`) or grow by whole lines (metrics.jsonl).
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.files import atomic_write, error_context, remove_temporaries

Path = str | os.PathLike[str]

NO_CURVES = {"evaluation"}  # columns that are numbers of things, not measured


# --- files ----------------------------------------------------------------------------------------


def write_json(path: Path, values: Mapping[str, Any]) -> None:
  """Writes a JSON file that is never seen half written."""
  with atomic_write(path) as temporary:
    temporary.write_text(json.dumps(plain(values), indent=2) + "\n")


def save_png(path: Path, image: np.ndarray, about: str = "") -> None:
  """Writes an image.

  Args:
    path: the file.
    image: uint8 [H, W, C] with 1 or 3 channels.
    about: description in the file, if any.
  """
  from PIL import Image
  from PIL.PngImagePlugin import PngInfo

  info = PngInfo()
  if about:
    info.add_itxt("Description", about)
  with atomic_write(path) as temporary:
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.save(temporary, "PNG", pnginfo=info)


def save_images(folder: Path, images: np.ndarray, classes: Sequence[str] | None = None) -> None:
  """Writes each image as a PNG of its own; `folder:` reads them back, with their classes.

  Args:
    folder: the folder; with classes there is a folder of each in it.
    images: uint8 [n, H, W, C] with 1 or 3 channels.
    classes: [n] name of the class of each.

  Raises:
    ValueError: no folder can have the name of a class.
  """
  folder, width = pathlib.Path(folder), len(str(max(len(images) - 1, 1)))
  for name in sorted(set(classes or ())):
    if not name or name.startswith(".") or pathlib.PurePath(name).name != name or "\\" in name:
      raise ValueError(
        f"no folder can be called as the class {name!r} is: write arrays, --npz=FILE"
      )
  for i, image in enumerate(images):
    save_png((folder / classes[i] if classes else folder) / f"{i:0{width}}.png", image)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays by name to an .npz file."""
  with atomic_write(path) as temporary, temporary.open("wb") as file:
    np.savez_compressed(file, allow_pickle=False, **arrays)


def plain(value: Any) -> Any:
  """Returns numpy numbers as Python's, and NaN and infinities, which JSON lacks, as names."""
  if isinstance(value, Mapping):
    return {str(key): plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [plain(item) for item in value]
  if isinstance(value, np.ndarray | np.generic):
    return plain(value.tolist())
  if isinstance(value, float) and not math.isfinite(value):
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
  return value


# --- rows and events ------------------------------------------------------------------------------

SCORE = "score/"  # what columns of scores begin with


@dataclasses.dataclass
class Row:
  """Numbers of a round.

  Attributes:
    metrics: of the game, and of its monitors: means over the rounds since the row before.
    progress: images, seconds, and how fast they came.
    scores: of an evaluation, if one was due.
    evaluation: number of how the scores are made; None without any.
  """

  metrics: Mapping[str, float]
  progress: Mapping[str, float]
  scores: dict[str, float] = dataclasses.field(default_factory=dict)
  evaluation: int | None = None

  def columns(self) -> dict[str, float]:
    """Returns the numbers by the names that they have in metrics.jsonl."""
    scored = {f"{SCORE}{name}": value for name, value in self.scores.items()}
    how = {} if self.evaluation is None else {"evaluation": self.evaluation}
    return {**self.metrics, **self.progress, **scored, **how}


def scored_rounds(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
  """Lists the rounds of rows that have scores, and these."""
  return [(row["round"], scores) for row in rows if (scores := scores_of(row))]


def scores_of(columns: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the scores of a row that was read, by their names."""
  return {k.removeprefix(SCORE): v for k, v in columns.items() if k.startswith(SCORE)}


class Writer:
  """Appends a row of numbers at a time to metrics.jsonl and to TensorBoard's events."""

  def __init__(self, workdir: Path, first: int = 0):
    """Opens the files.

    Args:
      workdir: folder of the run.
      first: round that training starts from; rows of later rounds, which will be played again, are
        dropped.
    """
    import tensorboardX

    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    self._path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (self._path.parent, self._path.parent / "samples"):
      remove_temporaries(folder)
    rows = [row for row in read_rows(workdir) if row["round"] <= first]
    with atomic_write(self._path) as temporary:
      temporary.write_text("".join(json.dumps(plain(row)) + "\n" for row in rows))
    self._file = self._path.open("a")
    events = str(self._path.parent / "tensorboard")
    # purge_step hides what an interrupted run had written for the rounds from here on.
    # The suffix keeps the files of two runs apart that start within one second.
    self._events = tensorboardX.SummaryWriter(
      events, purge_step=first + 1, filename_suffix=f".{first:08d}"
    )

  def row(self, round: int, values: Mapping[str, float]) -> None:
    """Appends one row, to the disk: no checkpoint may be on it before the rows up to it are."""
    line = {"round": round, **{name: float(value) for name, value in values.items()}}
    with error_context(self._path):
      self._file.write(json.dumps(plain(line)) + "\n")
      self._file.flush()
      os.fsync(self._file.fileno())
    for name, value in values.items():
      if math.isfinite(value) and name not in NO_CURVES:  # TensorBoard cannot draw NaN
        self._events.add_scalar(name, float(value), round)
    self._events.flush()

  def picture(self, round: int, image: np.ndarray) -> None:
    """Writes samples/<round>.png and shows it in TensorBoard."""
    save_png(self._path.parent / "samples" / f"{round:08d}.png", image)
    self._events.add_image("samples", image, round, dataformats="HWC")

  def close(self) -> None:
    """Closes the files."""
    self._file.close()
    self._events.close()


def read_rows(workdir: Path) -> list[dict[str, Any]]:
  """Loads the rows of a run; a last line that was cut off is left out."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  rows = []
  no_row = (ValueError, TypeError, KeyError, RecursionError)  # a line cut off, or none of ours
  for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
    with contextlib.suppress(*no_row):
      rows.append(_row(json.loads(line)))
  return rows


def _row(values: Any) -> dict[str, Any]:
  """Checks that a row is numbers by name; NaN and infinities were written as text."""
  if type(values["round"]) is not int:
    raise ValueError("it is of no round")
  return {k: v if isinstance(v, int | float) else float(v) for k, v in values.items()}


# --- the progress line ----------------------------------------------------------------------------


class Progress:
  """A line that moves in a terminal or a notebook; plain lines, one for each report, elsewhere."""

  def __init__(self, rounds: int, first: int = 0, stream: Any = None):
    """Starts the line.

    Args:
      rounds: last round of training.
      first: first round.
      stream: output; standard error by default.
    """
    self._rounds, self._first = rounds, first
    self._stream = stream or sys.stderr
    self._start = time.monotonic()
    self._bar: Any = None
    kind = _kind_of_bar(self._stream)
    if kind is not None:
      self._bar = kind(
        total=rounds,
        initial=first,
        unit="round",
        file=self._stream,
        dynamic_ncols=True,
        bar_format="{n_fmt}/{total_fmt} |{bar}| ETA {remaining} {desc}",
      )

  def show(self, round: int, row: Mapping[str, float]) -> None:
    """Prints the progress of training."""
    facts = [
      f"{label} {row[name]:.3f}"
      for label, name in (
        ("loss D" if self._bar is None else "D", "discriminator/loss"),
        ("G", "generator/loss"),
        ("D(x)", "D_real"),
        ("D(G(z))", "D_fake"),
        ("margin", "margin"),
        ("distance", "distance"),
      )
      if name in row
    ]
    # In 80 columns it all fits; in fewer the speed is what is cut off.
    facts += [f"{row['images_per_second']:,.0f} img/s"] if "images_per_second" in row else []
    scores = [f"{name} {value:.4g}" for name, value in scores_of(row).items()]
    if self._bar is not None:
      if scores:
        self.say(f"round {round}/{self._rounds}  {'  '.join(scores)}")
      self._bar.set_description_str(" ".join(facts), refresh=False)
      self._bar.update(round - self._bar.n)
      return
    pace = (time.monotonic() - self._start) / max(1, round - self._first)
    rate = row.get("rounds_per_second", 1 / max(pace, 1e-9))
    rest = f"{rate:.1f} rounds/s, ETA {_duration(pace * (self._rounds - round))}"
    print(
      f"round {round}/{self._rounds}  {rest}  {'  '.join(facts + scores)}",
      file=self._stream,
      flush=True,
    )

  def leave_out(self, seconds: float) -> None:
    """Excludes seconds that were no training, such as compiling, from the pace."""
    self._start += seconds
    if self._bar is not None:
      self._bar.start_t += seconds
      self._bar.last_print_t += seconds

  def say(self, text: str) -> None:
    """Prints a line without spoiling the moving one."""
    if self._bar is not None:
      self._bar.write(text, file=self._stream)
    else:
      print(text, file=self._stream, flush=True)

  def close(self) -> None:
    """Ends the line."""
    if self._bar is not None:
      self._bar.close()


def _kind_of_bar(stream: Any) -> Any:
  """Returns the class of a moving line for a stream; None where it cannot move."""
  if type(stream).__module__.startswith("ipykernel"):
    from tqdm.auto import tqdm  # a widget, where there is ipywidgets

    return tqdm
  if stream.isatty() and _columns(stream):  # some terminals have no width
    from tqdm import tqdm

    return tqdm
  return None


def _columns(terminal: Any) -> int:
  """Returns the width of a terminal in columns."""
  with contextlib.suppress(OSError):
    return os.get_terminal_size(terminal.fileno()).columns
  return 80


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


# --- the summary ----------------------------------------------------------------------------------


def last_and_best(
  scored: Sequence[tuple[int, Mapping[str, float]]], better: Mapping[str, str]
) -> dict[str, Any]:
  """Returns each score's last and best value.

  Args:
    scored: rounds, and the scores of each.
    better: which way is better, "min" or "max", by score; of "none" there is no best.

  Returns:
    {score: {"last": value, "best": value, "best_round": round}}. Best alone would hide a collapse.
  """
  gathered = {}
  for name, direction in better.items():
    pairs = [(float(scores[name]), round) for round, scores in scored if name in scores]
    if pairs and direction == "none":
      gathered[name] = {"last": pairs[-1][0]}
    elif pairs:
      ranked = [pair for pair in pairs if not math.isnan(pair[0])] or pairs
      best, at = (min if direction == "min" else max)(ranked, key=lambda pair: pair[0])
      gathered[name] = {"last": pairs[-1][0], "best": best, "best_round": at}
  return gathered


def machine() -> dict[str, Any]:
  """Returns the versions of software, and the hardware, that numbers depend on."""
  import jax

  packages = ("gan_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
  versions = {}
  for package in packages:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[package] = importlib.metadata.version(package)
  return {
    "python": platform.python_version(),
    **versions,
    "platform": platform.platform(),
    "processor": _processor(),
    "cores": os.cpu_count(),
    "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    "processes": jax.process_count(),
  }


def _processor() -> str:
  with contextlib.suppress(OSError):
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
      if line.startswith("model name"):
        return line.split(":", 1)[1].strip()
  return platform.processor()
