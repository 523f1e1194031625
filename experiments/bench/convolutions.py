"""Times `down` and `up` against XLA's own convolutions, and against PyTorch where it is installed.

  python -m experiments.bench.convolutions [--batch 64] [--rounds 10] [--layers up_7x7_128_128 ...]

One layer alone, forward and both gradients. The rivals run in turn within one process, round after
round; each one's fastest round counts. Ratios are to XLA's float32 convolution of the same run:
above 1 is faster. Absolute times belong to the machine named in the first line.
"""

import argparse
import importlib
import importlib.util
import os
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from gan_jax.nets import convolution


class Layer(NamedTuple):
  """A layer of a DCGAN: a direction, the size of its input, and its channels."""

  kind: str
  size: int
  inputs: int
  outputs: int

  @property
  def name(self) -> str:
    return f"{self.kind}_{self.size}x{self.size}_{self.inputs}_{self.outputs}"


LAYERS = (
  Layer("down", 28, 1, 64),
  Layer("down", 14, 64, 128),
  Layer("down", 28, 64, 128),
  Layer("down", 16, 128, 256),
  Layer("up", 7, 128, 128),
  Layer("up", 14, 128, 64),
  Layer("up", 8, 256, 128),
  Layer("up", 28, 64, 1),
)
FORMS = {
  "down": {"xla": convolution.lax_down, "gan_jax": convolution.down},
  "up": {"xla": convolution.lax_up, "gan_jax": convolution.up},
}
DTYPES = {"f32": "float32", "bf16": "bfloat16"}

Run = Callable[[], object]


def jax_runs(layer: Layer, batch: int) -> dict[str, Run]:
  """Compiles forward and both gradients of each form in each dtype."""
  keys = jax.random.split(jax.random.key(0), 2)
  x = jax.random.normal(keys[0], (batch, layer.size, layer.size, layer.inputs))
  kernel = jax.random.normal(keys[1], (4, 4, layer.inputs, layer.outputs))

  def compile(form: Callable, dtype: str) -> Run:
    def both(x: jax.Array, kernel: jax.Array) -> object:
      y, pull = jax.vjp(form, x, kernel)
      return y, pull(y)

    compiled = jax.jit(both).lower(x.astype(dtype), kernel).compile()
    arguments = (x.astype(dtype), kernel)
    return lambda: jax.block_until_ready(compiled(*arguments))

  return {
    f"{name} {short}": compile(form, dtype)
    for name, form in FORMS[layer.kind].items()
    for short, dtype in DTYPES.items()
  }


def torch_runs(layer: Layer, batch: int) -> dict[str, Run]:
  """Prepares the same layer in PyTorch, channels last."""
  if importlib.util.find_spec("torch") is None:
    return {}
  torch: Any = importlib.import_module("torch")

  make = {"down": torch.nn.Conv2d, "up": torch.nn.ConvTranspose2d}[layer.kind]

  def prepare(dtype: str) -> Run:
    module = make(layer.inputs, layer.outputs, 4, 2, 1, bias=False)
    module = module.to(getattr(torch, dtype), memory_format=torch.channels_last)
    x = torch.randn(batch, layer.inputs, layer.size, layer.size, dtype=getattr(torch, dtype))
    x = x.to(memory_format=torch.channels_last).requires_grad_()

    def run() -> object:
      y = module(x)
      return torch.autograd.grad(y, (x, module.weight), y.detach())

    return run

  return {f"torch {short}": prepare(dtype) for short, dtype in DTYPES.items()}


def fastest(runs: dict[str, Run], rounds: int) -> dict[str, float]:
  """Returns each run's fastest of `rounds` rounds in seconds, the runs taking turns."""
  for run in runs.values():
    run()
  seconds = dict.fromkeys(runs, float("inf"))
  for _ in range(rounds):
    for name, run in runs.items():
      start = time.perf_counter()
      run()
      seconds[name] = min(seconds[name], time.perf_counter() - start)
  return seconds


def machine() -> str:
  """Names the hardware and the versions."""
  info = pathlib.Path("/proc/cpuinfo")
  models = (
    [line for line in info.read_text().splitlines() if "model name" in line]
    if info.exists()
    else []
  )
  cpu = models[0].split(":")[1].strip() if models else platform.processor()
  cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
  return f"{jax.devices()[0].device_kind}: {cpu}, {cores} cores; jax {jax.__version__}"


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=64)
  parser.add_argument("--rounds", type=int, default=10)
  parser.add_argument("--layers", nargs="*", choices=[layer.name for layer in LAYERS])
  options = parser.parse_args()

  print(machine())
  print(f"batch {options.batch}, fastest of {options.rounds} rounds: ms (ratio to xla f32)")
  for layer in LAYERS:
    if options.layers and layer.name not in options.layers:
      continue
    runs = jax_runs(layer, options.batch) | torch_runs(layer, options.batch)
    seconds = fastest(runs, options.rounds)
    cells = [f"{n} {1e3 * s:.1f} ({seconds['xla f32'] / s:.2f})" for n, s in seconds.items()]
    print(f"{layer.name:20s} " + "  ".join(cells), flush=True)


if __name__ == "__main__":
  main()
