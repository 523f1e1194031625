"""What `gan_jax` can be told to do: its flags, and a function for each command.

Every command imports what it needs when it runs, so that `--help` and a mistyped flag answer at
once.
"""

import contextlib
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from gan_jax.run.cli.usage import UsageError
from gan_jax.run.config.flag import ConfigFileParser

FLAGS = flags.FLAGS

# The help of a flag says which commands take it, what it is for them, and an example, in one form:
# "evaluate, sample: text. E.g. --flag=value. score: ...". `gan_jax.run.cli.usage` reads it.

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "train, ablate: Python file that defines get_config(); after a colon its argument, if it takes "
  "one. Without it a run that exists goes on with its own config, and what is overridden. E.g. "
  "--config=experiments/ring.py --config.loss=hinge. "
  "evaluate, sample: --config.data=... and --config.data_options.data_dir=... say where data are "
  "now. E.g. --config.data_options.data_dir=/data. "
  "report: the file that registers networks, losses or data of a user's own, which evaluate and "
  "sample take as well. E.g. --config=mine.py",
)
FLAGS["config"].parser = ConfigFileParser()
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "train, ablate: folder to write to; what is there goes on. E.g. --workdir=runs/ring. "
  "evaluate, sample: folder of the run; `gan_jax sample RUN` says the same. "
  "E.g. --workdir=runs/ring",
)
_ALLOW = flags.DEFINE_bool(
  "allow_config_change",
  False,
  "train: go on where numbers will be others than those of the run as it was started; rounds and "
  "whatever ends in _every or begins with keep_ or num_ may change without it. "
  "E.g. --allow_config_change",
)
_GRACE = flags.DEFINE_float(
  "grace_seconds",
  25.0,
  "train: time in which to save and end after SIGTERM or Ctrl-C, less than whoever sends it waits. "
  "E.g. --grace_seconds=10",
  lower_bound=0,
)
_CHECKPOINT = flags.DEFINE_string(
  "checkpoint",
  None,
  "evaluate: last, best, or a round; by default last and best. E.g. --checkpoint=last. "
  "sample: last, best, or a round. E.g. --checkpoint=best",
)
_DRAWS = flags.DEFINE_integer(
  "draws",
  1,
  "evaluate: sets of samples that are scored, for a standard error. E.g. --draws=3",
  lower_bound=1,
)
_FEATURES = flags.DEFINE_string(
  "features",
  None,
  "evaluate, score: what looks at images: classifier, inception:FILE, vgg16, random_projection, "
  "pixels. E.g. --features=inception. "
  "sample: in what --neighbours are near, likewise. E.g. --features=pixels",
)
_METRICS = flags.DEFINE_list(
  "metrics",
  None,
  "evaluate, score: frechet (fid), kernel (kid), prdc, inception_score (is), path_length (ppl), "
  "spatial_frechet (sfid), class_frechet (intra_fid), accuracy_score (cas), sliced_wasserstein "
  "(swd), rbf_mmd (cmmd), classes, diversity, ms_ssim, memorisation. E.g. --metrics=fid,kid,prdc",
)
_REAL = flags.DEFINE_string(
  "real",
  None,
  "evaluate: the split that samples are held against, train or test. E.g. --real=train. "
  "score: a folder of images, an .npz file, or a data set. E.g. --real=tfds:cifar10",
)
_FAKE = flags.DEFINE_list(
  "fake",
  [],
  "score: a folder of images or an .npz file; several are draws of one generator. "
  "E.g. --fake=samples/",
)
_SPLIT = flags.DEFINE_enum(
  "split",
  "train",
  ["train", "test"],
  "score: the split of --real that images are held against. E.g. --split=test",
)
_IMAGE_SIZE = flags.DEFINE_integer(
  "image_size",
  None,
  "score: pixels of a side to resize and crop all images to. E.g. --image_size=64",
  lower_bound=1,
)
_CHANNELS = flags.DEFINE_integer(
  "channels", None, "score: 1 for gray, 3 for colour. E.g. --channels=3"
)
_CARD = flags.DEFINE_string(
  "card", None, "score: where to write the card (JSON). E.g. --card=card.json"
)
_NUM_FAKE = flags.DEFINE_integer(
  "num_fake",
  None,
  "evaluate, score: examples in a set of samples. E.g. --num_fake=50000",
  lower_bound=2,
)
_FOLLOW = flags.DEFINE_bool(
  "follow",
  False,
  "evaluate: score each new checkpoint of a run that is training, to its end. E.g. --follow",
)
_DESPITE = flags.DEFINE_list(
  "despite",
  [],
  "compare: in what two cards may differ all the same. E.g. --despite=ema,checkpoint",
)
_EMA = flags.DEFINE_bool(
  "ema",
  True,
  "evaluate, sample: with --noema the raw generator, not the averaged one. E.g. --noema",
)
_SEED = flags.DEFINE_integer(
  "seed", 0, "evaluate, sample: seed of the latents. E.g. --seed=1", lower_bound=0
)
_NUM = flags.DEFINE_integer("num", 64, "sample: how many examples. E.g. --num=100", lower_bound=1)
_OUT = flags.DEFINE_string(
  "out",
  None,
  "sample: where to write a picture of them (PNG). E.g. --out=grid.png. "
  "report: where to write the page. E.g. --out=report.html",
)
_OUT_DIR = flags.DEFINE_string(
  "out_dir",
  None,
  "sample: folder to write them to, a PNG of each; with labels a folder of each class. "
  "E.g. --out_dir=samples/",
)
_NPZ = flags.DEFINE_string(
  "npz", None, "sample: where to write them as arrays x and y. E.g. --npz=samples.npz"
)
_INTERPOLATE = flags.DEFINE_bool(
  "interpolate", False, "sample: walk between latents, row by row. E.g. --interpolate"
)
_LABELS = flags.DEFINE_list(
  "labels",
  [],
  "sample: classes to draw from, by name or number; by default all. E.g. --labels=cat,dog",
)
_TRUNCATION = flags.DEFINE_list(
  "truncation",
  [],
  "evaluate: bound on normal latents. E.g. --truncation=2. "
  "sample: likewise; of several, a row for each. E.g. --truncation=2,1,0.5",
)
_NEIGHBOURS = flags.DEFINE_integer(
  "neighbours",
  0,
  "sample: show so many nearest training images beside each. E.g. --neighbours=5",
  lower_bound=0,
)
_SORT = flags.DEFINE_string(
  "sort",
  "name",
  "runs: name, state, progress, age, a score, best:SCORE, or a key of the config; after a minus "
  "the other way round. E.g. --sort=-frechet_distance",
)
_FILTER = flags.DEFINE_list(
  "filter", [], "runs: KEY=VALUE of state or the config. E.g. --filter=state=done,loss=hinge"
)
COORDINATOR = flags.DEFINE_string(
  "coordinator",
  None,
  "train: of several processes, host:port of the first, the same of all. "
  "E.g. --coordinator=10.0.0.1:8476",
)
NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes",
  None,
  "train: of several processes, how many. E.g. --num_processes=2",
  lower_bound=1,
)
PROCESS_ID = flags.DEFINE_integer(
  "process_id",
  None,
  "train: of several processes, which this is, from 0. E.g. --process_id=0",
  lower_bound=0,
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run",
  False,
  "ablate: say what would be run, and about how long it takes; run nothing. E.g. --dry_run",
)
_SCORE = flags.DEFINE_string(
  "score", None, "ablate: the score to judge by, where not its own. E.g. --score=modes"
)
TRACEBACK = flags.DEFINE_bool(
  "traceback",
  False,
  "train, ablate, evaluate, score, compare, sample, runs, report: show where in the code an error "
  "came up. E.g. --traceback",
)

SYNOPSES = {
  "train": """\
  gan_jax train --config=FILE.py --workdir=RUN [--config.KEY=VALUE ...]
  gan_jax train --workdir=RUN      (goes on with a run that exists)""",
  "ablate": """\
  gan_jax ablate --config=FILE.py --workdir=DIR [--config.seeds="(0,1)"] [--dry_run]
  gan_jax ablate --workdir=DIR      (says what those in DIR have found)""",
  "evaluate": """\
  gan_jax evaluate RUN [--checkpoint=last|best|ROUND] [--draws=3] [--follow]
    [--features=classifier] [--metrics=fid,prdc,...] [--real=train|test] [--num_fake=50000]""",
  "score": """\
  gan_jax score --real=DIR|FILE.npz|tfds:NAME --fake=DIR|FILE.npz[,...] [--split=train|test]
    [--features=inception] [--metrics=fid,...] [--card=card.json]""",
  "compare": """\
  gan_jax compare A[,A2,...] B[,B2,...] ...      (folders of runs, or score cards)
  gan_jax compare SWEEP      (the methods in a folder of launch/sweep)""",
  "sample": """\
  gan_jax sample RUN [--num=64] [--out=grid.png] [--out_dir=DIR] [--npz=arrays.npz]
    [--labels=cat,dog] [--interpolate] [--truncation=2,1,0.5] [--neighbours=5]""",
  "runs": """\
  gan_jax runs DIR [--sort=KEY] [--filter=KEY=VALUE,...]""",
  "report": """\
  gan_jax report RUN|SWEEP [...] [--out=report.html]""",
}


def train() -> None:
  """Trains, or goes on training."""
  from gan_jax.files import check_folder
  from gan_jax.run.config.stored import read_config
  from gan_jax.run.results.folder import rebuilt
  from gan_jax.run.training.train import fit

  workdir = _workdir()
  if FLAGS["config"].present:
    path = config_flags.get_config_filename(FLAGS["config"])
    if not pathlib.Path(path.split(":")[0]).is_file():
      raise FileNotFoundError(f"--config: there is no file {path}")
  if _CONFIG.value is None and not (workdir / "config.json").is_file():
    raise UsageError("--config: expected a config file, e.g. --config=experiments/mnist_dcgan.py")
  check_folder("--workdir", workdir, new=False)
  config = _CONFIG.value if _CONFIG.value is not None else read_config(workdir)
  if not isinstance(config, ConfigDict):
    raise UsageError(
      f"--config: get_config() returned a {type(config).__name__}; expected a config that starts "
      "from gan_jax.run.config.default_config()"
    )
  source = _own_file(workdir)
  # A mistake in the flags is told before a difference.
  experiment = rebuilt(config, workdir)._replace(source=source)
  fit(experiment, workdir, grace_seconds=_GRACE.value, allow_config_change=_ALLOW.value)


def _own_file(*workdirs: str | pathlib.Path) -> dict[str, str] | None:
  """Describes the file of --config, and says of which runs it is another one by now.

  Without one, runs are refused that name what only their file registers.
  """
  from gan_jax.run.config import register, stored

  file = config_flags.get_config_filename(FLAGS["config"]) if FLAGS["config"].present else None
  if file is None or file.startswith(f"{stored.__file__}:"):
    for workdir in workdirs:
      register.check_registered(workdir)
    return None
  for workdir in workdirs:
    if change := register.change_of_source(workdir, file):
      print(f"gan_jax: warning: {change}", file=sys.stderr)
  return register.source_of(file)


def ablate() -> None:
  """Plays the variants of an ablation that have not been played, and says what all have found."""
  from gan_jax import plots
  from gan_jax.files import check_folder
  from gan_jax.run.ablation import estimate, picture, plan, play, results, table
  from gan_jax.run.evaluation.evaluators.suite import score_name

  if _CONFIG.value is None and not _WORKDIR.value:
    raise UsageError("ablate: expected --config=FILE.py, or --workdir of an ablation to look at")
  if _DRY_RUN.value:
    if _CONFIG.value is None:
      raise UsageError("--dry_run: expected the ablation's --config=FILE.py")
    print(estimate.plan_of(_CONFIG.value))
    return
  workdir = _workdir()
  if _CONFIG.value is not None:
    check_folder("--workdir", workdir, new=False)
    runs = plan.members(_CONFIG.value)
    play.run(_CONFIG.value, workdir, lambda before: table.Board(before, runs))
  outcome = results.read(workdir)
  score = _SCORE.value and score_name(_SCORE.value)
  print(table.table(outcome, score))
  if outcome.rows:
    for name, draw in (("matrix", picture.matrix), ("curves", picture.curves)):
      plots.save(draw(outcome, score), workdir / f"{name}.png")


def evaluate(*folders: str) -> None:
  """Scores checkpoints of a run: prints a line of each, and writes their cards."""
  from gan_jax.run.config.stored import read_config
  from gan_jax.run.evaluation import scoring
  from gan_jax.run.evaluation.cards.card import format_card
  from gan_jax.run.evaluation.draws import SamplingOptions
  from gan_jax.run.results.run import check_truncation

  workdir, bounds, at = _workdir(folders), _truncation(), _checkpoint()
  if len(bounds) > 1:
    raise UsageError(f"--truncation={','.join(_TRUNCATION.value)}: evaluate takes one bound")
  if _FOLLOW.value and at:
    raise UsageError("--follow scores every checkpoint as it comes: leave out --checkpoint")
  _check_asked("features", "metrics", "real")
  _own_file(workdir)
  with _of_flag("truncation"):
    check_truncation(read_config(workdir), *bounds)
  how = SamplingOptions(_EMA.value, *bounds)
  options: dict[str, Any] = {"seed": _SEED.value, "draws": _DRAWS.value, "how": how}
  given = {
    "evaluation.features": _FEATURES.value,
    "evaluation.metrics": _METRICS.value and tuple(_METRICS.value),
    "evaluation.real": _REAL.value,
    "num_fake": _NUM_FAKE.value,
  }
  if _FEATURES.value and _FEATURES.value != "classifier" and not _METRICS.value:
    given["evaluation.metrics"] = ("auto",)  # what classes there are a classifier alone can tell
  changes = {key: value for key, value in given.items() if value is not None} | _overrides()
  if _FOLLOW.value:
    scored = scoring.follow(workdir, changes=changes, **options)
  else:
    scored = scoring.evaluate(workdir, at=at, changes=changes, **options)
  for card, path in scored:
    print(format_card(card) + (f"\nwrote {path}" if path else ""), flush=True)


def score() -> None:
  """Scores images that were made by anything: prints a line, and writes their card."""
  from gan_jax.data import check_name
  from gan_jax.files import check_writable
  from gan_jax.run.config.sections.evaluation import evaluation_spec
  from gan_jax.run.evaluation.cards.card import format_card
  from gan_jax.run.evaluation.cards.files import write_card
  from gan_jax.run.evaluation.score_images import PICKLES, data_name, score_images

  if not (_REAL.value and _FAKE.value):
    raise UsageError(
      "score: expected --real and --fake, each a folder of images or an .npz file; --real may be a"
      " data set such as tfds:cifar10"
    )
  for flag, names in (("real", [_REAL.value]), ("fake", _FAKE.value)):
    with _of_flag(flag):
      for name in names:
        if not name.endswith(PICKLES):  # which are told what to write instead
          check_name(data_name(name))
  if _CHANNELS.value not in (None, 1, 3):
    raise UsageError(f"--channels={_CHANNELS.value}: expected 1 or 3")
  _check_asked("features", "metrics")
  if _CARD.value:
    check_writable("--card", _CARD.value)
  spec = evaluation_spec(
    _FEATURES.value or "inception", _METRICS.value or ["frechet"], _SPLIT.value
  )
  options = {"image_size": _IMAGE_SIZE.value, "channels": _CHANNELS.value}
  card = score_images(_REAL.value, _FAKE.value, spec, count=_NUM_FAKE.value, **options)
  print(format_card(card))
  if _CARD.value:
    write_card(_CARD.value, card)
    print(f"wrote {_CARD.value}")


def compare(*arguments: str) -> None:
  """Compares methods by their score cards."""
  from gan_jax.run.evaluation.cards import comparing, files
  from gan_jax.run.results import naming, sweeps

  if not arguments or (len(arguments) == 1 and not sweeps.is_sweep(arguments[0])):
    raise UsageError(
      f"expected gan_jax compare A B, got {len(arguments)} methods: each is the folder of a run or"
      " a score card, several with commas between, or the folder of a sweep"
    )
  methods, messages = sweeps.methods(arguments)
  for message in messages:
    print(f"gan_jax: {message}", file=sys.stderr)
  read = iter(files.read_cards([path for paths in methods.values() for path in paths]))
  groups = [[next(read) for _ in paths] for paths in methods.values()]
  configs = [[naming.config_of(path) for path in paths] for paths in methods.values()]
  names = naming.names_of(configs, [paths[0] for paths in methods.values()])
  if len(groups) == 2:
    print(comparing.compare(*groups, names=(names[0], names[1]), despite=_DESPITE.value))
  else:
    print(comparing.board(dict(zip(names, groups, strict=True)), despite=_DESPITE.value))
  print(f"\n{naming.config_differences(*configs, names=names)}")


def sample(*folders: str) -> None:
  """Draws examples from a run."""
  from gan_jax.run.results.folder import load
  from gan_jax.run.results.run import check_truncation

  workdir, bounds, at = _workdir(folders), _truncation(), _checkpoint()
  if _FEATURES.value and not _NEIGHBOURS.value:
    raise UsageError("sample: --features says in what neighbours are near; give --neighbours=5 too")
  if _overrides() and not _NEIGHBOURS.value:
    raise UsageError("sample: --config.* says where data are, which --neighbours=5 alone looks at")
  if _INTERPOLATE.value and bounds:
    raise UsageError("--interpolate and --truncation: a walk is not truncated; give one")
  _check_asked("features")
  _check_places()
  _own_file(workdir)
  changes = _overrides()
  if _NEIGHBOURS.value:
    changes = {"evaluation.features": _FEATURES.value or "pixels", **changes}
  run = load(workdir, at=at or "last", changes=changes)
  with _of_flag("truncation"):
    check_truncation(run.config, max(bounds, default=None))
  if _LABELS.value:
    with _of_flag("labels"):
      run.sampler.example.class_places(_LABELS.value)
  if _NEIGHBOURS.value:
    written = _save_neighbours(run)
  else:
    written = run.save_samples(
      _NUM.value,
      png=_OUT.value,
      npz=_NPZ.value,
      folder=_OUT_DIR.value,
      seed=_SEED.value,
      ema=_EMA.value,
      interpolate=_INTERPOLATE.value,
      truncation=bounds,
      classes=_LABELS.value,
    )
    _print_classes(run)
  print("\n".join(f"wrote {path}" for path in written))


def _print_classes(run: Any) -> None:
  """Prints the order in which the examples of classes come."""
  from gan_jax.data.labels import listed

  example = run.sampler.example
  if example.classes:
    shown = [example.classes[i] for i in example.class_places(_LABELS.value or example.classes)]
    print(f"class by class, row after row: {listed(shown)}")


def _overrides() -> dict[str, Any]:
  """Lists what --config.KEY=VALUE says of a run's own config."""
  return config_flags.get_override_values(FLAGS["config"]) if FLAGS["config"].present else {}


def _check_places() -> None:
  """Refuses places that samples cannot be written to, before any are drawn."""
  from gan_jax.files import check_folder, check_writable

  if not (_OUT.value or _OUT_DIR.value or _NPZ.value):
    raise UsageError(
      "sample: say where to write, --out=grid.png, --out_dir=samples/ or --npz=arrays.npz"
    )
  if _OUT.value:
    kind = pathlib.Path(_OUT.value).suffix.lower()
    if kind != ".png":
      raise UsageError(f"--out={_OUT.value}: expected a name in .png{_NO_PICTURES.get(kind, '')}")
    check_writable("--out", _OUT.value)
  if _NPZ.value:
    if not _NPZ.value.endswith(".npz"):
      raise UsageError(f"--npz={_NPZ.value}: expected a name in .npz; pictures are --out=grid.png")
    check_writable("--npz", _NPZ.value)
  if _OUT_DIR.value:
    check_folder("--out_dir", _OUT_DIR.value)


_LOSSY = (
  "; JPEG and WebP lose detail, which changes scores (Parmar et al. 2022, arXiv:2104.11222), so"
  " pictures are written as PNG alone"
)
# Why there is no picture of such an ending, and what to type for what it may have meant.
_NO_PICTURES = {
  **dict.fromkeys((".jpg", ".jpeg", ".webp"), _LOSSY),
  ".npz": "; arrays are written by --npz=FILE.npz",
  ".npy": "; arrays are written by --npz=FILE.npz",
  "": "; a PNG of each example is written by --out_dir=DIR",
}


def _save_neighbours(run: Any) -> list[str]:
  """Writes examples, each at the head of a row of its nearest training images."""
  from gan_jax import plots
  from gan_jax.plots.png import save_png
  from gan_jax.run.evaluation.draws import SamplingOptions, with_neighbours

  if _LABELS.value:
    raise UsageError("--labels and --neighbours: neighbours are shown of all classes; give one")
  if not _OUT.value or _NPZ.value or _OUT_DIR.value or _INTERPOLATE.value or len(_truncation()) > 1:
    raise UsageError("--neighbours makes a picture of its own: give --out=FILE.png and no other")
  k, how = _NEIGHBOURS.value, SamplingOptions(_EMA.value, *_truncation())
  if k > (size := run.experiment.batches.source.size or k):
    raise UsageError(f"--neighbours={k}: expected at most the {size} training images there are")
  images = with_neighbours(run, _NUM.value, k, seed=_SEED.value, how=how)
  save_png(_OUT.value, plots.grid(images, 1 + k))
  return [_OUT.value]


def _truncation() -> list[float]:
  with contextlib.suppress(ValueError):
    bounds = [float(bound) for bound in _TRUNCATION.value]
    if all(bound > 0 for bound in bounds):
      return bounds
  raise UsageError(f"--truncation={','.join(_TRUNCATION.value)}: expected numbers above 0")


def _checkpoint() -> str | None:
  at = _CHECKPOINT.value
  if at not in (None, "last", "best") and not at.isdecimal():
    raise UsageError(f"--checkpoint={at}: expected last, best, or a round")
  return at


def _check_asked(*names: str) -> None:
  """Refuses flags of how images are scored that cannot be, before anything is read."""
  from gan_jax.run.config.sections.evaluation import AUTO, evaluation_spec

  for name in names:
    if FLAGS[name].value is not None:
      given: dict[str, Any] = {"features": AUTO, "metrics": (AUTO,), "real": AUTO}
      with _of_flag(name):
        evaluation_spec(**(given | {name: FLAGS[name].value}))


@contextlib.contextmanager
def _of_flag(name: str) -> Iterator[None]:
  """Raises a ValueError as one of a flag, with its name and its value."""
  try:
    yield
  except ValueError as error:
    value = FLAGS[name].value
    shown = ",".join(value) if isinstance(value, list) else value
    raise UsageError(f"--{name}={shown}: {error}") from error


def runs(*folders: str) -> None:
  """Lists the runs below a folder."""
  from gan_jax.run.results import listing, table

  if len(folders) != 1:
    raise UsageError(f"expected gan_jax runs DIR, got {len(folders)} folders")
  if not all("=" in pair for pair in _FILTER.value):
    raise UsageError(f"--filter={','.join(_FILTER.value)}: expected KEY=VALUE, such as state=done")
  wanted = dict(pair.split("=", 1) for pair in _FILTER.value)
  chosen = listing.filter_runs(
    [listing.summarise_run(path) for path in listing.find_runs(folders[0])], wanted
  )
  width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
  shown = listing.sort_runs(chosen, _SORT.value)
  print(table.table(shown, folders[0], first=listing.score_of(_SORT.value), width=width))


def report(*folders: str) -> None:
  """Writes a page of runs and ablations."""
  from gan_jax.run.report.page import write

  out = pathlib.Path(_OUT.value or "report.html").expanduser()
  for line in write(folders, out):
    print(f"gan_jax: {line}", file=sys.stderr)
  print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)")


COMMANDS: dict[str, Callable[..., None]] = {
  "train": train,
  "ablate": ablate,
  "evaluate": evaluate,
  "score": score,
  "compare": compare,
  "sample": sample,
  "runs": runs,
  "report": report,
}
FROM_RUN = ("train", "evaluate", "sample")  # commands that start from the config of a run
# Commands that take folders without a flag.
WITH_FOLDERS = (evaluate, compare, sample, runs, report)


def _workdir(folders: Sequence[str] = ()) -> pathlib.Path:
  """Returns the folder of the run, which --workdir names or, of some commands, a bare word."""
  given = {_plain(folder): folder for folder in (*folders, *filter(None, [_WORKDIR.value]))}
  if len(given) > 1:
    raise UsageError(
      f"expected the folder of one run, got {len(given)}: {', '.join(given.values())}"
    )
  if not given:
    raise UsageError("--workdir: expected the folder of the run, e.g. --workdir=runs/mnist_dcgan")
  return pathlib.Path(*given.values()).expanduser()


def _plain(folder: str) -> pathlib.Path:
  return pathlib.Path(folder).expanduser().resolve()
