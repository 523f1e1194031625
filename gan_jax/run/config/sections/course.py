"""How far a run goes, what it keeps on the way, and how its rounds are dispatched."""

from ml_collections import ConfigDict

from gan_jax.parallel.mesh import check_mesh
from gan_jax.run.config.sections.key import Key, Keys, at_least, one_of, rounds_or_never

KEYS: Keys = {
  "seed": Key(0, "seed of networks, batches and noise"),
  "start_from": Key("", "another run, RUN or RUN:NETWORK,...: networks that it starts with"),
  "rounds": Key(1000, "rounds to train; in each all players have their turns once", at_least(1)),
  "rounds_per_call": Key(
    10, "rounds in one dispatch; the numbers do not depend on it", at_least(1)
  ),
  # The numbers do not depend on the mesh either.
  "mesh": {
    "data": Key(-1, "devices that batches are split over; -1 for all that are left"),
    "fsdp": Key(1, "devices that batches and large arrays of the state are split over"),
  },
  "microbatches": Key(
    1, "parts in which a batch is seen, one by one, for less memory", at_least(1)
  ),
  "remat": Key(False, "run networks again for their gradients: less memory, more time"),
  "log_every": Key(
    100, "rounds between two rows; 0 for rows of other events alone", rounds_or_never
  ),
  "sample_every": Key(1000, "rounds between two pictures; 0 for the end alone", rounds_or_never),
  "evaluate_every": Key(0, "rounds between two evaluations; 0 for the end alone", rounds_or_never),
  "checkpoint_every": Key(
    1000, "rounds between two checkpoints; 0 for the end alone", rounds_or_never
  ),
  "keep_checkpoints": Key(3, "newest checkpoints that are kept", at_least(1)),
  "keep_every": Key(0, "rounds whose checkpoints are kept for good; 0 for none", rounds_or_never),
  "on_nan": Key(
    "stop",
    "stop, or rollback: go back to the last checkpoint, and on with another seed of the noise",
    one_of("stop", "rollback"),
  ),
  "max_rollbacks": Key(3, "most rollbacks of a run", at_least(1)),
  "num_samples": Key(64, "examples in a picture", at_least(1)),
}


def check(config: ConfigDict) -> None:
  """Refuses keys of this file that contradict each other, or others."""
  check_mesh(**config.mesh)
  if config.batch_size % config.microbatches:
    raise ValueError(
      f"config.microbatches = {config.microbatches} does not divide config.batch_size = "
      f"{config.batch_size}"
    )
  if config.microbatches > 1 and config.get("packing", 1) > 1:
    raise ValueError(
      f"config.microbatches = {config.microbatches} and config.packing = {config.packing}: the "
      "discriminator sees consecutive examples packed, and microbatches take them apart; set one"
    )
