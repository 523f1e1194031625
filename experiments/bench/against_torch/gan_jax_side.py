"""The steps of gan_jax: rounds of a row, as `fit` plays them."""

import json
import sys

import jax

from experiments.bench.against_torch.rows import config_of
from experiments.bench.against_torch.sides import serve
from experiments.bench.convolutions import machine
from experiments.bench.monitors import start
from gan_jax import parallel
from gan_jax.run.config import switches
from gan_jax.run.experiment import build
from gan_jax.run.training.rounds import make_dispatch


def main(row: str, dtype: str) -> None:
  switches.fix_all()
  experiment = build(config_of(row, dtype))
  mesh = parallel.make_mesh(experiment.config.batch_size)
  state, rounds = start(experiment, mesh), experiment.config.rounds_per_call
  sizes = {name: sum(x.size for x in jax.tree.leaves(net)) for name, net in state.params.items()}
  dispatch = make_dispatch(experiment.game, experiment.batches, mesh)

  def play(calls: int) -> None:
    nonlocal state
    last = None
    for _ in range(calls):
      state, metrics = dispatch(state, rounds)
      jax.device_get(last)  # while the next rounds run
      last = metrics
    jax.block_until_ready((state, last))

  gpu = jax.devices()[0].platform == "gpu"
  serve(play, steps=rounds, parameters=sizes, machine=machine(), gpu=gpu)


if __name__ == "__main__":
  main(**json.loads(sys.argv[1]))
