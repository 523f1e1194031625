"""Leaks of augmentation: what a random transform does to distributions, and its spectrum.

Karras et al. 2020, arXiv:2006.06676, section 2.2 and appendix C; Bora et al. 2018 (AmbientGAN).
Examples are augmented by an element g of a cyclic group, such as flips or turns by 90 degrees, with
probability q(g). A distribution over the group, or over the images of one example, becomes its
convolution with q. Fakes that are distributed as the data after augmentation are so before it if
this operator is invertible: if no entry of the Fourier transform of q is 0.
"""

import numpy as np


def gated(shares: np.ndarray, p: float) -> np.ndarray:
  """Computes the shares of elements drawn behind a gate that is open with probability p.

  Args:
    shares: [n], of the elements 0 (the identity), 1, ..., n - 1 where the gate is open.
    p: probability in [0, 1].

  Returns:
    [n].
  """
  return p * np.asarray(shares) + (1 - p) * np.eye(len(shares))[0]


def operator(shares: np.ndarray) -> np.ndarray:
  """Computes the matrix [n, n] of the convolution of distributions with shares [n]."""
  n = len(shares)
  return np.asarray(shares)[(np.arange(n)[:, None] - np.arange(n)) % n]


def spectrum(shares: np.ndarray) -> np.ndarray:
  """Computes the eigenvalues of the operator, complex [n]: the Fourier transform of the shares."""
  return np.fft.fft(shares)
