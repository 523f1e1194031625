"""R3GAN on stacked digits, 1000 modes: three digits of MNIST for the colours of an image.

Paper:    Huang et al. 2025 (arXiv:2501.05441), with the numbers of `r3gan_mnist.py`, at 16 pixels,
          but networks twice as wide and a batch half as large.
Command:  launch/run train --config=experiments/r3gan_stacked.py --workdir=runs/r3gan_stacked
Hardware: one core of an AMD EPYC, shared with other work, jax 0.10.2
Time:     about 12 minutes of one core for 4,000 rounds with eight scores, 6.5 rounds a second alone
          on it
Score:    three seeds (0, 1, 2), modes and KL at the end: 948 and 0.63, 916 and 0.81, 853 and 0.90,
          so 906 ± 28 and 0.78 ± 0.08. Seed 0 has 812 and 1.25 after 500 rounds (16,000 images of
          D's batches), 917 and 0.72 after 1,000, 921 and 0.62 after 2,000, 927 and 0.60 after
          3,000. From 1,500 rounds on KL stays or rises, as the margin does, from 0.2 to 1.3, while
          R1 and R2 fall. All modes and a KL below 0.1 are not reached; `stacked_dcgan.py` has 1000
          and 0.059 in 372 s.
          Longer, seed 0: within 20,000 rounds (an hour) the same numbers lead to 996 and 0.34
          after 10,000, 998 and 0.30 after 18,000, 993 and 0.32 at the end (a margin of 1.2).
          With R1 and R2 at 1 throughout and rates down to 1e-4 within 12,000 rounds, 983 and 0.44
          after 4,000, 997 and 0.30 after 10,000, 999 and 0.27 at the end (a margin of 0.28;
          half an hour at 6.5 rounds a second). Within 4,000 rounds R1 and R2 of 1 throughout lead
          to 939 and 0.66, and of 5 to 902 and 0.89 after 1,000 (1: 821 and 1.10).
          With the networks and batch of `r3gan_mnist.py` and a linear output, 394, 320 and 387
          modes, 2.42, 2.55 and 2.30 after 1,000, 2,000 and 3,000 rounds: the discriminator wins by
          more and more (a margin of 1.5, 2.0, 2.7), and samples collapse to a few pictures on a
          gray ground. With its tanh, 528 and 1.99 after 500.
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
