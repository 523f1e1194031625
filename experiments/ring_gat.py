"""GAT's game on a ring of eight Gaussians: a generator whose four depths are all judged, as one.

Paper:    Scalable GANs with Transformers, arXiv:2509.24935: noise levels, relativistic loss,
          approximated R1 and R2, 1/width learning rates. Its networks are transformers; here they
          are dense layers, with an output after each of four. No augmentation, as there are no
          images.
Command:  launch/run train --config=experiments/ring_gat.py --workdir=runs/ring_gat
Hardware: one core of an AMD EPYC, shared with much other work, jax 0.10.2
Time:     54 to 56 s of CPU in all; of one level 48 s
Score:    8 of 8 modes in both of two seeds (--config.seed=0, 1), 42.6 and 45.4% high quality, KL
          0.0037 and 0.0018; last; nothing was tuned. One level alone (--config.levels.count=1) is
          better: 8 of 8 modes, 84.6 and 82.1%, KL 0.0045 and 0.0015. The mixture scores 98.9%.
"""

from ml_collections import ConfigDict

from gan_jax.game.optimizers import rate_of_width
from gan_jax.run.config import default_config, network, optimizer, schedule

ROUNDS = 5000
WIDTH = 128


def get_config() -> ConfigDict:
  config = default_config("multi_level")
  config.data = "ring8"
  config.batch_size = 256
  config.rounds = ROUNDS
  config.rounds_per_call = 100

  config.latent = {"name": "normal", "dim": 8}
  config.generator = network("multi_level_mlp_generator", hidden=(WIDTH,) * 4)
  config.discriminator = network("mlp_discriminator", hidden=(WIDTH,) * 3)
  for player in ("discriminator", "generator"):
    # The published base, at the width of a ViT-B; that it falls to 0 is of this experiment.
    falling = schedule(
      "cosine_decay_schedule", init_value=rate_of_width(2e-4, WIDTH), decay_steps=ROUNDS
    )
    config.optimizers[player] = optimizer(
      "adamw", learning_rate=falling, b1=0.0, b2=0.99, weight_decay=0.0, clip_norm=1.0
    )
  config.average.decay = 0.999

  config.log_every = 100
  config.sample_every = ROUNDS
  config.evaluate_every = ROUNDS // 5
  config.checkpoint_every = ROUNDS
  config.num_samples = 2500
  config.num_fake = 2500
  return config
