"""The metrics against the packages that people quote, on the same arrays.

They run where those of tests/agreement/requirements.txt are installed, which says how.
"""

import importlib.util

import numpy as np
import pytest

from experiments.bench.metrics import (
  METRICS,
  Options,
  difference,
  quiet,
  without_torchvision,
)
from experiments.ring_flow import optimal_transport
from gan_jax.metrics import nearest_neighbours, polynomial_mmd, prdc

MODULES = {
  "POT": "ot",
  "clean-fid": "cleanfid",
  "prdc": "prdc",
  "pytorch-fid": "pytorch_fid",
  "pytorch-msssim": "pytorch_msssim",
  "scikit-learn": "sklearn",
  "torch-fidelity": "torch_fidelity",
  "torchmetrics": "torchmetrics",
}
# What rivals compute in float32 whatever they are given: means, windows.
COARSE = {("prdc", "torch-fidelity"): 1e-6, ("ms_ssim", "pytorch-msssim"): 1e-5}
OPTIONS = Options(subsets=2, subset_size=300)
PAIRS = [(metric, package) for metric, entry in METRICS.items() for package in entry.rivals]

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are not ours to mend


def need(package: str) -> None:
  """Skips without a package; importing all of it may take a torchvision that scores do not."""
  if importlib.util.find_spec(MODULES[package]) is None:
    pytest.skip(f"pip install {package}")


def values(metric: str, package: str, arrays: tuple[np.ndarray, ...]) -> tuple[object, object]:
  """Computes ours and theirs."""
  need(package)
  entry = METRICS[metric]
  return tuple(quiet(make(OPTIONS, *arrays))() for make in (entry.ours, entry.rivals[package]))


@pytest.mark.parametrize(("metric", "package"), PAIRS)
def test_float64_agrees_to_a_millionth(metric: str, package: str):
  """300 examples, so that subsets of 300 are everything: 1e-6 is asked, 1e-9 is found."""
  ours, theirs = values(metric, package, METRICS[metric].inputs(300, 64, 50, "float64"))
  assert difference(ours, theirs) < COARSE.get((metric, package), 1e-9)


@pytest.mark.parametrize("package", ["pytorch-fid", "clean-fid", "torch-fidelity"])
def test_frechet_distance_of_other_shapes(package: str):
  """Wide features of few more examples than features, and sets that lie far apart."""
  rng = np.random.default_rng(1)
  x, y = rng.normal(size=(260, 200)), 2 * rng.normal(size=(300, 200)) + 1
  ours, theirs = values("frechet", package, (x, y))
  assert ours == pytest.approx(theirs, rel=1e-6)


def test_optimal_transport_of_points():
  """Both are exact, by other algorithms: what is left is rounding."""
  need("POT")
  import ot

  random = np.random.default_rng(0)
  x, y = random.normal(size=(300, 2)), 0.5 + random.normal(size=(300, 2)) ** 3
  equal = np.full(300, 1 / 300)
  theirs = np.sqrt(ot.emd2(equal, equal, ot.dist(x, y)))
  assert optimal_transport(x, y) == pytest.approx(theirs, rel=1e-9)


def test_kernel_distance_of_the_same_subsets():
  """torch-fidelity draws the subsets; ours are computed from the same draws."""
  need("torch-fidelity")
  package = without_torchvision("torch_fidelity.metric_kid")
  torch = pytest.importorskip("torch", reason="pip install torch")
  real, fake = METRICS["kernel"].inputs(400, 64, 0, "float64")
  theirs = package.kid_features_to_metric(
    torch.from_numpy(real),
    torch.from_numpy(fake),
    kid_subsets=20,
    kid_subset_size=100,
    rng_seed=5,
    verbose=False,
  )
  rng = np.random.RandomState(5)
  draw = lambda x: x[rng.choice(len(x), 100, replace=False)]
  each = [polynomial_mmd(draw(real), draw(fake)) for _ in range(20)]
  assert np.mean(each) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
  assert np.std(each) == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6)


def normal(seed: int, n: int, d: int) -> np.ndarray:
  return np.random.default_rng(seed).normal(size=(n, d))


def lattice(seed: int, n: int, top: int) -> np.ndarray:
  return np.random.default_rng(seed).integers(0, top, size=(n, 5)).astype(float)


SETS = {
  "normal": (normal(0, 1100, 20), 1.1 * normal(1, 1030, 20)),
  "wide": (normal(0, 90, 700), normal(1, 130, 700)),
  "lattice": (lattice(0, 600, 3), lattice(1, 500, 4)),
  "lattice with itself": (lattice(0, 600, 3), lattice(0, 600, 3)),
  "copies": (normal(0, 600, 20), np.concatenate([normal(0, 300, 20), normal(1, 200, 20)])),
  "repeated": (np.repeat(normal(0, 60, 20), 10, axis=0), normal(0, 300, 20)),
  "collapsed": (normal(0, 300, 20), np.zeros((200, 20))),
  "itself": (normal(0, 300, 20), normal(0, 300, 20)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("name", SETS)
def test_prdc_agrees_exactly(name: str, k: int, dtype: str):
  """Also where distances tie: on a lattice, with copies, with examples that coincide."""
  package = pytest.importorskip("prdc", reason="pip install prdc scikit-learn")
  real, fake = (x.astype(dtype) for x in SETS[name])
  theirs = quiet(lambda: package.compute_prdc(real, fake, k))()
  assert prdc(real, fake, k=k)._asdict() == theirs


def test_the_other_order_of_arguments_is_seen():
  """torch-fidelity takes (generated, real): what it gives for (real, generated) is swapped."""
  real, fake = normal(0, 300, 20), 0.8 * normal(1, 300, 20)
  found = prdc(real, fake)
  _, (precision, recall) = values("prdc", "torch-fidelity", (fake, real))
  assert found.precision != found.recall
  assert (recall, precision) == pytest.approx(found[:2], rel=1e-6)


def test_neighbours_are_the_same_ones():
  neighbors = pytest.importorskip("sklearn.neighbors", reason="pip install scikit-learn")
  train, fake = normal(0, 1500, 30), normal(1, 1100, 30)
  search = neighbors.NearestNeighbors(n_neighbors=7, algorithm="brute").fit(train)
  distances, indices = search.kneighbors(fake)
  found = nearest_neighbours(train, fake, k=7)
  np.testing.assert_array_equal(found.indices, indices)
  np.testing.assert_allclose(found.distances, distances, rtol=1e-9)
