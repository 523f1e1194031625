"""The progress line: in a terminal, in a notebook, in a file."""

import io
import os

import pytest

from gan_jax import losses
from gan_jax.game.kinds.sides import monitors
from gan_jax.run.training.log.progress import Progress, _duration

ROW = {
  "images_per_second": 12_345.0,
  "rounds_per_second": 20.0,
  "discriminator/loss": 1.25,
  "generator/loss": 0.5,
  "D_real": 0.75,
  "D_fake": 0.125,
  "score/kl": 0.0625,
}
FACTS = ("12,345 img/s", "1.250", "0.500", "D(x) 0.750", "D(G(z)) 0.125", "kl 0.0625")


class Terminal(io.StringIO):
  def isatty(self) -> bool:
    return True


HEADLINE = monitors.headline(losses.non_saturating)


def test_plain_lines_where_there_is_no_terminal():
  stream = io.StringIO()
  progress = Progress(1000, HEADLINE, first=100, stream=stream)
  progress.show(200, ROW)
  progress.say("hello")
  progress.show(300, {})  # nothing is required
  progress.close()
  lines = stream.getvalue().splitlines()
  assert len(lines) == 3 and "\r" not in stream.getvalue()
  assert lines[0].startswith("round 200/1000  20.0 rounds/s, ETA 0:")
  assert all(fact in lines[0] for fact in FACTS)
  assert lines[1] == "hello" and lines[2].startswith("round 300/1000")


def test_one_moving_line_in_a_terminal():
  stream = Terminal()
  progress = Progress(1000, HEADLINE, first=100, stream=stream)
  assert "100/1000" in stream.getvalue()  # goes on where it was
  progress.show(200, ROW)
  progress.say("hello")
  progress.close()
  shown = stream.getvalue()
  assert "200/1000" in shown and "hello\n" in shown
  assert "D(G(z)) 0.125" in shown


def test_a_moving_line_in_a_notebook():
  stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
  progress = Progress(1000, HEADLINE, stream=stream)
  progress.show(200, ROW)
  progress.close()
  assert "200/1000 |" in stream.getvalue() and "round 200/1000  kl 0.0625" in stream.getvalue()


def test_the_moving_line_fits_80_columns(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((80, 24)))
  stream = Terminal()
  stream.fileno = lambda: 2
  progress = Progress(10_000, HEADLINE, stream=stream)
  progress.show(9_900, ROW)
  progress.close()
  line = stream.getvalue().split("\r")[-1].rstrip("\n")
  assert len(line) <= 80 and line.startswith("9900/10000 |")
  assert "D 1.250 G 0.500 D(x) 0.750 D(G(z)) 0.125 12,345 img/s" in line and "ETA" in line


def test_plain_lines_in_a_terminal_without_width(monkeypatch: pytest.MonkeyPatch):
  """As some containers have; a bar would be cut to nothing."""
  monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((0, 0)))
  stream = Terminal()
  stream.fileno = lambda: 2
  progress = Progress(1000, HEADLINE, stream=stream)
  progress.show(200, ROW)
  assert stream.getvalue().startswith("round 200/1000")


@pytest.mark.parametrize(
  ("seconds", "text"),
  [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (7325, "2:02:05")],
)
def test_durations(seconds: float, text: str):
  assert _duration(seconds) == text
