"""Networks, one architecture a file; `layers` and `linear` hold the layers that they share.

A generator is called as net(z, y, train=...) and returns examples, float32 [B, *shape]; a
discriminator as net(x, y, train=...) and returns logits, float32 [B]. A generator of several levels
has a method levels(z, y, train=...) too, to images [levels, B, *shape]. Labels y, int32 [B], matter
where `num_classes` is given. An encoder returns codes of examples, float32 [B, features]. A
translator returns images of images; the discriminators beside it return maps of logits; a joint
discriminator is given examples and codes, networks of flows examples and times, of which a critic
returns {"output": [B, *shape], "features": [B, F]}; an autoencoder returns {"logits": [B],
"embedding": [B, d]}. State beside the parameters is in the collection "batch_stats"; random numbers
are of streams such as "dropout" and "noise", by `layers.stream_keys`.
"""

import flax.linen as nn

from gan_jax.nets.autoencoder import (
  AutoencoderDiscriminator,
  AutoencoderGenerator,
  MapDecoder,
  MapEncoder,
  MLPAutoencoderDiscriminator,
)
from gan_jax.nets.biggan.biggan import (
  AuxiliaryBigGANDiscriminator,
  BigGANDiscriminator,
  BigGANGenerator,
)
from gan_jax.nets.biggan.deep import BigGANDeepDiscriminator, BigGANDeepGenerator
from gan_jax.nets.dcgan import (
  AuxiliaryDCGANDiscriminator,
  DCGANDiscriminator,
  DCGANEncoder,
  DCGANGenerator,
  JointDCGANDiscriminator,
)
from gan_jax.nets.flow import FlowMLPCritic, FlowMLPDiscriminator, FlowMLPGenerator
from gan_jax.nets.heads import EmbeddingHead, LocalGlobalHead, RotationHead
from gan_jax.nets.lenet import LeNetExtractor
from gan_jax.nets.maxout import (
  GoodfellowDiscriminator,
  GoodfellowGenerator,
  PacGANDiscriminator,
  PacGANGenerator,
)
from gan_jax.nets.mlp import (
  AuxiliaryMLPDiscriminator,
  JointMLPDiscriminator,
  MLPDiscriminator,
  MLPEncoder,
  MLPGenerator,
  MultiLevelMLPGenerator,
)
from gan_jax.nets.projected import ProjectedDiscriminator
from gan_jax.nets.r3gan import R3GANDiscriminator, R3GANGenerator
from gan_jax.nets.sngan import (
  AuxiliarySNGANDiscriminator,
  SNGANDiscriminator,
  SNGANGenerator,
)
from gan_jax.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from gan_jax.nets.translation import (
  PatchDiscriminator,
  PixelDiscriminator,
  ResnetTranslator,
  UnetTranslator,
)

NETWORKS: dict[str, type[nn.Module]] = {
  "mlp_generator": MLPGenerator,
  "mlp_discriminator": MLPDiscriminator,
  "multi_level_mlp_generator": MultiLevelMLPGenerator,
  "goodfellow_generator": GoodfellowGenerator,
  "goodfellow_discriminator": GoodfellowDiscriminator,
  "pacgan_generator": PacGANGenerator,
  "pacgan_discriminator": PacGANDiscriminator,
  "dcgan_generator": DCGANGenerator,
  "dcgan_discriminator": DCGANDiscriminator,
  "sngan_generator": SNGANGenerator,
  "sngan_discriminator": SNGANDiscriminator,
  "biggan_generator": BigGANGenerator,
  "biggan_discriminator": BigGANDiscriminator,
  "biggan_deep_generator": BigGANDeepGenerator,
  "biggan_deep_discriminator": BigGANDeepDiscriminator,
  "r3gan_generator": R3GANGenerator,
  "r3gan_discriminator": R3GANDiscriminator,
  "stylegan2_generator": StyleGAN2Generator,
  "stylegan2_discriminator": StyleGAN2Discriminator,
  "mlp_autoencoder_discriminator": MLPAutoencoderDiscriminator,
  "autoencoder_generator": AutoencoderGenerator,
  "autoencoder_discriminator": AutoencoderDiscriminator,
}
WITHOUT_LABELS: dict[str, type[nn.Module]] = {
  "resnet_translator": ResnetTranslator,
  "unet_translator": UnetTranslator,
  "lenet_extractor": LeNetExtractor,
  "patch_discriminator": PatchDiscriminator,
  "pixel_discriminator": PixelDiscriminator,
  "projected_discriminator": ProjectedDiscriminator,
  "map_encoder": MapEncoder,
  "map_decoder": MapDecoder,
  "joint_mlp_discriminator": JointMLPDiscriminator,
  "joint_dcgan_discriminator": JointDCGANDiscriminator,
  "flow_mlp_generator": FlowMLPGenerator,
  "flow_mlp_discriminator": FlowMLPDiscriminator,
  "flow_mlp_critic": FlowMLPCritic,
}
OF_CODES: dict[str, type[nn.Module]] = {  # with codes, classes or features for outputs
  "auxiliary_mlp_discriminator": AuxiliaryMLPDiscriminator,
  "auxiliary_dcgan_discriminator": AuxiliaryDCGANDiscriminator,
  "auxiliary_sngan_discriminator": AuxiliarySNGANDiscriminator,
  "auxiliary_biggan_discriminator": AuxiliaryBigGANDiscriminator,
  "mlp_encoder": MLPEncoder,
  "dcgan_encoder": DCGANEncoder,
}
NETWORKS |= WITHOUT_LABELS | OF_CODES


def roles() -> list[str]:
  """Lists what networks are in a game, by the ends of their names, such as "generator"."""
  return sorted({name.rpartition("_")[2] for name in NETWORKS})
