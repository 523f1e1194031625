"""BigGAN and BigGAN-deep, Brock et al. 2019 (arXiv:1809.11096), as in the published code."""
