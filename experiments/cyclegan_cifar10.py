"""CycleGAN between CIFAR-10's horses and deer, without pairs and without labels.

Paper:    Zhu, Park, Isola, Efros 2017 (arXiv:1703.10593): networks, losses and the pool are theirs,
          narrow and shallow, at 32 pixels.
Data:     5,000 horses (a) and 5,000 deer (b), of the binary or the Python version of CIFAR-10 from
          its authors, unpacked in the current folder or in --config.data_options.data_dir
Command:  launch/run train --config=experiments/cyclegan_cifar10.py --workdir=runs/cyclegan_cifar10
          launch/run sample runs/cyclegan_cifar10 --sampler=a_to_b --num=12 --out=a_to_b.png
Hardware: 2 cores of an Intel Xeon, beside other work
Time:     15 minutes, of which 1 to compile
Score:    one seed, last. Fréchet distance of pixels to 1,000 test images of the other class,
          untranslated, translated, and of as many real ones: to deer 37.4 -> 29.6 (10.7), to horses
          37.4 -> 28.1 (14.4). Colours and backgrounds become those of the other class, and what is
          translated there and back is what it was; animals keep their shape, and no horse has
          turned into a deer.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer

DATA = "class:{name}:cifar10:cifar-10-batches-bin"


def get_config() -> ConfigDict:
  config = default_config("cycle_gan")
  config.data = f"{DATA.format(name='horse')}|{DATA.format(name='deer')}"
  config.data_options.flip = True
  config.translator = network("resnet_translator", width=16, blocks=3)
  config.discriminator = network("patch_discriminator", width=32, layers=2)
  for player in ("translators", "discriminators"):
    config.optimizers[player] = optimizer("adam", learning_rate=2e-4, b1=0.5)
  config.average.name, config.average.decay = "decay", 0.998
  config.batch_size = 8
  config.rounds = 1500
  config.log_every = 100
  config.sample_every = 500
  config.checkpoint_every = 500
  config.num_fake = 1000
  config.num_samples = 32
  config.evaluation.features = "pixels"
  return config
