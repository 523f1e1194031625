"""DANN: from digits to coloured digits, whose labels are not known.

Paper:    Ganin et al. 2016 (arXiv:1505.07818), at half the width; coloured digits are as MNIST-M,
          with plain colours in the place of photographs.
Command:  launch/run train --config=experiments/domain_adversarial_mnist.py --workdir=runs/dann
          and with --config.adaptation.weight=0 for the source alone
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("domain_adversarial")
  config.data = "mnist10k|coloured:mnist10k"
  config.data_options.channels = 3
  config.batch_size = 64
  config.rounds = 1500
  config.rounds_per_call = 10

  config.feature_extractor = network("lenet_extractor", widths=(16, 24))
  config.label_predictor = network("mlp_generator", hidden=(100, 100))
  config.domain_classifier = network("mlp_discriminator", hidden=(100,))
  config.rise = 1500
  config.optimizers.classifier = optimizer("adam", learning_rate=1e-3)
  config.optimizers.domain_classifier = optimizer("adam", learning_rate=1e-3)

  config.log_every = 50
  config.evaluate_every = 500
  config.checkpoint_every = 500
  return config
