"""ContraGAN on Fashion-MNIST: classes as proxies on a sphere, drawn to their examples.

Paper:    Kang & Park 2020 (arXiv:2006.12681): the loss 2C, of temperature 1 and weight 1 as
          StudioGAN has, in the place of that of ReACGAN; all else is of `reacgan_fashion.py`.
Command:  launch/run train --config=experiments/contragan_fashion.py --workdir=runs/contragan
          The data come from TFDS, prepared once: see docs/data.md. With the four files at
          hand instead: --config.data=idx:DIR
Hardware: one core of an AMD EPYC, jax 0.10.2, beside other work
Time:     499 s for 10,000 rounds, with five scores; seeds 1 and 2 took 550 s each, one a core
Score:    three seeds (0, 1, 2): Fréchet distance 2.84 ± 0.24 (3.20, 2.38, 2.94) of the last
          checkpoint, as in `reacgan_fashion.py` (which has 1.91 ± 0.16); 39%, 46% and 21% of
          samples are seen as the class asked for (ReACGAN's: 99%).
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, task


def get_config() -> ConfigDict:
  config = from_file("reacgan_fashion.py", beside=__file__)
  config.task = task("contra_gan", dim=128)
  return config
