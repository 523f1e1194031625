"""Times training steps of gan_jax against the same steps of torch, one table of both.

  python -m experiments.bench.against_torch [--rows mnist_dcgan ring ...] [--dtypes float32 ...]
    [--torch PYTHON] [--variants tuned shared compiled example] [--windows 7] [--seconds 1]

Each side is a process that prepares a step and is warmed up; then they play windows of steps in
turn, in either order. The ratio is the time of torch by that of gan_jax, median over pairs of
neighbouring windows: above 1 gan_jax is faster. "min" is the ratio of the fastest windows, "busy"
the cores that other processes of the machine kept busy meanwhile: beside more than a fraction of
one the row says little. Memory is the most that a process held; of a GPU its own is added. The
first step is what a run waits for, from the start of its process, with nothing compiled before.

gan_jax plays dispatches of several rounds, as `fit` does. Both sides have networks of the same
numbers of parameters, which is checked, and the same game; `torch_side.VARIANTS` describes how
torch plays it. On a GPU it is compiled too; the row of the default run has the others besides.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Sequence

from experiments.bench.against_torch.rows import DEFAULT, DTYPES, ROWS, config_of
from experiments.bench.against_torch.sides import Side
from gan_jax.run.config.stored import config_values

VARIANTS = ("tuned", "shared", "compiled", "example")
HEAD = (
  "row",
  "dtype",
  "torch is",
  "gan_jax ms",
  "torch ms",
  "torch / gan_jax",
  "min",
  "busy",
  "MB",
  "first step, s",
)


def check_torch(python: str) -> None:
  """Checks that an interpreter has torch, and ends with one line if not."""
  look = (
    "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('numpy')))"
  )
  try:
    found = subprocess.run([python, "-c", look], capture_output=True).returncode == 0
  except OSError:
    found = False
  if not found:
    sys.exit(
      f"{python} has no torch and numpy: make an environment of them, `uv venv torch_env` and `uv "
      "pip install --python torch_env torch numpy`, and give --torch=torch_env/bin/python"
    )


def compare(
  row: str, dtype: str, python: str, variants: Sequence[str], windows: int, seconds: float
) -> list[str]:
  """Times a row; prints its lines of the table and returns what both sides say of the machine."""
  ours = Side(sys.executable, "gan_jax_side", {"row": row, "dtype": dtype})
  gpu = ours.facts["platform"] == "gpu"
  extra = ["shared", "example"] * (row == DEFAULT)
  config, device = config_values(config_of(row, dtype)), "cuda" if gpu else "cpu"
  sides = {"gan_jax": ours}
  for variant in variants or ["tuned", *["compiled"] * gpu, *extra]:
    spec = {"config": config, "variant": variant, "device": device}
    sides[variant] = Side(python, "torch_side", spec)
    sizes = [side.facts["parameters"] for side in (ours, sides[variant])]
    if sizes[0] != sizes[1]:
      sys.exit(f"{row}: networks differ in parameters, gan_jax {sizes[0]}, torch {sizes[1]}")
  for side in sides.values():
    side.warm_up(seconds)
  played: dict[str, list] = {name: [] for name in sides}
  for i in range(windows):
    for name in list(sides) if i % 2 == 0 else reversed(sides):
      played[name].append(sides[name].play())
  for name in list(sides)[1:]:
    print(line(row, dtype, name, played, sides), flush=True)
  for side in sides.values():
    side.end()
  return [side.facts["machine"] for side in sides.values()]


def line(row: str, dtype: str, name: str, played: dict[str, list], sides: dict[str, Side]) -> str:
  """Formats the line of one variant of torch."""
  pair = [sides["gan_jax"], sides[name]]
  times = [[1e3 * window.seconds for window in played[side]] for side in ("gan_jax", name)]
  medians = [f"{statistics.median(x):.3g}" for x in times]
  ratio = statistics.median(theirs / ours for ours, theirs in zip(*times, strict=True))
  busy = statistics.median(w.others for side in ("gan_jax", name) for w in played[side])
  memory = ["+".join(f"{x / 1e6:.0f}" for x in side.peak) for side in pair]
  started = [f"{side.started:.1f}" for side in pair]
  cells = [row, dtype, name, *medians, f"{ratio:.2f}", f"{min(times[1]) / min(times[0]):.2f}"]
  cells += [f"{busy:.2f}", " / ".join(memory), " / ".join(started)]
  return f"| {' | '.join(cells)} |"


def features() -> str:
  """Names those extensions of the CPU that matrix products use."""
  info = pathlib.Path("/proc/cpuinfo")
  flags = set(info.read_text().split()) if info.exists() else set()
  names = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
  return f"CPU features: {', '.join(name for name in names if name in flags) or 'none of these'}"


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rows", nargs="*", choices=ROWS, default=[*ROWS])
  parser.add_argument("--dtypes", nargs="*", choices=DTYPES, default=DTYPES)
  parser.add_argument(
    "--variants", nargs="*", choices=VARIANTS, help="of torch, instead of each row's"
  )
  parser.add_argument("--torch", default=sys.executable, help="a Python that has torch and numpy")
  parser.add_argument("--windows", type=int, default=7)
  parser.add_argument("--seconds", type=float, default=1.0, help="of a window, about")
  options = parser.parse_args()

  check_torch(options.torch)
  print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
  machines: dict[str, None] = {}
  for row in options.rows:
    for dtype in options.dtypes:
      rest = options.torch, options.variants, options.windows, options.seconds
      machines |= dict.fromkeys(compare(row, dtype, *rest))
  print("", *machines, features(), sep="\n")


if __name__ == "__main__":
  main()
