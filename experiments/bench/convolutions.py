"""Times our convolutions against XLA's own, outside loops and within, and rounds of every network.

  python -m experiments.bench.convolutions [layers] [loops] [rounds] [--repeats 10]
    [--batch 64] [--layers up_7x7_128_128 ...] [--pairs sngan ...] [--width 16] [--clock cpu]

`layers`: one layer alone, forward and both gradients, also in PyTorch where it is installed; ratios
are to XLA's float32 convolution of the same run, above 1 is faster. `loops`: a 3x3 convolution and
its gradients, each outside a loop and in `lax.scan`, in ms. `rounds`: a round of each pair of
networks alone, in a scan of rounds as training plays it, and in a scan that is unrolled; ends with
an error if a round in a scan costs more than 1.3 times a bare one.

The rivals run in turn within one process, repeat after repeat; each one's fastest counts. Absolute
times belong to the machine named in the first line; beside other work, take seconds of CPU, of all
cores together.

On 2 cores of an Intel Xeon, beside other work, the kernel gradient of 16 x 32 x 32 x 64 -> 64 takes
XLA 98 ms outside a scan and 14,521 ms in it, ours 118 and 105. Unrolled rounds would avoid it
but take longer to compile with every round: of CPU, 2.6 s for one round of `mlp`, 2.7 s for a scan
of two, 4.4 s for the same unrolled; one of `sngan`, width 64, is 16 s with XLA's own convolutions,
24 s with ours (31 s in a scan), and a dispatch has 10 rounds or more. Running, a round of `dcgan`
takes 15.7 ms in a scan and 15.1 ms unrolled.

There too, of CPU, at width 16 and batch 16, a round in a scan costs 0.6 to 1.03 times a bare one:
`mlp` 0.64, `goodfellow` 1.03, `pacgan` 0.67, `dcgan` 0.97, `sngan` 0.91.
"""

import argparse
import importlib
import importlib.util
import os
import pathlib
import platform
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax

from gan_jax.data.example import Example
from gan_jax.game.core import Game, minibatches
from gan_jax.game.play import init, play_round
from gan_jax.nets.convolution import forms
from gan_jax.run.config import complete, default_config, network, replaced
from gan_jax.run.config.sections.kinds.two_player import build_game


class Layer(NamedTuple):
  """A layer: what it does to height and width, the size of its input, and its channels."""

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
  Layer("same", 32, 16, 16),
  Layer("same", 32, 64, 64),
  Layer("same", 16, 128, 128),
  Layer("same", 8, 128, 128),
  Layer("same", 4, 256, 256),
)
FORMS = {
  "down": {"xla": forms.lax_strided_conv, "gan_jax": forms.strided_conv},
  "up": {"xla": forms.lax_transposed_conv, "gan_jax": forms.transposed_conv},
  "same": {"xla": forms.lax_conv, "patches": forms.matmul_conv, "gan_jax": forms.conv},
}
WINDOWS = {"down": 4, "up": 4, "same": 3}
DTYPES = {"f32": "float32", "bf16": "bfloat16"}

Run = Callable[[], object]
Clock = Callable[[], float]


def jax_runs(layer: Layer, batch: int) -> dict[str, Run]:
  """Compiles forward and both gradients of each form in each dtype."""
  keys = jax.random.split(jax.random.key(0), 2)
  x = jax.random.normal(keys[0], (batch, layer.size, layer.size, layer.inputs))
  kernel = jax.random.normal(keys[1], (*[WINDOWS[layer.kind]] * 2, layer.inputs, layer.outputs))

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

  make = torch.nn.ConvTranspose2d if layer.kind == "up" else torch.nn.Conv2d
  window = WINDOWS[layer.kind]

  def prepare(dtype: str) -> Run:
    module = make(layer.inputs, layer.outputs, window, window // 2, 1, bias=False)
    module = module.to(getattr(torch, dtype), memory_format=torch.channels_last)
    x = torch.randn(batch, layer.inputs, layer.size, layer.size, dtype=getattr(torch, dtype))
    x = x.to(memory_format=torch.channels_last).requires_grad_()

    def run() -> object:
      y = module(x)
      return torch.autograd.grad(y, (x, module.weight), y.detach())

    return run

  return {f"torch {short}": prepare(dtype) for short, dtype in DTYPES.items()}


# --- loops --------------------------------------------------------------------------------------

SHAPES = (  # batch, height and width, channels in and out
  (16, 32, 64, 64),
  (16, 32, 32, 32),
  (16, 8, 128, 128),
  (64, 28, 64, 1),
)
LOOP = 2  # turns of a timed loop


def loop_runs(shape: tuple[int, ...]) -> dict[str, Run]:
  """Compiles each derivative of each form of a 3x3 convolution, as it is and within a scan."""
  batch, size, inputs, outputs = shape
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (LOOP, batch, size, size, inputs))
  y = jax.random.normal(keys[1], (LOOP, batch, size, size, outputs))
  kernel = jax.random.normal(keys[2], (3, 3, inputs, outputs))

  def compile(form: Callable, derivative: str, scanned: bool) -> Run:
    def one(x: jax.Array, y: jax.Array) -> jax.Array:
      out, pull = jax.vjp(form, x, kernel)
      return out if derivative == "forward" else pull(y)[derivative == "kernel gradient"]

    each = lambda x, y: lax.scan(lambda _, given: (None, one(*given)), None, (x, y))[1]
    arguments = (x, y) if scanned else (x[0], y[0])
    compiled = jax.jit(each if scanned else one).lower(*arguments).compile()
    return lambda: jax.block_until_ready(compiled(*arguments))

  return {
    f"{name} {derivative}{scanned * ' in scan'}": compile(form, derivative, scanned)
    for derivative in ("forward", "input gradient", "kernel gradient")
    for name, form in FORMS["same"].items()
    for scanned in (False, True)
  }


def print_loops(repeats: int, clock: Clock) -> None:
  print("3x3 convolutions, ms outside a loop / in a scan: XLA's own; patches; ours")
  for shape in SHAPES:
    seconds = fastest(loop_runs(shape), repeats, clock)
    batch, size, inputs, outputs = shape
    cells = []
    for derivative in ("forward", "input gradient", "kernel gradient"):
      pairs = [
        f"{1e3 * seconds[f'{name} {derivative}']:.1f} / "
        f"{1e3 * seconds[f'{name} {derivative} in scan'] / LOOP:.1f}"
        for name in FORMS["same"]
      ]
      cells.append(f"{derivative} {'; '.join(pairs)}")
    print(f"{batch} x {size} x {size} x {inputs} -> {outputs}   " + "   ".join(cells), flush=True)


# --- rounds -------------------------------------------------------------------------------------

LIMIT = 1.3  # times a bare round


class Pair(NamedTuple):
  """Two networks that play together, small.

  Attributes:
    shape: of an example.
    options: of both networks.
  """

  shape: tuple[int, ...]
  options: dict[str, Any]


PAIRS = {
  "mlp": Pair((2,), {"hidden": (64, 64)}),
  "goodfellow": Pair((28, 28, 1), {"hidden": (64, 64)}),
  "pacgan": Pair((2,), {"hidden": (64, 64)}),
  "dcgan": Pair((28, 28, 1), {"width": 16}),
  "sngan": Pair((32, 32, 3), {"width": 16}),
  "biggan": Pair((32, 32, 3), {"width": 4}),
  "biggan_deep": Pair((32, 32, 3), {"width": 4}),
  "stylegan2": Pair((8, 8, 3), {"channel_max": 16}),
  "r3gan": Pair((8, 8, 3), {"widths": (16, 16), "cardinalities": (2, 2)}),
  "autoencoder": Pair((16, 16, 1), {"width": 16}),
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def game_of(pair: str, width: int = 0, **changes: Any) -> Game:
  """Builds the game of a pair of networks.

  Args:
    pair: one of `PAIRS`.
    width: of networks that have one; 0 for that of `PAIRS`.
    **changes: other values than the default config's.

  Returns:
    The game.
  """
  config, (shape, options) = default_config(), PAIRS[pair]
  if width and "width" in options:
    options = {**options, "width": width}
  config.generator = network(f"{pair}_generator", **options)
  config.discriminator = network(f"{pair}_discriminator", **options)
  return build_game(complete(replaced(config, changes)), Example(shape, None, None))


class Program(NamedTuple):
  """A compiled program.

  Attributes:
    run: plays as many rounds as `LOOP`.
    compiled: seconds that compiling took.
  """

  run: Run
  compiled: float


def round_programs(pair: str, width: int, batch: int, clock: Clock) -> dict[str, Program]:
  """Compiles rounds of a pair of networks: one by one, in a scan, in a scan that is unrolled."""
  game = game_of(pair, width)
  data = {"x": jax.random.normal(jax.random.key(0), (minibatches(game), batch, *PAIRS[pair].shape))}
  state = init(game, jax.random.key(0), data)
  one = lambda state: play_round(game, state, data)[0]
  several = lambda unroll: (
    lambda state: lax.scan(lambda state, _: (one(state), None), state, length=LOOP, unroll=unroll)
  )

  def compile(rounds: Callable, calls: int) -> Program:
    lowered = jax.jit(rounds).lower(state)
    start = clock()
    compiled = lowered.compile()
    seconds = clock() - start
    return Program(lambda: [jax.block_until_ready(compiled(state)) for _ in range(calls)], seconds)

  return {
    "bare": compile(one, LOOP),
    "in scan": compile(several(False), 1),
    "unrolled": compile(several(True), 1),
  }


def print_rounds(pairs: list[str], width: int, batch: int, repeats: int, clock: Clock) -> list[str]:
  """Prints what a round of each pair costs; returns the pairs that cost too much in a scan."""
  print(f"rounds, batch {batch}: ms a round (ratio to a bare one), s to compile")
  slow = []
  for pair in pairs:
    programs = round_programs(pair, width, batch, clock)
    seconds = fastest({name: program.run for name, program in programs.items()}, repeats, clock)
    cells = [
      f"{name} {1e3 * seconds[name] / LOOP:.2f} ({seconds[name] / seconds['bare']:.2f}), "
      f"{program.compiled:.1f} s"
      for name, program in programs.items()
    ]
    print(f"{pair:12s} " + "   ".join(cells), flush=True)
    if seconds["in scan"] > LIMIT * seconds["bare"]:
      slow.append(pair)
  return slow


# --- clocks and command line --------------------------------------------------------------------


def fastest(runs: dict[str, Run], repeats: int, clock: Clock) -> dict[str, float]:
  """Returns each run's fastest of so many repeats in seconds, the runs taking turns."""
  for run in runs.values():
    run()
  seconds = dict.fromkeys(runs, float("inf"))
  for _ in range(repeats):
    for name, run in runs.items():
      start = clock()
      run()
      seconds[name] = min(seconds[name], clock() - start)
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


def print_layers(layers: list[Layer], batch: int, repeats: int, clock: Clock) -> None:
  print(f"layers, batch {batch}: ms (ratio to xla f32)")
  for layer in layers:
    runs = jax_runs(layer, batch) | torch_runs(layer, batch)
    seconds = fastest(runs, repeats, clock)
    cells = [f"{n} {1e3 * s:.1f} ({seconds['xla f32'] / s:.2f})" for n, s in seconds.items()]
    print(f"{layer.name:20s} " + "  ".join(cells), flush=True)


PARTS = ("layers", "loops", "rounds")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("parts", nargs="*", default=PARTS, metavar="|".join(PARTS))
  parser.add_argument("--batch", type=int, default=64)
  parser.add_argument("--repeats", type=int, default=10)
  parser.add_argument("--layers", nargs="*", choices=[layer.name for layer in LAYERS])
  parser.add_argument("--pairs", nargs="*", choices=PAIRS, default=[*PAIRS])
  parser.add_argument("--width", type=int, default=0, help="of the networks that have one")
  parser.add_argument("--clock", choices=CLOCKS, default="wall")
  options = parser.parse_args()
  if unknown := set(options.parts) - set(PARTS):
    parser.error(f"no part {sorted(unknown)}; expected some of {', '.join(PARTS)}")

  clock = CLOCKS[options.clock]
  print(f"{machine()}; fastest of {options.repeats} repeats, {options.clock} clock")
  if "layers" in options.parts:
    layers = [x for x in LAYERS if not options.layers or x.name in options.layers]
    print_layers(layers, options.batch, options.repeats, clock)
  if "loops" in options.parts:
    print_loops(options.repeats, clock)
  if "rounds" in options.parts:
    slow = print_rounds(options.pairs, options.width, options.batch, options.repeats, clock)
    if slow:
      sys.exit(f"a round in a scan costs more than {LIMIT} times a bare one: {', '.join(slow)}")


if __name__ == "__main__":
  main()
