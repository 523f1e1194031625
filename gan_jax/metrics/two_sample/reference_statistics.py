"""Statistics of features that others have published, in the place of the images they are of.

For the Fréchet distance alone. An .npz file holds a mean `mu` [d] and a covariance `sigma` [d, d]
(pytorch-fid, clean-fid, BigGAN, EDM), `mu_s` and `sigma_s` beside them of features that keep places
(the evaluation of guided-diffusion), or features themselves, `feats` [n, d] (clean-fid's files for
the kernel distance). None of those says which network looked at the images, or how these were
resized: whoever scores with them must know. Those that are written here do, in `gan_jax_protocol`.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_jax.files import npz_names, read_npz, save_arrays
from gan_jax.metrics.features.cache import content_hash
from gan_jax.metrics.two_sample.frechet import Gaussian, Moments, moments

PAIRS = {  # what the features are: the names that a mean and a covariance go by
  "features": (("mu", "sigma"), ("mean", "cov")),
  "spatial": (("mu_s", "sigma_s"),),
}
FEATURES = "feats"
PROTOCOL = "gan_jax_protocol"  # text of JSON; ours alone, so that nothing else goes by it
COUNTS = ("n", "N", "count", "num_images", "num_samples", "num_items")
MOST_IMAGES = 10_000  # that are written beside statistics, as in published references
LIMIT = 1 << 30  # bytes; a covariance of 2048 features has 32 MiB
TELLING = {"mu", "sigma", "mu_s", "sigma_s", FEATURES}  # names that no file of images has


class Statistics(NamedTuple):
  """Statistics of a file.

  Attributes:
    features: mean and covariance of features; None if there are none.
    spatial: the same of features that keep places.
    names: of the arrays they were read from.
    sha256: checksum of these.
    others: names of what else is in the file, such as some of the images.
    protocol: description of the features and the images, as `write_statistics` was given; None of a
      file that has none.
  """

  features: Gaussian | None
  spatial: Gaussian | None
  names: tuple[str, ...]
  sha256: str
  others: tuple[str, ...]
  protocol: dict[str, Any] | None = None


def read_statistics(path: str | os.PathLike[str]) -> Statistics | None:
  """Reads the statistics of a file, and nothing else that is in it.

  Args:
    path: of an .npz file.

  Returns:
    The statistics; None if the file holds none, but images for example.

  Raises:
    ValueError: something is missing, or cannot be a mean and a covariance; names file and array.
  """
  path = pathlib.Path(path)
  there = npz_names(path) if path.is_file() else set()
  pairs = {kind: _pair(kind, there) for kind in PAIRS}
  wanted = {name for pair in pairs.values() for name in pair} | {FEATURES, PROTOCOL, *COUNTS}
  if not (there & TELLING or set(pairs["features"]) <= there):
    return None
  with path.open("rb") as file:
    arrays = read_npz(str(path), file, LIMIT, only=wanted)
  n = _count(path, arrays)
  gaussians = {kind: _gaussian(path, arrays, pair, n) for kind, pair in pairs.items()}
  if gaussians["features"] is None and FEATURES in arrays:
    gaussians["features"] = _of_features(path, arrays[FEATURES])
  used = {name: x for name, x in arrays.items() if name not in (PROTOCOL, *COUNTS)}
  return Statistics(
    **gaussians,
    names=tuple(sorted(used)),
    sha256=content_hash(used),
    others=tuple(sorted(there - wanted)),
    protocol=_protocol(arrays),
  )


def write_statistics(
  path: str | os.PathLike[str],
  features: Gaussian | Moments,
  spatial: Gaussian | Moments | None = None,
  images: np.ndarray | None = None,
  protocol: Mapping[str, Any] | None = None,
) -> None:
  """Writes statistics that `read_statistics` reads, and so do other packages.

  `mu` and `sigma` in float64 are what pytorch-fid and clean-fid read; with features that keep
  places, `mu_s`, `sigma_s` and `arr_0` are what the evaluation of guided-diffusion reads too. All
  of these divide by n - 1. The count `n` is read here, and left alone by these packages.

  Args:
    path: of the .npz file.
    features: mean and covariance of features.
    spatial: the same of features that keep places.
    images: uint8 [N, H, W, C], of which the first `MOST_IMAGES` are kept beside `spatial`.
    protocol: description of the features and the images, as JSON has it; None for none.
  """
  pairs = {"features": features} | ({} if spatial is None else {"spatial": spatial})
  arrays: dict[str, np.ndarray] = {}
  for kind, gaussian in pairs.items():
    mean, covariance = PAIRS[kind][0]
    arrays[mean], arrays[covariance] = gaussian.mean, gaussian.covariance
  if features.n is not None:
    arrays["n"] = np.array(features.n)
  if spatial is not None and images is not None:
    arrays["arr_0"] = images[:MOST_IMAGES]
  if protocol is not None:
    arrays[PROTOCOL] = np.array(json.dumps(protocol))
  save_arrays(path, arrays)


def _pair(kind: str, there: set[str]) -> tuple[str, str]:
  """Returns the names of a mean and a covariance, the usual ones if the file has neither."""
  complete = [pair for pair in PAIRS[kind] if set(pair) <= there]
  return complete[0] if complete else PAIRS[kind][0]


def _gaussian(
  path: pathlib.Path, arrays: Mapping[str, np.ndarray], pair: tuple[str, str], n: int | None
) -> Gaussian | None:
  """Checks a mean and a covariance."""
  lacks = [name for name in pair if name not in arrays]
  if len(lacks) == 2:
    return None
  if lacks:
    raise ValueError(
      f"{path}: {lacks[0]} is missing; of statistics it has {sorted(arrays)}: expected a mean"
      f" {pair[0]} [d] and a covariance {pair[1]} [d, d]"
    )
  for name in pair:
    _check_numbers(path, name, arrays[name])
  mean, covariance = (arrays[name].astype(np.float64) for name in pair)
  if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or not len(mean):
    raise ValueError(
      f"{path}: {pair[0]} has shape {list(mean.shape)} and {pair[1]} {list(covariance.shape)}:"
      " expected [d] and [d, d]"
    )
  # Covariances are often computed, or kept, in float32.
  rounding = len(mean) * np.finfo(np.float32).eps * np.abs(covariance).max()
  if np.abs(covariance - covariance.T).max() > rounding:
    raise ValueError(f"{path}: {pair[1]} is not symmetric, as a covariance is")
  covariance = (covariance + covariance.T) / 2
  if (least := np.linalg.eigvalsh(covariance)[0]) < -rounding:
    raise ValueError(
      f"{path}: {pair[1]} has the eigenvalue {least:.3g}: expected none below 0, as of a covariance"
    )
  return Gaussian(n, mean, covariance)


def _of_features(path: pathlib.Path, features: np.ndarray) -> Gaussian:
  _check_numbers(path, FEATURES, features)
  if features.ndim != 2 or len(features) < 2 or not features.shape[1]:
    raise ValueError(
      f"{path}: {FEATURES} has shape {list(features.shape)}: expected [n, d] with n >= 2"
    )
  total = moments(features)
  return Gaussian(total.n, total.mean, total.covariance)


def _check_numbers(path: pathlib.Path, name: str, values: np.ndarray) -> None:
  if not np.issubdtype(values.dtype, np.floating):
    raise ValueError(f"{path}: {name} is of type {values.dtype}: expected floats")
  for what, bad in (("NaN", np.isnan(values)), ("infinity", np.isinf(values))):
    if bad.any():
      raise ValueError(f"{path}: {what} in {name}, {bad.sum()} of {values.size} entries")


def _count(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> int | None:
  """Reads how many images there were, where a file says so."""
  for name in COUNTS:
    if name in arrays:
      value = arrays[name]
      if value.size != 1 or value.dtype.kind not in "iuf" or not value.item() >= 2:
        raise ValueError(f"{path}: {name} is {value}: expected a number of images, 2 or more")
      return int(value.item())
  return None


def _protocol(arrays: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
  """Reads how the statistics were made; None where the file does not say it, or is spoiled."""
  with contextlib.suppress(ValueError, KeyError, RecursionError):
    protocol = json.loads(str(arrays[PROTOCOL]))
    return protocol if isinstance(protocol, dict) else None
  return None
