"""The kinds of files that runs are made of, and the configs that go on with their training.

Settings are those of each method's published code, but for schedules, which have come to their end.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.nets.published import files, r3gan, stylegan2
from gan_jax.nets.published.layout import Weights
from gan_jax.run.config.config import default_config
from gan_jax.run.config.sections.kinds.auxiliary_task import task
from gan_jax.run.config.sections.networks import network
from gan_jax.run.config.sections.optimizers import optimizer

Files = Sequence[tuple[str, Any]]  # (name, what is in it)


class ImportKind(NamedTuple):
  """A kind of files.

  Attributes:
    read: (files, most bytes of a network) -> their networks.
    config: (networks) -> config of a run of them.
    objects: names that its pickles have beside tensors; see `torch_file.read_torch`.
    about: which files it is of.
  """

  read: Callable[[Files, int], Weights]
  config: Callable[[Weights], ConfigDict]
  about: str
  objects: Mapping[str, type] = {}


def _of_two(
  weights: Weights, learning_rate: float, b2: float, game: str = "two_player"
) -> ConfigDict:
  """Builds the config of a generator against a discriminator, with Adam, β₁ = 0, for both."""
  config = _with_networks(default_config(game), weights)
  nets = weights.networks.values()
  config.latent.dim = max(net.latent for net in nets)
  config.conditional = any(net.classes is not None for net in nets)
  return _with_adam(config, learning_rate, 0.0, b2)


def _with_networks(config: ConfigDict, weights: Weights) -> ConfigDict:
  sections = {name: network(net.name, **net.options) for name, net in weights.networks.items()}
  sections |= {name: network(of, **options) for name, (of, options) in weights.missing.items()}
  for name, section in sections.items():
    config[name] = section
  config.rounds = 10_000
  return config


def _with_adam(config: ConfigDict, learning_rate: float, b1: float, b2: float) -> ConfigDict:
  for player in config.optimizers:
    config.optimizers[player] = optimizer("adam", learning_rate=learning_rate, b1=b1, b2=b2)
  return config


def _stylegan2(weights: Weights) -> ConfigDict:
  config = _of_two(weights, 2.5e-3, 0.99)
  config.batch_size = 32
  config.loss = "non_saturating"
  side = max(net.shape[0] for net in weights.networks.values())
  config.regularizers.r1 = 2e-4 * side**2 / config.batch_size  # of the published "auto"
  config.regularizer_options.r1.every = 16
  config.generator_regularizers.path_length = 2.0
  config.regularizer_options.path_length.every = 4
  config.regularizer_options.path_length.batch_shrink = 2
  config.average.name, config.average.half_life = "half_life", 1e4
  return config


def _r3gan(weights: Weights) -> ConfigDict:
  config = _of_two(weights, 5e-5, 0.99)
  config.batch_size = 64
  config.loss = "relativistic"
  config.regularizers.r1 = config.regularizers.r2 = 0.05
  config.average.name, config.average.half_life = "half_life", 5e5
  return config


def _biggan(weights: Weights, game: str = "two_player") -> ConfigDict:
  config = _of_two(weights, 2e-4, 0.999, game=game)
  config.batch_size = 50
  config.loss, config.joint, config.k = "hinge", True, 4
  config.average.decay = 0.9999
  return config


def _studiogan(weights: Weights) -> ConfigDict:
  params = [net.variables["params"] for net in weights.networks.values()]
  heads = [tree["head"] for tree in params if "head" in tree]
  if not heads:
    return _biggan(weights)
  config = _biggan(weights, "auxiliary_task")
  # The networks of ContraGAN are the same: ReACGAN is the later of the two.
  config.task = task("reac_gan", dim=heads[0]["embedding"]["bias"].size)
  return config


def _mimicry(weights: Weights) -> ConfigDict:
  config = _of_two(weights, 2e-4, 0.9)
  config.loss, config.k = "hinge", 5
  config.average.name = "none"
  return config


def _cyclegan(weights: Weights) -> ConfigDict:
  config = _with_adam(default_config("cycle_gan"), 2e-4, 0.5, 0.999)
  config = _with_networks(config, weights._replace(networks=files.sections(weights)))
  config.batch_size = 1
  return config


KINDS: dict[str, ImportKind] = {
  "stylegan2": ImportKind(
    stylegan2.read, _stylegan2, "a snapshot of StyleGAN2-ADA (.pkl)", stylegan2.OBJECTS
  ),
  "r3gan": ImportKind(r3gan.read, _r3gan, "a snapshot of R3GAN (.pkl)", r3gan.OBJECTS),
  "biggan-pytorch": ImportKind(files.read_biggan, _biggan, "G_ema, G, D of BigGAN-PyTorch (.pth)"),
  "studiogan": ImportKind(
    files.read_studiogan, _studiogan, "G, G_ema and D of StudioGAN's big_resnet (.pth)"
  ),
  "mimicry": ImportKind(files.read_mimicry, _mimicry, "netG and netD of mimicry (.pth)"),
  "pytorch-cyclegan": ImportKind(files.read_cyclegan, _cyclegan, "*_net_G_A.pth and the like"),
}
