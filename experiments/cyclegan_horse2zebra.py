"""CycleGAN in the paper's settings: Zhu, Park, Isola, Efros 2017, arXiv:1703.10593.

    launch/run train --config=experiments/cyclegan_horse2zebra.py --workdir=runs/horse2zebra
    launch/run train --config=experiments/cyclegan_horse2zebra.py --workdir=runs/horse2zebra \
      --config.data=folder:horse2zebra     # with trainA, trainB, testA, testB

1,067 horses and 1,334 zebras of 256 pixels, 200 epochs of the larger set, batches of one. The
learning rate falls round by round over the second half; the published code lets it fall by epochs,
and plays the last of them at 0. Each set has epochs of its own.

Not trained here: at 256 pixels it takes a GPU. Networks, losses, the pool and a step of the whole
are compared with the published code's numbers (tests/nets/test_translation.py and
tests/game/kinds/test_cycle.py); experiments/cyclegan_digits.py is the same game at a size that runs
on two cores.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, optimizer, schedule

EPOCH = 1334  # rounds


def get_config() -> ConfigDict:
  config = default_config("cycle_gan")
  config.data = "tfds:cycle_gan/horse2zebra"
  config.data_options.image_size = 286
  config.data_options.crop = 256
  config.data_options.flip = True
  config.batch_size = 1
  config.rounds = 200 * EPOCH
  rate = {"init_value": 2e-4, "end_value": 0.0}
  steps = {"transition_begin": 100 * EPOCH, "transition_steps": 100 * EPOCH}
  for player in ("translators", "discriminators"):
    config.optimizers[player] = optimizer(
      "adam", learning_rate=schedule("linear_schedule", **rate, **steps), b1=0.5
    )
  config.log_every = 100
  config.sample_every = 5 * EPOCH
  config.checkpoint_every = 5 * EPOCH
  config.num_samples = 24
  config.num_fake = 120
  config.evaluation.features = "pixels"
  return config
