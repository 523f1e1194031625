"""Tiny configs of kinds of game, each of which plays a round in about a second on a CPU."""

from gan_jax.run.config import default_config, network


def _tiny(game):
  config = default_config(game)
  config.data = "mnist10k"
  config.data_options.image_size = 16
  config.batch_size = 8
  config.num_fake, config.num_samples = 32, 16
  config.evaluation.features = "pixels"
  return config


def _energy(game):
  config = _tiny(game)
  config.latent.dim = 8
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_autoencoder_discriminator", hidden=(8,), embedding=4)
  return config


def eb_gan():
  return _energy("eb_gan")


def be_gan():
  return _energy("be_gan")


def domain_adversarial():
  config = _tiny("domain_adversarial")
  config.data, config.data_options.channels = "mnist10k|coloured:mnist10k", 3
  config.feature_extractor = network("lenet_extractor", widths=(2, 3))
  config.label_predictor = network("mlp_generator", hidden=(8,))
  config.domain_classifier = network("mlp_discriminator", hidden=(8,))
  config.rise = 10
  return config


KINDS = {"eb_gan": eb_gan, "be_gan": be_gan, "domain_adversarial": domain_adversarial}
