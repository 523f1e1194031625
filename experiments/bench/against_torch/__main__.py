"""Times training steps of gan_jax against the same steps of torch, in one table.

  python -m experiments.bench.against_torch [--rows mnist_dcgan ring ...] [--dtypes float32 ...]
    [--torch PYTHON] [--variants tuned shared compiled example] [--windows 7] [--seconds 1]

Each side is a process that prepares a step and is warmed up; then they play windows of steps in
turn. The ratio is the time of torch by that of gan_jax, median over pairs of neighbouring windows:
above 1 gan_jax is faster. "min" is the ratio of the fastest windows, "busy" the cores that other
processes of the machine kept busy meanwhile. Threads of torch wait for each other in every layer:
beside other work they lose far more time than XLA's, so only rows with "busy" near 0 say anything.
MB is the most memory of the host that a process held. The first step is what a run waits for, from
the start of its process, with nothing compiled before; of gan_jax it is a first dispatch, of torch
with lazy penalties as many steps as they recur in.

gan_jax plays dispatches of several rounds, as `fit` does. Networks of both sides have the same
numbers of parameters, which is checked. `torch_side` describes the variants of torch: "tuned", on a
GPU "compiled" too, and for the default run the others besides.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys

from experiments.bench.against_torch.rows import ROWS, config_of
from experiments.bench.against_torch.sides import Side
from gan_jax.run.config.stored import config_values

DTYPES, VARIANTS = ("float32", "bfloat16"), ("tuned", "shared", "compiled", "example")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # of a CPU, for matrix products
HEAD = "row|dtype|torch is|gan_jax ms|torch ms|torch / gan_jax|min|busy|MB|first step s"


def check_torch(python: str) -> None:
  """Checks that an interpreter has torch and numpy, and ends with one line if not."""
  look = "from importlib.util import find_spec as f; assert f('torch') and f('numpy')"
  try:
    subprocess.run([python, "-c", look], capture_output=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    sys.exit(
      f"{python} has no torch and numpy: make an environment of them, `uv venv torch_env` and `uv "
      "pip install --python torch_env torch numpy`, and give --torch=torch_env/bin/python"
    )


def compare(row: str, dtype: str, options: argparse.Namespace) -> list[str]:
  """Times a row and prints its lines; returns descriptions of the machine and the versions."""
  ours = Side(sys.executable, "gan_jax_side", {"row": row, "dtype": dtype})
  sides, spec = {"gan_jax": ours}, {"config": config_values(config_of(row, dtype))}
  gpu = ours.facts["gpu"]
  others = ["shared", "example"] if row == "mnist_dcgan" else []
  for variant in options.variants or ["tuned", *["compiled"] * gpu, *others]:
    spec |= {"variant": variant, "device": "cuda" if gpu else "cpu"}
    sides[variant] = Side(options.torch, "torch_side", spec)
    sizes = ours.facts["parameters"], sides[variant].facts["parameters"]
    if sizes[0] != sizes[1]:
      sys.exit(f"{row}: parameters of gan_jax are {sizes[0]}, of torch {sizes[1]}")
  for side in sides.values():
    side.warm_up(options.seconds)
  windows = [{name: x.play() for name, x in sides.items()} for _ in range(options.windows)]
  for name in list(sides)[1:]:
    pairs = [(window["gan_jax"], window[name]) for window in windows]
    times = list(zip(*[(a.seconds, b.seconds) for a, b in pairs], strict=True))
    both = [ours, sides[name]]
    cells = [
      *(f"{1e3 * statistics.median(x):.3g}" for x in times),
      f"{statistics.median(b.seconds / a.seconds for a, b in pairs):.2f}",
      f"{min(times[1]) / min(times[0]):.2f}",
      f"{statistics.median(x.others for pair in pairs for x in pair):.2f}",
      " / ".join(f"{side.peak / 1e6:.0f}" for side in both),
      " / ".join(f"{side.first:.1f}" for side in both),
    ]
    print(f"| {' | '.join([row, dtype, name, *cells])} |", flush=True)
  for side in sides.values():
    side.end()
  return [side.facts["machine"] for side in sides.values()]


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rows", nargs="*", choices=ROWS, default=[*ROWS])
  parser.add_argument("--dtypes", nargs="*", choices=DTYPES, default=DTYPES)
  parser.add_argument("--variants", nargs="*", choices=VARIANTS, help="of torch, for all rows")
  parser.add_argument("--torch", default=sys.executable, help="a Python that has torch and numpy")
  parser.add_argument("--windows", type=int, default=7)
  parser.add_argument("--seconds", type=float, default=1.0, help="of a window, about")
  options = parser.parse_args()

  check_torch(options.torch)
  print(f"|{HEAD}|\n|{'---|' * len(HEAD.split('|'))}", flush=True)
  rows = [(row, dtype) for row in options.rows for dtype in options.dtypes]
  machines = dict.fromkeys(text for row in rows for text in compare(*row, options))
  info = pathlib.Path("/proc/cpuinfo").read_text().split()
  print("", *machines, f"CPU: {', '.join(x for x in FEATURES if x in info)}", sep="\n")


if __name__ == "__main__":
  main()
