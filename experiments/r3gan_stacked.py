"""R3GAN on stacked digits, 1000 modes: three digits of MNIST for the colours of an image.

Paper:    Huang et al. 2025 (arXiv:2501.05441), with the numbers of `r3gan_mnist.py`, at 16 pixels,
          but networks twice as wide and a batch half as large.
Command:  launch/run train --config=experiments/r3gan_stacked.py --workdir=runs/r3gan_stacked
Hardware: one core of an AMD EPYC, shared with other work, jax 0.10.2
Time:     about 20 minutes of one core for 4,000 rounds with eight scores: beside other work on the
          other core, 500 rounds and a score took 107 s
Score:    one seed (0), modes and KL: 812 and 1.25 after 500 rounds (16,000 images of D's batches),
          917 and 0.72 after 1,000, 928 and 0.60 after 1,500, 921 and 0.62 after 2,000, 927 and 0.60
          after 3,000, 948 and 0.63 at the end. All modes and a KL below 0.1 are not reached: the
          margin is 0.2 after 1,500 rounds, and rises to 1.3 as R1 and R2 fall.
          `stacked_dcgan.py` has 1000 and 0.059 in 372 s.
          With the networks and batch of `r3gan_mnist.py` and a linear output, 394, 320 and 387
          modes, 2.42, 2.55 and 2.30 after 1,000, 2,000 and 3,000 rounds: the discriminator wins by
          more and more (a margin of 1.5, 2.0, 2.7), and samples collapse to a few pictures on a
          gray ground. With its tanh, 528 and 1.99 after 500. The linear output costs modes by
          itself: that generator against the discriminator of `stacked_dcgan.py`, at constant
          numbers, has 434 and 2.99 after 500 rounds, 707 and 1.69 after 1,000; with tanh 912 and
          0.94, 914 and 0.64.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, optimizer, schedule

ROUNDS = 4000
WIDTHS = (64, 32, 16)  # from 4x4 up


def moving(start: float, end: float) -> ConfigDict:
  """Builds a number that moves along half a cosine."""
  return schedule("cosine_schedule", init_value=start, end_value=end, transition_steps=ROUNDS)


def get_config() -> ConfigDict:
  config = from_file("r3gan_mnist.py", beside=__file__)
  config.data = "stacked:mnist10k"
  config.num_fake = 26_000
  config.batch_size = 32
  config.rounds = ROUNDS
  config.generator.widths = WIDTHS
  config.discriminator.widths = WIDTHS[::-1]
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer(
      "adam", learning_rate=moving(1e-3, 2.5e-4), b1=0.0, b2=moving(0.9, 0.99)
    )
  for penalty in ("r1", "r2"):
    config.regularizers[penalty] = moving(1.0, 0.1)
  config.average.half_life = moving(0.0, 30_000.0)
  config.evaluate_every = 500
  config.checkpoint_every = 500
  return config
