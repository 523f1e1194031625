"""DANN: from digits to coloured digits, whose labels are not known.

Paper:    Ganin et al. 2016 (arXiv:1505.07818), at a third of the width and 16 pixels; coloured
          digits are as MNIST-M, with plain colours in the place of photographs.
Command:  launch/run train --config=experiments/domain_adversarial_mnist.py --workdir=runs/dann
          and with --config.adaptation.weight=0 for the source alone
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("domain_adversarial")
  config.data = "mnist10k|coloured:mnist10k"
  config.data_options.channels = 3
  config.data_options.image_size = 16
  config.batch_size = 64
  config.rounds = 1000
  config.rounds_per_call = 10

  config.feature_extractor = network("lenet_extractor", widths=(12, 16))
  config.label_predictor = network("mlp_generator", hidden=(100,))
  config.domain_classifier = network("mlp_discriminator", hidden=(100,))
  config.rise = 1000
  config.optimizers.classifier = optimizer("adam", learning_rate=2e-3)
  config.optimizers.domain_classifier = optimizer("adam", learning_rate=2e-3)

  config.log_every = 50
  config.evaluate_every = 250
  config.checkpoint_every = 500
  return config
