"""The state that a run starts from: of its last checkpoint, or the first, or with networks of
another run.
"""

from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from gan_jax import parallel
from gan_jax.game.core import State, batches_a_round
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.same_run import other_arrays
from gan_jax.run.training.saving.checkpoint import Checkpoints
from gan_jax.run.training.saving.leaves import OtherGameError
from gan_jax.run.weights.start_from import start_from

NOTE_OPTIMIZERS = "optimizers"  # note beside a checkpoint: whose state it holds, by player


def start(experiment: Experiment, checkpoints: Checkpoints, mesh: Mesh) -> State:
  """Restores the last checkpoint, or makes the first state.

  Raises:
    FileNotFoundError: there is no run of config.start_from.
    ValueError: a checkpoint, or a run to start from, that does not fit.
  """
  config, example = experiment.config, experiment.example
  spec = example.batch(batches_a_round(experiment.game), config.batch_size)
  make = lambda: init(experiment.game, make_key(config.seed), spec)
  like = parallel.abstract_state(make, mesh)
  try:
    state = checkpoints.restore(like, repair=True)
  except OtherGameError as error:
    if not (other := other_arrays(checkpoints.folder.parent, config)):
      raise
    raise OtherGameError(
      f"the run in {checkpoints.folder.parent} cannot go on as another game, whose state has other "
      f"arrays, which --allow_config_change does not make; the configs differ in\n{other}\n"
      "set these as they were, or use another --workdir"
    ) from error
  if state is not None:
    _check_optimizers(experiment, checkpoints, int(state.round))
    return state
  places = jax.tree.map(lambda x: x.sharding, like)
  state = jax.jit(make, out_shardings=places, compiler_options=_for_once())()
  return start_from(experiment.game, state, config.start_from) if config.start_from else state


def _for_once() -> dict[str, Any]:
  """Returns options of the compiler for a program that runs once.

  At LLVM's first level XLA:CPU compiles a first state in a third to two thirds of the time, to the
  same bits. At level 0 they are others, as no product is fused with a sum.
  """
  # Whoever has JAX compile in a hurry has asked for a level already.
  hurried = getattr(jax.config, "jax_disable_most_optimizations", False)
  on_cpu = jax.default_backend() == "cpu"
  return {"xla_backend_optimization_level": 1} if on_cpu and not hurried else {}


def optimizers_of(config: ConfigDict) -> dict[str, str]:
  """Returns the names of the optimizers, by player."""
  return {player: options["name"] for player, options in config.optimizers.items()}


def _check_optimizers(experiment: Experiment, checkpoints: Checkpoints, round: int) -> None:
  """Refuses to read what one optimizer remembers as another's, where both call it the same."""
  saved = checkpoints.notes(round).get(NOTE_OPTIMIZERS, {})
  for player, name in optimizers_of(experiment.config).items():
    was = saved.get(player, name)
    if was != name:
      raise ValueError(
        f"the checkpoint of round {round} in {checkpoints.folder} holds what {was!r} remembers of "
        f"the {player}, and config.optimizers.{player}.name is {name!r}, which would read it as its"
        f" own; go on with --config.optimizers.{player}.name={was}, or start anew in another "
        "--workdir"
      )
