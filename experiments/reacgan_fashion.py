"""ReACGAN on Fashion-MNIST: classes as points of a sphere, which the discriminator embeds.

Paper:    Kang et al. 2021 (arXiv:2111.01118), with the small DCGAN of `fashion_dcgan.py` and hinge
          loss; temperature .5, margin .98 and weight .5 as StudioGAN has; data of Xiao et al.
          2017 (arXiv:1708.07747).
Command:  launch/run train --config=experiments/reacgan_fashion.py --workdir=runs/reacgan
          The data come from TFDS, prepared once: see docs/data.md. With the four files at
          hand instead: --config.data=idx:DIR
Hardware: 2 cores of an Intel Xeon, jax 0.10.2, beside other work
Time:     578 s for 10,000 rounds (640,000 images), with five scores; seeds 1 and 2 took 520 s
          each, on one core of an AMD EPYC
Score:    three seeds (0, 1, 2): Fréchet distance 1.91 ± 0.16 (1.59, 2.13, 2.01) of the last
          checkpoint, which is the best, on features of the repository's own classifier (88.3%
          right), 2,000 averaged samples against the 10,000 test images; that classifier reads 98.9
          to 99.9% of samples as the class asked for. `fashion_dcgan.py`, without classes, has 3.66
          after as long.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, task


def get_config() -> ConfigDict:
  config = default_config("auxiliary_task")
  config.data = "tfds:fashion_mnist"
  config.batch_size = 64
  config.rounds = 10_000
  config.rounds_per_call = 10

  config.task = task("reac_gan", dim=128)
  config.latent.dim = 64
  config.generator = network("dcgan_generator", width=32, dtype="bfloat16")
  config.discriminator = network(
    "auxiliary_dcgan_discriminator", width=32, norm="spectral", dtype="bfloat16"
  )
  config.loss = "hinge"
  config.optimizers.discriminator = optimizer("adam", learning_rate=4e-4, b1=0.0, b2=0.9)
  config.optimizers.generator = optimizer("adam", learning_rate=2e-4, b1=0.0, b2=0.9)
  config.average.decay = 0.998

  config.log_every = 50
  config.sample_every = 500
  config.evaluate_every = 2000
  config.checkpoint_every = 1000
  config.num_samples = 100
  return config
