"""R3GAN on CIFAR-10, with labels: the published networks and schedules.

Paper:    Huang et al. 2025 (arXiv:2501.05441), preset CIFAR10 of the published code: 20.8 million
          parameters in the generator and 21.3 in the discriminator. All numbers move along half a
          cosine until 20 million images of the discriminator's batches, the p of its augmentation
          from 0 to 0.55 too.
Command:  launch/run train --config=experiments/r3gan_cifar10.py --workdir=runs/r3gan_cifar10
          The data come from TFDS, prepared once: see docs/data.md. Made for a GPU or TPU; the
          published run has no TF32: JAX_DEFAULT_MATMUL_PRECISION=float32 before the command.
Hardware: not trained
Time:     not measured
Score:    not measured
"""

from ml_collections import ConfigDict

from gan_jax.run.config import augmentation, default_config, network, optimizer, schedule

BATCH = 512
IMAGES = 20_000_000  # of the discriminator's batches; a round sees as many for the generator


def moving(start: float, end: float) -> ConfigDict:
  """Builds a number that moves along half a cosine."""
  rounds = IMAGES / BATCH
  return schedule("cosine_schedule", init_value=start, end_value=end, transition_steps=rounds)


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "tfds:cifar10"
  config.data_options.flip = True
  config.conditional = True
  config.batch_size = BATCH
  config.rounds = IMAGES // BATCH
  config.rounds_per_call = 50

  config.latent.dim = 64
  for player in ("generator", "discriminator"):
    config[player] = network(f"r3gan_{player}", preset="cifar10", dtype="bfloat16")
    config.optimizers[player] = optimizer(
      "adam", learning_rate=moving(2e-4, 5e-5), b1=0.0, b2=moving(0.9, 0.99)
    )
  config.augmentation = augmentation("ada", pipe="r3gan", adaptive=False, p=moving(0.0, 0.55))
  config.loss = "relativistic"
  config.regularizers.r1 = moving(0.05, 0.005)
  config.regularizers.r2 = moving(0.05, 0.005)
  config.average.name = "half_life"
  config.average.half_life = moving(0.0, 5_000_000.0)

  config.log_every = 100
  config.sample_every = 1000
  config.evaluate_every = 2000
  config.checkpoint_every = 1000
  config.num_fake = 10_000
  return config
