"""Times the metrics against the packages that people quote, and says how far the values differ.

  python -m experiments.bench.metrics [--n 10000] [--width 2048] [--rounds 1] [--metrics prdc ...]

From features, logits or images to the score. The rivals run in turn within one process; each one's
fastest round counts. Ratios are of their time to ours in the same run: above 1 ours is faster. On a
core that other processes share, --clock=cpu leaves these out.
Differences are relative, of the same arrays: where subsets are drawn at random, of the first
examples, as many as a subset holds. A package that is missing is named and left out.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.bench.convolutions import Run, machine
from gan_jax import metrics

TORCHVISION = (
  "",
  ".datasets",
  ".models",
  ".models.inception",
  ".transforms",
  ".transforms.functional",
)

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Rival = Callable[..., Run]  # (real, fake) or (logits) -> what computes the score, to be timed


class Options(NamedTuple):
  """Settings that ours and the rivals share."""

  subsets: int = 100  # of the kernel distance
  subset_size: int = 1000
  splits: int = 10  # of the Inception score
  k: int = 5  # neighbours
  directions: int = 512


class Metric(NamedTuple):
  """A score, and who else computes it.

  Attributes:
    inputs: (n, width, classes, dtype) -> arrays.
    ours: (options, *arrays) -> Run.
    rivals: {package: likewise}; a rival may give fewer numbers than ours, the first ones.
    sampled: whether random subsets are drawn, so that only subsets of everything are alike.
  """

  inputs: Callable[[int, int, int, str], tuple[np.ndarray, ...]]
  ours: Rival
  rivals: Mapping[str, Rival]
  sampled: bool = False


def features(n: int, width: int, classes: int, dtype: str) -> tuple[np.ndarray, ...]:
  """Draws correlated features >= 0, such as networks give, of two like distributions."""
  rng = np.random.default_rng(0)
  mix = rng.normal(size=(width, width)) / np.sqrt(np.arange(1, width + 1)[:, None] * width)
  draw = lambda scale: np.maximum(scale * rng.normal(size=(n, width)) @ mix * 3 + 0.3, 0)
  return tuple(draw(scale).astype(dtype) for scale in (1.0, 1.05))


def logits(n: int, width: int, classes: int, dtype: str) -> tuple[np.ndarray, ...]:
  """Draws the logits of a classifier that is rather sure."""
  return ((4 * np.random.default_rng(0).normal(size=(n, classes))).astype(dtype),)


def pairs(n: int, width: int, classes: int, dtype: str) -> tuple[np.ndarray, ...]:
  """Draws images of 256 pixels and noisier ones, one pair for 50 features."""
  rng = np.random.default_rng(0)
  smooth = rng.integers(256, size=(max(1, n // 50), 32, 32, 3)).repeat(8, axis=1).repeat(8, axis=2)
  noisy = smooth + rng.normal(scale=20, size=smooth.shape)
  return smooth.astype(np.uint8), np.clip(noisy, 0, 255).astype(np.uint8)


def module(name: str) -> Any:
  """Imports a part of a package, whatever it warns of."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    return importlib.import_module(name)


def without_torchvision(name: str) -> Any:
  """Imports a part of a package that asks for torchvision, for networks that no score needs."""
  module("torch")
  if importlib.util.find_spec("torchvision") is not None:
    # It registers operators that a torch for CPU alone does not have, and no score needs.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("none"))
    return module(name)
  parts = [f"torchvision{part}" for part in TORCHVISION]
  sys.modules.update({part: _StandIn(part) for part in parts})
  try:
    return module(name)
  finally:
    for part in parts:
      del sys.modules[part]


class _StandIn(types.ModuleType):
  """A module that has any class one asks for, none of which does anything."""

  __path__ = ()

  def __getattr__(self, name: str) -> Any:
    if name.startswith("__"):
      raise AttributeError(name)
    return sys.modules.get(f"{self.__name__}.{name}") or type(name, (), {})


def quiet(run: Run) -> Run:
  """Returns a run whose warnings and prints are dropped."""

  def quietly() -> object:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
      warnings.simplefilter("ignore")
      return run()

  return quietly


def frechet_ours(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  return lambda: metrics.frechet_distance(metrics.moments(real), metrics.moments(fake))


def frechet_pytorch_fid(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  score = without_torchvision("pytorch_fid.fid_score").calculate_frechet_distance
  return lambda: score(*_statistics(real), *_statistics(fake))


def frechet_clean_fid(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  score = without_torchvision("cleanfid.fid").frechet_distance
  return lambda: score(*_statistics(real), *_statistics(fake))


def frechet_torch_fidelity(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  package, torch = without_torchvision("torch_fidelity.metric_fid"), module("torch")
  statistics = lambda x: package.fid_features_to_statistics(torch.from_numpy(x))
  score = lambda: package.fid_statistics_to_metric(statistics(real), statistics(fake), False)
  return lambda: score()["frechet_inception_distance"]


def kernel_ours(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  sizes = {"subsets": options.subsets, "subset_size": options.subset_size}
  return lambda: metrics.kernel_distance(real, fake, **sizes, seed=0).mean


def kernel_clean_fid(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  score = without_torchvision("cleanfid.fid").kernel_distance
  return lambda: score(real, fake, options.subsets, options.subset_size)


def kernel_torch_fidelity(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  package, torch = without_torchvision("torch_fidelity.metric_kid"), module("torch")
  pair = torch.from_numpy(real), torch.from_numpy(fake)
  sizes = {"kid_subsets": options.subsets, "kid_subset_size": options.subset_size}
  score = lambda: package.kid_features_to_metric(*pair, **sizes, verbose=False)
  return lambda: score()["kernel_inception_distance_mean"]


def kernel_torchmetrics(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  package, torch = module("torchmetrics.image.kid"), module("torch")
  sizes = {"subsets": options.subsets, "subset_size": options.subset_size}

  def score() -> float:
    metric = package.KernelInceptionDistance(feature=torch.nn.Identity(), **sizes)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(fake), real=False)
    return float(metric.compute()[0])

  return score


def inception_ours(options: Options, logits: np.ndarray) -> Run:
  """It shuffles, which is undone beforehand."""
  arranged = np.empty_like(logits)
  arranged[np.random.default_rng(0).permutation(len(logits))] = logits
  return lambda: metrics.inception_score(arranged, splits=options.splits, seed=0)[:2]


def inception_torch_fidelity(options: Options, logits: np.ndarray) -> Run:
  package, torch = without_torchvision("torch_fidelity.metric_isc"), module("torch")
  score = lambda: package.isc_features_to_metric(torch.from_numpy(logits), options.splits, False)
  return lambda: tuple(score().values())


def inception_torchmetrics(options: Options, logits: np.ndarray) -> Run:
  """It shuffles, which is undone beforehand; its std, with 1 / (splits - 1), is left out."""
  package, torch = module("torchmetrics.image.inception"), module("torch")
  torch.manual_seed(0)
  arranged = np.empty_like(logits)
  arranged[torch.randperm(len(logits)).numpy()] = logits

  def score() -> float:
    metric = package.InceptionScore(feature=torch.nn.Identity(), splits=options.splits)
    metric.update(torch.from_numpy(arranged))
    torch.manual_seed(0)
    return float(metric.compute()[0])

  return score


def prdc_ours(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  return lambda: metrics.prdc(real, fake, k=options.k)[:4]


def prdc_prdc(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  score = module("prdc").compute_prdc
  return lambda: tuple(score(real, fake, options.k).values())


def prdc_torch_fidelity(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  """Precision and recall alone; it takes (generated, real)."""
  package, torch = without_torchvision("torch_fidelity.metric_prc"), module("torch")
  pair = torch.from_numpy(fake), torch.from_numpy(real)
  settings = {"prc_neighborhood": options.k, "save_cpu_ram": True, "verbose": False}
  return lambda: tuple(package.prc_features_to_metric(*pair, **settings).values())[:2]


def mmd_ours(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  return lambda: metrics.rbf_mmd(real, fake)


def mmd_scikit_learn(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  kernel = module("sklearn.metrics.pairwise").rbf_kernel
  mean = lambda x, y: kernel(x, y, gamma=1 / 200).mean(dtype=np.float64)
  return lambda: 1000 * (mean(real, real) + mean(fake, fake) - 2 * mean(real, fake))


def neighbours_ours(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  return lambda: metrics.nearest_neighbours(real, fake, k=options.k).distances


def neighbours_scikit_learn(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  search = module("sklearn.neighbors").NearestNeighbors
  find = lambda: search(n_neighbors=options.k, algorithm="brute").fit(real).kneighbors(fake)
  return lambda: find()[0]


def sliced_ours(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  lines = metrics.random_directions(real.shape[1], options.directions, seed=0)
  return lambda: metrics.sliced_wasserstein_distance(real, fake, lines)


def sliced_pot(options: Options, real: np.ndarray, fake: np.ndarray) -> Run:
  """In the type of its arrays, so float64 here as ours has it."""
  lines = metrics.random_directions(real.shape[1], options.directions, seed=0)
  wide = lambda x: x.astype(np.float64)
  score = module("ot").sliced_wasserstein_distance
  return lambda: float(score(wide(real), wide(fake), projections=lines.T, p=2))


def ms_ssim_ours(options: Options, x: np.ndarray, y: np.ndarray) -> Run:
  return lambda: metrics.multiscale_ssim(x, y)


def ms_ssim_pytorch_msssim(options: Options, x: np.ndarray, y: np.ndarray) -> Run:
  """In float64, as ours; 20 pairs at a time, so that memory does not slow it down."""
  package, torch = module("pytorch_msssim"), module("torch")
  move = lambda images: torch.from_numpy(np.moveaxis(images, -1, 1).astype(np.float64))
  score = lambda a, b: package.ms_ssim(move(a), move(b), data_range=255, size_average=False).numpy()
  parts = [slice(first, first + 20) for first in range(0, len(x), 20)]
  return lambda: np.concatenate([score(x[part], y[part]) for part in parts])


def _statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  return np.mean(x, axis=0), np.cov(x, rowvar=False)


METRICS = {
  "frechet": Metric(
    features,
    frechet_ours,
    {
      "pytorch-fid": frechet_pytorch_fid,
      "clean-fid": frechet_clean_fid,
      "torch-fidelity": frechet_torch_fidelity,
    },
  ),
  "kernel": Metric(
    features,
    kernel_ours,
    {
      "clean-fid": kernel_clean_fid,
      "torch-fidelity": kernel_torch_fidelity,
      "torchmetrics": kernel_torchmetrics,
    },
    sampled=True,
  ),
  "inception_score": Metric(
    logits,
    inception_ours,
    {"torch-fidelity": inception_torch_fidelity, "torchmetrics": inception_torchmetrics},
  ),
  "prdc": Metric(features, prdc_ours, {"prdc": prdc_prdc, "torch-fidelity": prdc_torch_fidelity}),
  "mmd": Metric(features, mmd_ours, {"scikit-learn": mmd_scikit_learn}),
  "neighbours": Metric(features, neighbours_ours, {"scikit-learn": neighbours_scikit_learn}),
  "sliced_wasserstein": Metric(features, sliced_ours, {"POT": sliced_pot}),
  "ms_ssim": Metric(pairs, ms_ssim_ours, {"pytorch-msssim": ms_ssim_pytorch_msssim}),
}


def difference(ours: object, theirs: object) -> float:
  """Returns the largest relative difference of the numbers that both give."""
  b = np.atleast_1d(np.asarray(theirs, np.float64))
  a = np.atleast_1d(np.asarray(ours, np.float64))[: len(b)]
  return float((np.abs(a - b) / np.maximum(np.abs(b), np.finfo(np.float64).tiny)).max())


def installed(metric: Metric) -> Iterator[str]:
  """Yields the rivals that are there, and says which are not."""
  for package in metric.rivals:
    try:
      importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      print(f"  {package} is not installed: pip install {package}")
    else:
      yield package


def timed(runs: Mapping[str, Run], rounds: int, clock: str) -> dict[str, tuple[float, object]]:
  """Returns each run's fastest of `rounds` rounds in seconds and its value, the runs in turn."""
  now, found = CLOCKS[clock], {name: (float("inf"), None) for name in runs}
  for _ in range(rounds):
    for name, run in runs.items():
      start = now()
      value = run()
      found[name] = min(found[name][0], now() - start), value
  return found


def compare(metric: Metric, arrays: tuple[np.ndarray, ...], options: Options, flags: Any) -> None:
  """Prints a line for each rival."""
  makers = {"gan_jax": metric.ours, **{name: metric.rivals[name] for name in installed(metric)}}
  runs = {name: quiet(make(options, *arrays)) for name, make in makers.items()}
  found = timed(runs, flags.rounds, flags.clock)
  values = {name: value for name, (_, value) in found.items()}
  if metric.sampled:
    first = [array[: options.subset_size] for array in arrays]
    few = options._replace(subsets=2)
    values = {name: quiet(make(few, *first))() for name, make in makers.items()}
  ours = found.pop("gan_jax")[0]
  print(f"  gan_jax: {ours:.2f} s")
  for name, (seconds, _) in found.items():
    apart = difference(values["gan_jax"], values[name])
    version = importlib.metadata.version(name)
    print(f"  {name} {version}: {seconds:.2f} s ({seconds / ours:.2f}), differs by {apart:.1e}")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--n", type=int, default=10_000, help="examples of each set")
  parser.add_argument("--width", type=int, default=2048, help="of the features")
  parser.add_argument("--classes", type=int, default=1000)
  parser.add_argument("--subsets", type=int, default=100)
  parser.add_argument("--subset_size", type=int, default=1000)
  parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
  parser.add_argument("--rounds", type=int, default=1)
  parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
  parser.add_argument("--metrics", nargs="*", choices=list(METRICS), default=list(METRICS))
  flags = parser.parse_args()

  print(f"{machine()}; numpy {np.__version__}")
  print(
    f"{flags.n} x {flags.width} {flags.dtype}, {flags.classes} classes, fastest of {flags.rounds}"
  )
  options = Options(subsets=flags.subsets, subset_size=flags.subset_size)
  for name in flags.metrics:
    print(name, flush=True)
    arrays = METRICS[name].inputs(flags.n, flags.width, flags.classes, flags.dtype)
    compare(METRICS[name], arrays, options, flags)


if __name__ == "__main__":
  main()
