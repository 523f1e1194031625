"""What a run tells: rows of numbers, TensorBoard events, pictures, a progress line, a summary.

Everything here is on the host: numpy in, files out. Files that a reader may look at while they are
written appear whole (`gan_jax.files.whole`) or grow by whole lines (metrics.jsonl).
"""

import contextlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.files import tidy, whole

Path = str | os.PathLike[str]

NO_CURVES = {"evaluation"}  # columns that are numbers of things, not measured

# Okabe & Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#888888"


# --- files ----------------------------------------------------------------------------------------


def write_json(path: Path, values: Mapping[str, Any]) -> None:
  """Writes a JSON file that is never seen half written."""
  with whole(path) as temporary:
    temporary.write_text(json.dumps(plain(values), indent=2) + "\n")


def save_png(path: Path, image: np.ndarray) -> None:
  """Writes an image.

  Args:
    path: where.
    image: uint8 [H, W, C] with 1 or 3 channels.
  """
  from PIL import Image

  with whole(path) as temporary:
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(temporary, "PNG")


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays by name to an .npz file."""
  with whole(path) as temporary, temporary.open("wb") as file:
    np.savez_compressed(file, allow_pickle=False, **arrays)


def plain(value: Any) -> Any:
  """Turns numpy numbers into Python's, and NaN and infinity into names, which JSON lacks."""
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


class Writer:
  """Appends a row of numbers at a time to metrics.jsonl and to TensorBoard's events."""

  def __init__(self, workdir: Path, first: int = 0):
    """Opens the files.

    Args:
      workdir: folder of the run.
      first: round that training starts from; what was written for later rounds is dropped, since
        those rounds will be played again.
    """
    import tensorboardX

    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    self._path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (self._path.parent, self._path.parent / "samples"):
      tidy(folder)
    kept = [row for row in read_rows(workdir) if row["round"] <= first]
    with whole(self._path) as temporary:
      temporary.write_text("".join(json.dumps(plain(row)) + "\n" for row in kept))
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
  """Reads the rows of a run; a last line that was cut off is left out."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  rows = []
  no_row = (ValueError, TypeError, KeyError, RecursionError)  # a line cut off, or none of ours
  for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
    with contextlib.suppress(*no_row):
      rows.append(_row(json.loads(line)))
  return rows


def _row(found: Any) -> dict[str, Any]:
  """Checks that a row is numbers by name; "nan" and infinities were written as text."""
  if type(found["round"]) is not int:
    raise ValueError("it is of no round")
  return {k: v if isinstance(v, int | float) else float(v) for k, v in found.items()}


# --- pictures -------------------------------------------------------------------------------------


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
  """Tiles images row by row, with a pixel between them.

  Args:
    images: uint8 [n, H, W, C].
    columns: how many in a row; by default about as many as rows.

  Returns:
    uint8 [rows (H + 1) - 1, columns (W + 1) - 1, C].
  """
  n, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(n))
  rows = math.ceil(n / columns)
  sheet = np.zeros((rows, columns, height + 1, width + 1, channels), np.uint8)
  sheet.reshape(rows * columns, height + 1, width + 1, channels)[:n, :-1, :-1] = images
  tiled = sheet.swapaxes(1, 2).reshape(rows * (height + 1), columns * (width + 1), channels)
  return tiled[:-1, :-1]


def picture(x: np.ndarray, *, columns: int | None = None, real: np.ndarray | None = None) -> Any:
  """Draws examples: images as a grid, points as a scatter plot.

  Args:
    x: uint8 [n, H, W, C] or float [n, d].
    columns: of a grid.
    real: points to draw behind the others.

  Returns:
    uint8 [height, width, channels].
  """
  return grid(x, columns) if x.ndim == 4 else scatter(x, real)


def scatter(fake: np.ndarray, real: np.ndarray | None = None, size: int = 480) -> np.ndarray:
  """Draws points: the first two of their coordinates, or a histogram of their only one.

  Args:
    fake: float [n, d].
    real: float [m, d], drawn behind them.
    size: of the picture, in pixels.

  Returns:
    uint8 [size, size, 3].
  """
  from matplotlib.figure import Figure

  figure = Figure(figsize=(size / 100, size / 100), dpi=100)
  axes = figure.add_axes((0.09, 0.07, 0.88, 0.88))
  if fake.shape[1] == 1:
    both = [(fake, "samples", ORANGE), *([(real, "data", BLUE)] if real is not None else [])]
    for x, label, color in both:
      shown = x[np.isfinite(x)]
      axes.hist(shown, bins=60, density=len(shown) > 0, alpha=0.5, color=color, label=label)
    axes.legend(loc="upper right", fontsize=8)
    return _drawn(figure)
  if real is not None:
    axes.scatter(real[:, 0], real[:, 1], s=14, color=BLUE, alpha=0.4, linewidths=0, label="data")
  axes.scatter(fake[:, 0], fake[:, 1], s=6, color=ORANGE, alpha=0.5, linewidths=0, label="samples")
  behind = (fake if real is None else real)[:, :2]
  behind = behind[np.isfinite(behind).all(axis=1)]
  low, high = (behind.min(0), behind.max(0)) if len(behind) else (np.zeros(2), np.ones(2))
  margin = 0.3 * np.maximum(high - low, 1e-6)
  axes.set(
    xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1])
  )
  axes.legend(loc="upper right", fontsize=8, markerscale=2)
  return _drawn(figure)


def _drawn(figure: Any) -> np.ndarray:
  """Renders a figure: uint8 [H, W, 3]."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg

  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def curves(rows: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
  """Draws what a run measured over its rounds.

  Args:
    rows: as `read_rows` gives them.

  Returns:
    uint8 [H, W, 3], or None if there are fewer than two rows.
  """
  panels = [panel for panel in _panels(rows) if panel[2]]
  if len(rows) < 2 or not panels:
    return None
  from matplotlib.figure import Figure

  columns = 2 if len(panels) > 1 else 1
  height = math.ceil(len(panels) / columns)
  figure = Figure(figsize=(5.2 * columns, 2.9 * height), dpi=100, layout="constrained")
  for axes, (title, scale, series, line) in zip(
    figure.subplots(height, columns, squeeze=False).flat, panels, strict=False
  ):
    for (name, (x, y)), color in zip(series.items(), (BLUE, ORANGE, GREEN, PURPLE), strict=False):
      axes.plot(x, y, label=name, color=color, linewidth=1.2, marker="." if len(x) < 12 else None)
    if line is not None:
      axes.axhline(line[1], color=GREY, linewidth=1, linestyle="--", label=line[0])
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_yscale(scale)
    axes.grid(alpha=0.25)
    if line is not None or len(series) > 1:
      axes.legend(fontsize=8, framealpha=0.7, edgecolor="none")
    axes.set_xlabel("round", fontsize=8)
    axes.tick_params(labelsize=8)
  for axes in figure.axes[len(panels) :]:
    axes.remove()
  return _drawn(figure)


def _panels(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, dict[str, Any], Any]]:
  """Sorts series into panels: (title, scale, {name: (rounds, values)}, a line to compare with)."""
  pick = lambda named: {
    label: found for label, name in named.items() if len((found := _series(rows, name))[0])
  }
  names = sorted({name for row in rows for name in row})
  measured = [n for n in names if not n.startswith("monitor/")]
  players = lambda what: {n.removesuffix(what): n for n in measured if n.endswith(what)}
  scores = [name for name in names if name.startswith("score/")]
  return [
    ("loss", "linear", pick(players("/loss")), None),
    ("D(x) and D(G(z))", "linear", pick({"D(x)": "D_real", "D(G(z))": "D_fake"}), ("1/2", 0.5)),
    ("V(D, G)", "linear", pick({"V": "V"}), ("-log 4", -math.log(4))),
    ("gradient norm", "log", pick(players("/gradient_norm")), None),
    *((name[6:].replace("_", " "), "linear", pick({name[6:]: name}), None) for name in scores),
  ]


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
  pairs = [(row["round"], float(row[name])) for row in rows if name in row]
  finite = [(x, y) for x, y in pairs if math.isfinite(y)]
  return np.array([x for x, _ in finite]), np.array([y for _, y in finite])


# --- the progress line ----------------------------------------------------------------------------


class Progress:
  """A line that moves in a terminal; plain lines, one for each report, elsewhere."""

  def __init__(self, rounds: int, first: int = 0, stream: Any = None):
    """Starts.

    Args:
      rounds: that training ends with.
      first: that it starts from.
      stream: where to write; standard error by default.
    """
    self._rounds, self._first = rounds, first
    self._stream = stream or sys.stderr
    self._start = time.monotonic()
    self._bar: Any = None
    if self._stream.isatty() and _columns(self._stream):  # some terminals have no width
      import tqdm

      self._bar = tqdm.tqdm(
        total=rounds,
        initial=first,
        unit="round",
        file=self._stream,
        dynamic_ncols=True,
        bar_format="{n_fmt}/{total_fmt} |{bar}| ETA {remaining} {desc}",
      )

  def show(self, round: int, row: Mapping[str, float]) -> None:
    """Shows where training stands."""
    facts = [
      f"{label} {row[name]:.3f}"
      for label, name in (
        ("loss D" if self._bar is None else "D", "discriminator/loss"),
        ("G", "generator/loss"),
        ("D(x)", "D_real"),
        ("D(G(z))", "D_fake"),
      )
      if name in row
    ]
    # In 80 columns it all fits; in fewer the speed is what is cut off.
    facts += [f"{row['images_per_second']:,.0f} img/s"] if "images_per_second" in row else []
    scores = [f"{name[6:]} {v:.4g}" for name, v in row.items() if name.startswith("score/")]
    if self._bar is not None:
      if scores:
        self.say(f"round {round}/{self._rounds}  {'  '.join(scores)}")
      self._bar.set_description_str(" ".join(facts), refresh=False)
      self._bar.update(round - self._bar.n)
      return
    pace = (time.monotonic() - self._start) / max(1, round - self._first)
    rate = row.get("rounds_per_second", 1 / max(pace, 1e-9))
    left = f"{rate:.1f} rounds/s, ETA {_duration(pace * (self._rounds - round))}"
    print(
      f"round {round}/{self._rounds}  {left}  {'  '.join(facts + scores)}",
      file=self._stream,
      flush=True,
    )

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


def _columns(terminal: Any) -> int:
  """Tells how wide a terminal says it is."""
  with contextlib.suppress(OSError):
    return os.get_terminal_size(terminal.fileno()).columns
  return 80


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


# --- the summary ----------------------------------------------------------------------------------


def scores(rows: Sequence[Mapping[str, Any]], better: Mapping[str, str]) -> dict[str, Any]:
  """Gathers each score's last and best value.

  Args:
    rows: as `read_rows` gives them.
    better: which way is better, "min" or "max", by score; of "none" there is no best.

  Returns:
    {score: {"last": value, "best": value, "best_round": round}}. Best alone would hide a collapse.
  """
  gathered = {}
  for name, direction in better.items():
    key = f"score/{name}"
    found = [(float(row[key]), row["round"]) for row in rows if key in row]
    if found and direction == "none":
      gathered[name] = {"last": found[-1][0]}
    elif found:
      ranked = [pair for pair in found if not math.isnan(pair[0])] or found
      best, at = (min if direction == "min" else max)(ranked, key=lambda pair: pair[0])
      gathered[name] = {"last": found[-1][0], "best": best, "best_round": at}
  return gathered


def machine() -> dict[str, Any]:
  """Describes the software and hardware that numbers were made with."""
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
