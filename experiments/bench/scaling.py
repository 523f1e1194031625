"""What a round costs each device as devices are added: arithmetic, memory, and what is sent.

  python -m experiments.bench.scaling [--config experiments/mnist_dcgan.py] [--batch 64]
    [--fsdp 2] [--counts 1 2 4 8]

Weak scaling gives every device a batch, strong scaling shares one batch out. The numbers are the
compiler's, of one round as training compiles it, on devices that are forced on a CPU where there
are no others; what is sent every tenth round only, for monitors, is left out. Wall time is measured
where there are several accelerators: devices that share one CPU have nothing to say about it.
"""

import argparse
import re
import runpy
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from gan_jax import parallel
from gan_jax.game.play import init
from gan_jax.run.experiment import Experiment, build
from gan_jax.run.training.rounds import JittedRounds, jit_rounds

COUNTS = (1, 2, 4, 8)
ROUNDS, REPEATS = 20, 5  # in one dispatch; dispatches, of which the fastest counts

# --- what is sent -------------------------------------------------------------------------------

KINDS = (
  *("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"),
  *("collective-broadcast", "infeed", "outfeed", "send", "recv"),
)
_CALL = re.compile(rf" = (.*?) ({'|'.join(KINDS)})(?:-start)?\(.*")
_SHAPE = re.compile(r"\b([a-z]+)(\d*)\[([\d,]*)\]")


class Sent(NamedTuple):
  """Something that devices send each other, or the host.

  Attributes:
    kind: one of `KINDS`.
    numbers: how many numbers each device has when it is done.
    bytes: of these.
  """

  kind: str
  numbers: int
  bytes: int


def collectives(program: str) -> list[Sent]:
  """Lists what a compiled program sends, outside of branches that are taken now and then.

  Args:
    program: as `compiled.as_text()` has it.

  Returns:
    One for each instruction; one in a loop counts once.
  """
  calls = [call for line in program.splitlines() if (call := _CALL.search(line))]
  return [_sent(call[2], call[1]) for call in calls if "/cond/" not in call[0]]


def _sent(kind: str, shapes: str) -> Sent:
  found = [
    (int(np.prod([int(n) for n in sizes.split(",") if n])), int(bits or 8) // 8)
    for _, bits, sizes in _SHAPE.findall(shapes)
  ]
  return Sent(kind, sum(n for n, _ in found), sum(n * size for n, size in found))


# --- what it costs ------------------------------------------------------------------------------


class Cost(NamedTuple):
  """Of a round, for each device.

  Attributes:
    batch: of all devices.
    flops: floating point operations.
    state: bytes of what it holds between rounds: its part of the state and of the data.
    temporary: bytes it needs besides, while it plays.
    sent: what is sent.
    images_per_second: of all devices; None where there is no telling.
  """

  batch: int
  flops: float
  state: int
  temporary: int
  sent: list[Sent]
  images_per_second: float | None


def cost(config: ConfigDict, devices: Sequence[Any], fsdp: int) -> Cost:
  """Compiles a round on a mesh of devices and reads off what it costs."""
  experiment = build(config)
  mesh = Mesh(np.array(devices).reshape(-1, fsdp), parallel.AXES)
  rounds = jit_rounds(experiment.game, experiment.batches, mesh)
  compiled = rounds.play.lower(rounds.like, rounds.table, None, 1).compile()
  memory = compiled.memory_analysis()
  several = len(devices) > 1 and devices[0].platform != "cpu"
  return Cost(
    config.batch_size,
    compiled.cost_analysis()["flops"],
    memory.argument_size_in_bytes,
    memory.temp_size_in_bytes,
    collectives(compiled.as_text()),
    _pace(experiment, rounds) if several else None,
  )


def _pace(experiment: Experiment, rounds: JittedRounds) -> float:
  """Measures images of the generator's batches per second."""
  spec = experiment.batches.spec(1)
  make = lambda: init(experiment.game, jax.random.key(0), spec)
  state = jax.jit(make, out_shardings=jax.tree.map(lambda x: x.sharding, rounds.like))()
  fastest = float("inf")
  for _ in range(1 + REPEATS):
    start = time.perf_counter()
    state, _metrics = jax.block_until_ready(rounds.play(state, rounds.table, None, ROUNDS))
    fastest = min(fastest, time.perf_counter() - start)
  return ROUNDS * experiment.config.batch_size / fastest


def row(devices: int, fsdp: int, found: Cost) -> str:
  """Writes a row of the table."""
  by_kind = {kind: [s for s in found.sent if s.kind == kind] for kind in KINDS}
  sent = ", ".join(f"{len(x)} {kind}" for kind, x in by_kind.items() if x) or "nothing"
  total = sum(s.bytes for s in found.sent)
  pace = "" if found.images_per_second is None else f"{found.images_per_second:,.0f}"
  return (
    f"| {devices // fsdp} x {fsdp} | {found.batch} | {found.flops / 1e6:.1f} | "
    f"{found.state / 1e6:.2f} | {found.temporary / 1e6:.2f} | {sent} | {total / 1e6:.3f} | {pace} |"
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--config", default="experiments/mnist_dcgan.py")
  parser.add_argument("--batch", type=int, default=64, help="of a device if weak, of all if strong")
  parser.add_argument("--fsdp", type=int, default=2, help="also with the state in so many parts")
  parser.add_argument("--counts", type=int, nargs="*", default=COUNTS)
  options = parser.parse_args()
  if jax.config.jax_num_cpu_devices < max(options.counts):  # type: ignore[attr-defined]
    jax.config.update("jax_num_cpu_devices", max(options.counts))
  devices = jax.devices()
  counts = [n for n in options.counts if n <= len(devices)]
  print(f"{options.config} on {devices[0].device_kind}, up to {counts[-1]} of {len(devices)}")
  if devices[0].platform == "cpu":
    print("images/s: not measured, as these devices share one CPU")
  for name, share in (("weak", lambda n: n * options.batch), ("strong", lambda n: options.batch)):
    print(
      f"\n| {name}: data x fsdp | batch | Mflop | holds MB | needs MB | sends | MB | images/s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for n, fsdp in [(n, 1) for n in counts] + [(n, options.fsdp) for n in counts[-1:]]:
      config = runpy.run_path(options.config)["get_config"]()
      config.batch_size, config.data_options.placement = share(n), "device"
      print(row(n, fsdp, cost(config, devices[:n], fsdp)), flush=True)


if __name__ == "__main__":
  main()
