"""CycleGAN between two kinds of digits."""

from ml_collections import ConfigDict

from gan_jax.data import Options, Source, load, table
from gan_jax.data.registry import Kind
from gan_jax.data.sources.images import fit_all
from gan_jax.run.config import default_config, network, optimizer
from gan_jax.run.config.register import register


def open_boxes(argument: str, split: str, options: Options) -> Source:
  """Opens MNIST's digits without their margin: the box of 20 x 20 pixels they were fitted to."""
  del argument
  digits = load("mnist10k", split).arrays
  x = fit_all("mnist_boxes", digits["x"][:, 4:24, 4:24], options)
  return table("mnist_boxes", x, digits["y"], range(10))


register("data", "mnist_boxes", Kind("mnist_boxes", open_boxes))


def get_config() -> ConfigDict:
  config = default_config("cycle_gan")
  config.data = "mnist_boxes|digits8x8"
  config.data_options.image_size = 16
  config.translator = network("resnet_translator", width=16, blocks=3)
  config.discriminator = network("patch_discriminator", width=32, layers=2)
  for player in ("translators", "discriminators"):
    config.optimizers[player] = optimizer("adam", learning_rate=2e-4, b1=0.5)
  config.average.name, config.average.decay = "decay", 0.998
  config.batch_size = 16
  config.rounds = 2000
  config.log_every = 100
  config.sample_every = 500
  config.checkpoint_every = 500
  config.num_fake = 2000
  config.num_samples = 48
  config.evaluation.features = "pixels"
  return config
