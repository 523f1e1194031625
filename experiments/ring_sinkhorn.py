"""W-Flow on a ring of eight Gaussians: one player, which follows a Sinkhorn divergence.

Paper:    arXiv:2605.11755, its field of two batches; network and ring as in ring_drift.py
Command:  launch/run train --config=experiments/ring_sinkhorn.py --workdir=runs/ring_sinkhorn
Hardware: 2 cores, beside other work; jax 0.10.2
Time:     1 min 56 s there, of 37 s on one core without waiting
Score:    8 of 8 modes, KL 0.044, but 2.8% of high quality: samples are around modes, not on them;
          energy distance 0.008 of the mean distance of data. One seed; `flow` was not trained
"""

from ml_collections import ConfigDict

from experiments import ring_drift


def get_config() -> ConfigDict:
  config = ring_drift.get_config()
  config.batch_size = 256
  config.field, config.temperatures = "sinkhorn", (0.05,)
  return config


def flow() -> ConfigDict:
  """Returns the config of the flow itself: one batch, and a force that falls as fakes arrive."""
  config = get_config()
  config.field = "sinkhorn_flow"
  return config
