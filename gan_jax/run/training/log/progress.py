"""The progress line: it moves in a terminal or a notebook, elsewhere each report is a line."""

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from gan_jax.run.results.rows import scores_of


class Progress:
  """A line that moves in a terminal or a notebook; plain lines, one for each report, elsewhere."""

  def __init__(self, rounds: int, headline: Mapping[str, str], first: int = 0, stream: Any = None):
    """Starts the line.

    Args:
      rounds: last round of training.
      headline: {what it is called: column} of what is shown, the first of them a loss.
      first: first round.
      stream: output; standard error by default.
    """
    self._rounds, self._first, self._headline = rounds, first, headline
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
    facts = [f"{label} {row[name]:.3f}" for label, name in self._headline.items() if name in row]
    if self._bar is None and facts:
      facts[0] = f"loss {facts[0]}"
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
