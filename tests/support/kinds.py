"""A tiny config of every kind of game, for the contract of all."""

import functools
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from gan_jax.run.config import augmentation, default_config, network, schedule


def short(config: ConfigDict) -> ConfigDict:
  """Makes a run of four rounds that is saved after two, with few samples and cheap scores."""
  config.rounds, config.rounds_per_call, config.checkpoint_every = 4, 2, 2
  config.log_every, config.sample_every = 2, 4
  config.num_samples, config.num_fake = 4, 16
  config.evaluation.features, config.evaluation.metrics = "pixels", ("rbf_mmd",)
  return config


def energy(game: str) -> ConfigDict:
  """Makes the config of a game whose discriminator is an autoencoder."""
  config = short(default_config(game))
  config.batch_size, config.data_options.image_size = 8, 8
  config.data = "digits8x8"
  config.latent.dim = 4
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_autoencoder_discriminator", hidden=(8,), embedding=4)
  return config


def two_player() -> ConfigDict:
  config = short(default_config())
  config.batch_size, config.data_options.image_size = 8, 8
  config.data = "digits8x8"
  config.latent.dim = 2
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  return config


def on_frozen_features() -> ConfigDict:
  config = two_player()
  config.data_options.image_size = 16
  config.discriminator = network("projected_discriminator", feature_width=2, width=2)
  config.loss = "hinge"
  return config


@functools.cache
def _vectors() -> str:
  """Writes images of two conditions each, an angle's cosine and sine, and names the file."""
  file = pathlib.Path(tempfile.mkdtemp()) / "vectors.npz"
  angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
  y = np.stack([np.cos(angles), np.sin(angles)], axis=1)
  x = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
  np.savez(file, x=x, y=y)
  return f"npz:{file}"


def on_vectors() -> ConfigDict:
  config = two_player()
  config.data, config.conditional, config.condition.name = _vectors(), True, "vector"
  config.condition.vicinity.update(name="soft", sigma=0.1, kappa=0.2)
  config.augmentation = augmentation("diffaugment")
  return config


def cycle_gan() -> ConfigDict:
  config = short(default_config("cycle_gan"))
  config.batch_size, config.data_options.image_size = 8, 8
  config.data = "mnist10k|digits8x8"
  config.translator = network("unet_translator", width=2, levels=2, norm="instance")
  config.discriminator = network("pixel_discriminator", width=2)
  config.pool = 4
  return config


def cycle_gan_of_classes() -> ConfigDict:
  config = cycle_gan()
  config.conditional, config.weights.semantic = True, 0.5
  config.classifier = network("mlp_encoder", hidden=(8,))
  return config


def pix2pix() -> ConfigDict:
  config = short(default_config("pix2pix"))
  config.batch_size, config.data_options.image_size = 8, 8
  # Of 1 and of 3 channels.
  config.data = "gray:coloured:digits8x8|coloured:digits8x8"
  config.data_options.flip = True
  config.translator = network("unet_translator", width=2, levels=2, norm="instance", dropout=0.5)
  config.discriminator = network("pixel_discriminator", width=2)
  return config


def bi_gan() -> ConfigDict:
  config = short(default_config("bi_gan"))
  config.batch_size, config.data = 8, "digits8x8"
  config.latent.dim, config.stochastic = 4, True
  config.generator = network("mlp_generator", hidden=(8,))
  config.encoder = network("mlp_encoder", hidden=(8,))
  config.discriminator = network("joint_mlp_discriminator", hidden=(8,))
  config.regularizers.r1 = 0.1
  return config


def vq_gan() -> ConfigDict:
  config = short(default_config("vq_gan"))
  config.batch_size, config.data = 8, "digits8x8"
  config.encoder = network("map_encoder", width=2, stages=1)
  config.decoder = network("map_decoder", width=2, stages=1)
  config.discriminator = network("pixel_discriminator", width=2)
  config.codebook.size, config.codebook.features = 8, 3
  return config


def info_gan() -> ConfigDict:
  config = short(default_config("info_gan"))
  config.batch_size, config.data = 8, "digits8x8"
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("auxiliary_mlp_discriminator", hidden=(8,))
  config.encoder = network("mlp_encoder", hidden=(8,))
  config.codes.noise, config.codes.categorical, config.codes.continuous = 3, (4, 2), 2
  return config


def ac_gan() -> ConfigDict:
  config = short(default_config("ac_gan"))
  config.batch_size, config.data = 8, "digits8x8"
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("auxiliary_mlp_discriminator", hidden=(8,))
  config.augmentation = augmentation("ada", pipe="brightness, cutout", p=0.5, interval=1)
  config.latent.dim = 2
  return config


def auxiliary_task() -> ConfigDict:
  config = short(default_config("auxiliary_task"))
  config.batch_size, config.data = 8, "digits8x8"
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network(
    "auxiliary_mlp_discriminator", hidden=(8,), minibatch_kernels=2, minibatch_dim=3
  )
  config.latent.dim, config.task.dim, config.top_k.share = 2, 4, 0.5
  config.feature_matching.l2 = 0.1
  return config


def domain_adversarial() -> ConfigDict:
  config = short(default_config("domain_adversarial"))
  config.batch_size, config.data_options.image_size = 8, 16
  config.data, config.data_options.channels = "digits8x8|coloured:digits8x8", 3
  config.evaluation.features, config.evaluation.metrics = "auto", ("auto",)
  config.feature_extractor = network("lenet_extractor", widths=(2, 3))
  config.label_predictor = network("mlp_generator", hidden=(8,))
  config.domain_classifier = network("mlp_discriminator", hidden=(8,))
  config.rise = 10
  return config


def drift() -> ConfigDict:
  config = short(default_config("drift"))
  config.batch_size, config.data_options.image_size = 8, 8
  config.data = "digits8x8"
  config.latent.dim = 2
  config.generator = network("mlp_generator", hidden=(8,))
  config.field, config.temperatures = "imagenet", (0.5, 1.0)
  config.annealing.factor = schedule(
    "exponential_decay", init_value=2.0, transition_steps=2, decay_rate=0.5
  )
  return config


def drift_of_two_batches() -> ConfigDict:
  config = drift()
  config.field = "sinkhorn"
  return config


def drift_in_features() -> ConfigDict:
  config = drift()
  config.features = "classifier"
  return config


def adversarial_flow() -> ConfigDict:
  config = short(default_config("adversarial_flow"))
  config.batch_size, config.data = 8, "digits8x8"
  config.generator = network("flow_mlp_generator", hidden=(8,))
  config.discriminator = network("flow_mlp_discriminator", hidden=(8,))
  config.times, config.velocity, config.sampled = "any", True, (1, 2)
  return config


def continuous_flow() -> ConfigDict:
  config = short(default_config("continuous_flow"))
  config.batch_size, config.data = 8, "digits8x8"
  config.generator = network("flow_mlp_generator", hidden=(8, 8), layer_norm=True)
  config.discriminator = network("flow_mlp_discriminator", hidden=(8, 8), layer_norm=True)
  config.k, config.warm_up, config.sampled = 2, 1, (4,)
  return config


def distribution_matching() -> ConfigDict:
  config = short(default_config("distribution_matching"))
  # The teacher is in closed form: of a mixture, and this one is scored by no modes.
  config.batch_size, config.data = 8, "line4"
  config.evaluation.features = "auto"
  config.latent.dim, config.k = 2, 2
  config.generator = network("mlp_generator", hidden=(8,))
  config.critic = network("flow_mlp_critic", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(4,))
  return config


def distribution_matching_without_data() -> ConfigDict:
  config = distribution_matching()
  config.weights.adversarial = 0.0
  return config


def distribution_matching_of_examples() -> ConfigDict:
  config = distribution_matching()
  config.data, config.data_options.examples = "digits8x8", 64
  return config


def multi_level() -> ConfigDict:
  config = short(default_config("multi_level"))
  config.batch_size, config.data_options.image_size = 8, 8
  config.data, config.conditional, config.latent.dim = "digits8x8", True, 2
  config.generator = network("multi_level_mlp_generator", hidden=(8, 8))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.levels.count, config.augmentation.name = 2, "diffaugment"
  return config


# More games of the same kinds, which are held to the same.
VARIANTS: dict[str, Callable[[], ConfigDict]] = {
  "two_player on vectors": on_vectors,
  "two_player on frozen features": on_frozen_features,
  "cycle_gan of classes": cycle_gan_of_classes,
  "drift of two batches": drift_of_two_batches,
  "distribution_matching without data": distribution_matching_without_data,
  "distribution_matching of examples": distribution_matching_of_examples,
  "drift in features": drift_in_features,
}
KINDS: dict[str, Callable[[], ConfigDict]] = {
  "two_player": two_player,
  "cycle_gan": cycle_gan,
  "pix2pix": pix2pix,
  "bi_gan": bi_gan,
  "vq_gan": vq_gan,
  "info_gan": info_gan,
  "ac_gan": ac_gan,
  "auxiliary_task": auxiliary_task,
  "eb_gan": functools.partial(energy, "eb_gan"),
  "be_gan": functools.partial(energy, "be_gan"),
  "domain_adversarial": domain_adversarial,
  "drift": drift,
  "adversarial_flow": adversarial_flow,
  "continuous_flow": continuous_flow,
  "distribution_matching": distribution_matching,
  "multi_level": multi_level,
}
