"""VQGAN's tokenizer on real MNIST digits: 49 entries of a codebook a digit.

Paper:    Esser, Rombach, Ommer 2021 (arXiv:2012.09841): the quantizer, hinge loss, patch
          discriminator and adaptive weight, without the perceptual loss and attention.
Command:  launch/run train --config=experiments/mnist_vq_gan.py --workdir=runs/vq_gan
Hardware: 2 cores of an Intel Xeon, beside many other programs
Time:     190 s of processor time, 15 minutes beside these
Score:    one seed, reconstructions of all 2,000 test digits by averaged weights: mean absolute
          difference, as a share of the range, and Fréchet distance by the classifier (2,000
          training digits score 0.36):
            with the discriminator                                 0.0428  1.41
            without, --config.weights.adversarial=0                0.0401  3.80
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("vq_gan")
  config.data = "mnist10k"
  config.batch_size = 32
  config.rounds = 1200
  config.start = 400

  config.encoder = network("map_encoder", width=16, dtype="bfloat16")
  config.decoder = network("map_decoder", width=16, dtype="bfloat16")
  config.codebook.size, config.codebook.features = 32, 8
  config.discriminator = network(
    "patch_discriminator", width=16, layers=2, norm="instance", dtype="bfloat16"
  )
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=1e-3, b1=0.5)
  config.average.decay = 0.99

  config.log_every = 100
  config.sample_every = 600
  config.checkpoint_every = 600
  config.num_samples = 48
  return config
