"""StyleGAN2 on real MNIST digits, for a laptop, with lazy R1.

Paper:    Karras et al. 2020 (arXiv:1912.04958) with the smaller mapping network and the EMA of
          ADA's configs (arXiv:2006.06676), at a fraction of the width. Digits are of 28 pixels: the
          first maps are 7 x 7, not 4 x 4, and the data are as they are.
Command:  launch/run train --config=experiments/stylegan2_mnist.py --workdir=runs/stylegan2_mnist
          With style mixing and path lengths: --config.generator.mixing=0.9
          --config.generator_regularizers.path_length=2
Hardware: one core of an AMD EPYC, jax 0.10.2, beside other work
Time:     1,032 to 1,082 s for 4,000 rounds, with four scores
Score:    three seeds (0, 1, 2): Fréchet distance (as in `mnist_dcgan.py`, which has 3.35 in a third
          of the time) 6.86 ± 0.36 (7.17, 7.27, 6.14) of the last checkpoint, still falling, after
          43.1 ± 2.0, 17.5 ± 1.8 and 10.9 ± 0.4 at 1,000, 2,000 and 3,000 rounds; all 10 classes,
          KL of classes 0.014 ± 0.002. After 400 rounds, where modes are few, seed 0 has 46.7, with
          R1 of weight 10 46.0, of 1 58.2, of 0.1 67.5; with style mixing and path lengths 58.5 at
          a weight of 10, and at 1 60.2 after 1,000 rounds and 32.3 after 2,000.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "mnist10k"
  config.batch_size = 32
  config.rounds = 4000
  config.rounds_per_call = 10

  config.latent.dim = 64
  # 16, 32 and 64 channels at 28, 14 and 7 pixels.
  size = {"channel_base": 448, "channel_max": 64, "dtype": "bfloat16"}
  config.generator = network("stylegan2_generator", w_dim=64, mixing=0.0, **size)
  config.discriminator = network("stylegan2_discriminator", **size)
  config.loss = "non_saturating"
  config.regularizers.r1 = 5.0
  config.regularizer_options.r1.every = 16
  # As in ADA's config for CIFAR-10, no style mixing and no path lengths; these are theirs.
  config.regularizer_options.path_length.every = 4
  config.regularizer_options.path_length.batch_shrink = 2
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=2.5e-3, b1=0.0, b2=0.99)
  # 10/32 of a thousand batches, as ADA's auto config has it, and at most 5% of the images seen.
  config.average.name, config.average.half_life, config.average.ramp_up = "half_life", 1e4, 0.05

  config.log_every = 50
  config.sample_every = 500
  config.evaluate_every = 1000
  config.checkpoint_every = 1000
  return config
