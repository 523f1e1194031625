"""Eight CPU devices, and no silent rank promotion."""

import fcntl
import gc
import os
import pathlib
import shutil

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import commands
import contexts
import jax
import numpy as np
import pytest

from gan_jax import plots
from gan_jax.run.cli.compilation_cache import keep_programs
from gan_jax.run.config.register import TABLES
from gan_jax.run.config.roles import COURSE
from gan_jax.run.config.stored import config_values
from gan_jax.run.training.log.logger import Logger

ROOT = pathlib.Path(__file__).parent.parent

# XLA's newer code generator takes two and a half times as long as the one before it, which is as
# exact; test_wheel.py runs with it. Small programs are not worth being split among threads. At
# LLVM's first level a first state, whose bits are the same, is compiled in a fifth of the time.
QUICKER = (
  "--xla_cpu_use_fusion_emitters=false",
  "--xla_cpu_parallel_codegen_split_count=1",
  "--xla_backend_optimization_level=1",
)
if jax.__version_info__[:2] == (0, 10):  # others may have dropped one, and then end at once
  given = os.environ.get("XLA_FLAGS", "").split()
  os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys((*given, *QUICKER)))
contexts.keep()

# Most of the time of most tests is the compiler's, and there is little to gain from its pains.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # for the processes that tests start
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


FIRST = ("test_notebook.py", "test_processes.py", "test_resume.py")  # a minute or more each


# Beginnings of the names of tests that take half a second of a core or more, which `launch/test
# --quick` leaves out; `--durations=20` tells those of a new one.
SLOW = tuple((ROOT / "tests" / "slow.txt").read_text().splitlines())

# Likewise those that `launch/test --all` alone runs: they are dear, and what they run is run by
# others, which are quicker, in other settings: each of the 18,000 lines that tests run in their own
# processes. Lines that only the processes run that tests start were not counted.
EXHAUSTIVE = tuple((ROOT / "tests" / "exhaustive.txt").read_text().splitlines())


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for by their marks go
def pytest_collection_modifyitems(items):
  """Begins with what takes long: at the end it would be left to one worker, and one core idle."""
  items.sort(key=lambda item: item.path.name not in FIRST)
  for item in items:
    if item.nodeid.startswith(SLOW):
      item.add_marker("slow")
    if item.nodeid.startswith(EXHAUSTIVE):
      item.add_marker("exhaustive")


def pytest_collection_finish():
  """Collects garbage less often, and never among what has been imported: a tenth of the time."""
  gc.freeze()
  gc.set_threshold(10_000)


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> pathlib.Path:
  """One cache of programs and classifiers, for all workers and the processes that they start."""
  base = tmp_path_factory.getbasetemp()
  folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
  folder.mkdir(exist_ok=True)
  return folder


@pytest.fixture(scope="session")
def once(cache):
  """Makes a folder by a function of its path: once, whichever worker asks first."""

  def made(name, make):
    folder, unfinished = cache.parent / name, cache.parent / f"{name}.unfinished"
    with (cache.parent / f"{name}.lock").open("w") as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      if not folder.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        make(unfinished)
        unfinished.rename(folder)
    return folder

  return made


@pytest.fixture(scope="session", autouse=True)
def compiled_once(cache):
  """Keeps every compiled program, as many tests make the same ones."""
  keep_programs(cache / "xla", seconds=0)


@pytest.fixture(scope="module", autouse=True)
def forgotten():
  """Lets go of what a module has compiled, which would fill the memory of a worker."""
  yield
  jax.clear_caches()
  contexts.forget()
  DISPATCHES.clear()


@pytest.fixture
def unregistered():
  """Leaves nothing registered behind that a test registers, or a file that it runs."""
  before = {kind: dict(table) for kind, table in TABLES.items()}
  yield
  for kind, table in TABLES.items():
    table.clear()
    table.update(before[kind])


DISPATCHES: dict[str, object] = {}


@pytest.fixture
def one_program(monkeypatch):
  """Compiles rounds once for all runs of a module that play the same: by config, but its course."""
  from gan_jax.run.training import train

  play, make, running = train._play, train.make_dispatch, []

  def noted(experiment, *arguments):
    running[:] = [experiment]
    return play(experiment, *arguments)

  def shared(game, batches, mesh, first=0, _compiling=None):
    (experiment,) = running
    if experiment.own_game or not batches.resident:  # streams begin at the first round
      return make(game, batches, mesh, first)
    config = config_values(experiment.config)
    key = str([mesh, *((name, config[name]) for name in sorted({*config} - {*COURSE}))])
    if key not in DISPATCHES:
      DISPATCHES[key] = make(game, batches, mesh)
    return DISPATCHES[key]

  monkeypatch.setattr(train, "_play", noted)
  monkeypatch.setattr(train, "make_dispatch", shared)


@pytest.fixture(scope="module")
def compiled_well():
  """For modules whose time goes to what is compiled."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def no_pictures():
  """For modules that play runs: pictures take longer to draw than a short run to play."""
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(plots, "history", lambda *_: None)
    patched.setattr(Logger, "_picture", lambda *_: np.zeros((2, 2, 3), np.uint8))
    yield


@pytest.fixture(scope="session")
def gan_jax(cache):
  """Runs a command; returns what it printed. It may fail as expected.

  The compiler is in a hurry there, and no curves are drawn, but where a test asks for them;
  test_wheel.py has what a user gets.
  """

  def run(*arguments, code=0, cwd=ROOT, curves=False, devices=1):
    environment = {"GAN_JAX_CACHE": str(cache), "JAX_NUM_CPU_DEVICES": str(devices)}
    environment |= {"CURVES": "1"} if curves else {}
    ended, told = commands.run([*map(str, arguments)], environment, cwd)
    assert ended == code, told
    return told

  return run


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
  """The folder with full real data sets, for tests that need more than what is bundled."""
  folder = os.environ.get("GAN_JAX_TEST_DATA")
  if not folder or not pathlib.Path(folder).is_dir():
    pytest.skip("GAN_JAX_TEST_DATA names no folder with full data sets (mnist/, fashion_mnist/)")
  return pathlib.Path(folder)
