"""What `gan_jax` can be told to do: its flags, and a function for each command.

Every command imports what it needs when it runs, so that `--help` and a mistyped flag answer at
once.
"""

import pathlib
import shutil
import sys
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

FLAGS = flags.FLAGS

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "Python file that defines get_config(). Any key can be overridden: --config.loss=hinge. "
  "A run that exists goes on with its own config when this is left out. evaluate, sample, report: "
  "the file that registers networks, losses or data of a user's own.",
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
_ALLOW = flags.DEFINE_bool(
  "allow_config_change", False, "train: go on with a config other than the run was started with."
)
_GRACE = flags.DEFINE_float(
  "grace_seconds",
  25.0,
  "train: time in which to save and end after SIGTERM or Ctrl-C, less than whoever sends it waits.",
  lower_bound=0,
)
_CHECKPOINT = flags.DEFINE_string(
  "checkpoint",
  None,
  "evaluate, sample: last, best, or a round. By default evaluate takes last and best, sample last.",
)
_DRAWS = flags.DEFINE_integer(
  "draws", 1, "evaluate: sets of samples that are scored, for a standard error.", lower_bound=1
)
_FEATURES = flags.DEFINE_string(
  "features",
  None,
  "evaluate, score, sample --neighbours: what looks at images: classifier, inception:FILE, ...",
)
_METRICS = flags.DEFINE_list("metrics", None, "evaluate, score: frechet, kernel, prdc, ...")
_REAL = flags.DEFINE_string(
  "real",
  None,
  "evaluate: the split that samples are held against, train or test. score: a folder of images, an "
  ".npz file, or a data set such as tfds:cifar10.",
)
_FAKE = flags.DEFINE_list(
  "fake", [], "score: a folder of images or an .npz file; several are draws of one generator."
)
_SPLIT = flags.DEFINE_enum(
  "split", "train", ["train", "test"], "score: the split of --real that images are held against."
)
_IMAGE_SIZE = flags.DEFINE_integer(
  "image_size", None, "score: to resize and crop all images to.", lower_bound=1
)
_CHANNELS = flags.DEFINE_integer("channels", None, "score: 1 for gray, 3 for colour.")
_CARD = flags.DEFINE_string("card", None, "score: where to write the card (JSON).")
_NUM_FAKE = flags.DEFINE_integer(
  "num_fake", None, "evaluate, score: examples in a set of samples.", lower_bound=2
)
_FOLLOW = flags.DEFINE_bool(
  "follow", False, "evaluate: score each new checkpoint of a run that is training, to its end."
)
_DESPITE = flags.DEFINE_list(
  "despite", [], "compare: in what two cards may differ all the same, e.g. ema,checkpoint."
)
_EMA = flags.DEFINE_bool("ema", True, "evaluate, sample: use the averaged generator.")
_SEED = flags.DEFINE_integer("seed", 0, "evaluate, sample: seed of the latents.")
_NUM = flags.DEFINE_integer("num", 64, "sample: how many examples.", lower_bound=1)
_OUT = flags.DEFINE_string(
  "out", None, "sample: where to write a picture of them (PNG). report: where to write the page."
)
_NPZ = flags.DEFINE_string("npz", None, "sample: where to write them as arrays x and y.")
_INTERPOLATE = flags.DEFINE_bool("interpolate", False, "sample: walk between latents, row by row.")
_TRUNCATION = flags.DEFINE_list(
  "truncation", [], "evaluate, sample: bound on normal latents. sample: of several, a row for each."
)
_NEIGHBOURS = flags.DEFINE_integer(
  "neighbours", 0, "sample: show so many nearest training images beside each.", lower_bound=0
)
_SORT = flags.DEFINE_string(
  "sort",
  "name",
  "runs: name, state, progress, age, a score, best:SCORE, or a key of the config; --sort=-KEY the "
  "other way round.",
)
_FILTER = flags.DEFINE_list(
  "filter", [], "runs: KEY=VALUE of state or the config, such as state=done,loss=hinge."
)
COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "train, of several processes: host:port of the first. Same of all of them."
)
NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "train, of several processes: how many.", lower_bound=1
)
PROCESS_ID = flags.DEFINE_integer(
  "process_id", None, "train, of several processes: which this is, from 0.", lower_bound=0
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "ablate: say what would be run, and about how long it takes; run nothing."
)
_SCORE = flags.DEFINE_string("score", None, "ablate: the score to judge by, where not its own.")
TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where in the code an error came up.")

USAGE = """gan_jax: generative adversarial networks in JAX

  gan_jax train --config=FILE.py --workdir=DIR [--config.KEY=VALUE ...]
  gan_jax ablate --config=FILE.py --workdir=DIR [--config.seeds="(0,1)"] [--dry_run]
    (many variants and seeds; without --config it says what those in DIR have found)
  gan_jax evaluate --workdir=DIR [--checkpoint=last|best|ROUND] [--draws=3] [--follow]
    [--features=classifier] [--metrics=frechet,prdc,...] [--real=train|test] [--num_fake=50000]
  gan_jax score --real=DIR|FILE.npz|tfds:NAME --fake=DIR|FILE.npz[,...] [--split=train|test]
    [--features=inception] [--metrics=frechet,...] [--card=card.json]      (images made by anything)
  gan_jax compare A[,A2,...] B[,B2,...]      (folders of runs, or score cards)
  gan_jax sample --workdir=DIR [--num=64] [--out=grid.png] [--npz=arrays.npz] [--interpolate]
    [--truncation=2,1,0.5] [--neighbours=5]
  gan_jax runs DIR [--sort=KEY] [--filter=KEY=VALUE,...]      (runs and ablations below a folder)
  gan_jax report RUN [RUN ...] [--out=report.html]      (one page of runs and ablations)

A run that exists in DIR is resumed. Exit codes: 0 done; 1 an error; 2 wrong flags; 75 stopped by a
signal with all saved: start it again, and it goes on. Flags:
"""


def train() -> None:
  """Trains, or goes on training."""
  from gan_jax import experiment, runs
  from gan_jax.train import fit

  workdir = _workdir()
  if FLAGS["config"].present:
    path = config_flags.get_config_filename(FLAGS["config"])
    if not pathlib.Path(path.split(":")[0]).is_file():
      raise FileNotFoundError(f"--config: there is no file {path}")
  if _CONFIG.value is None and not (workdir / "config.json").is_file():
    raise ValueError("--config: expected a config file, e.g. --config=experiments/mnist_dcgan.py")
  config = _CONFIG.value if _CONFIG.value is not None else runs.read_config(workdir)
  if not isinstance(config, ConfigDict):
    raise ValueError(
      f"--config: get_config() returned a {type(config).__name__}; expected a config that starts "
      "from gan_jax.config.default_config()"
    )
  runs.check_same_config(config, workdir, allow=_ALLOW.value)
  source = _own_file(workdir)
  built = experiment.build(config)._replace(source=source)
  fit(built, workdir, grace_seconds=_GRACE.value)


def _own_file(*workdirs: str | pathlib.Path) -> dict[str, str] | None:
  """Describes the file of --config, and says of which runs it is another one by now.

  Without one, runs are refused that name what only their file registers.
  """
  from gan_jax import register

  file = config_flags.get_config_filename(FLAGS["config"]) if FLAGS["config"].present else None
  if file is None:
    for workdir in workdirs:
      register.check_registered(workdir)
    return None
  for workdir in workdirs:
    if told := register.change_of_source(workdir, file):
      print(f"gan_jax: warning: {told}", file=sys.stderr)
  return register.source_of(file)


def ablate() -> None:
  """Plays the variants of an ablation that have not been played, and says what all have found."""
  from gan_jax import plots
  from gan_jax.ablation import estimate, picture, plan, play, results, table

  if _CONFIG.value is None and not _WORKDIR.value:
    raise ValueError("ablate: expected --config=FILE.py, or --workdir of an ablation to look at")
  if _DRY_RUN.value:
    if _CONFIG.value is None:
      raise ValueError("--dry_run: expected the ablation's --config=FILE.py")
    print(estimate.plan_of(_CONFIG.value))
    return
  workdir = _workdir()
  if _CONFIG.value is not None:
    runs = plan.members(_CONFIG.value)
    play.run(_CONFIG.value, workdir, lambda found: table.Board(found, runs))
  found = results.read(workdir)
  print(table.table(found, _SCORE.value))
  if found.rows:
    for name, draw in (("matrix", picture.matrix), ("curves", picture.curves)):
      plots.save(draw(found, _SCORE.value), workdir / f"{name}.png")


def evaluate() -> None:
  """Scores checkpoints of a run: prints a line of each, and writes their cards."""
  from gan_jax import scoring
  from gan_jax.cards import line

  workdir, bounds = _workdir(), _truncation()
  _own_file(workdir)
  if len(bounds) > 1:
    raise ValueError(f"--truncation={_TRUNCATION.value}: evaluate takes one bound")
  how = scoring.How(_EMA.value, *bounds)
  options: dict[str, Any] = {"seed": _SEED.value, "draws": _DRAWS.value, "how": how}
  given = {
    "evaluation.features": _FEATURES.value,
    "evaluation.metrics": _METRICS.value and tuple(_METRICS.value),
    "evaluation.real": _REAL.value,
    "num_fake": _NUM_FAKE.value,
  }
  if _FEATURES.value and _FEATURES.value != "classifier" and not _METRICS.value:
    given["evaluation.metrics"] = ("frechet",)  # what classes there are a classifier alone can tell
  changes = {key: value for key, value in given.items() if value is not None}
  if _FOLLOW.value:
    if _CHECKPOINT.value:
      raise ValueError("--follow scores every checkpoint as it comes: leave out --checkpoint")
    found = scoring.follow(workdir, changes=changes, **options)
  else:
    found = scoring.evaluate(workdir, at=_CHECKPOINT.value, changes=changes, **options)
  for card, path in found:
    print(f"{line(card)}\nwrote {path}", flush=True)


def score() -> None:
  """Scores images that were made by anything: prints a line, and writes their card."""
  from gan_jax import cards
  from gan_jax.experiment import images_asked
  from gan_jax.score_images import score_images

  if not (_REAL.value and _FAKE.value):
    raise ValueError(
      "score: expected --real and --fake, each a folder of images or an .npz file; --real may be a"
      " data set such as tfds:cifar10"
    )
  asked = images_asked(_FEATURES.value or "inception", _METRICS.value or ["frechet"], _SPLIT.value)
  options = {"image_size": _IMAGE_SIZE.value, "channels": _CHANNELS.value}
  card = score_images(_REAL.value, _FAKE.value, asked, count=_NUM_FAKE.value, **options)
  print(cards.line(card))
  if _CARD.value:
    cards.write_card(_CARD.value, card)
    print(f"wrote {_CARD.value}")


def compare(*methods: str) -> None:
  """Compares two methods by their score cards."""
  from gan_jax import cards, comparing

  if len(methods) != 2:
    raise ValueError(
      f"expected gan_jax compare A B, got {len(methods)} methods: each is the folder of a run"
      " or a score card, or several with commas between"
    )
  one, other = (method.split(",") for method in methods)
  found = cards.read_cards([*one, *other])
  a, b = found[: len(one)], found[len(one) :]
  names = _names(*methods)
  print(comparing.compare(a, b, names=names, despite=_DESPITE.value))
  configs = [[comparing.config_of(path) for path in paths] for paths in (one, other)]
  print(f"\n{comparing.config_differences(*configs, names=names)}")


def _names(first: str, second: str) -> tuple[str, str]:
  """Names two methods by the folders of their first runs, as far as these tell them apart."""
  from gan_jax.cards import FOLDER

  paths = [pathlib.Path(method.split(",")[0]) for method in (first, second)]
  a, b = (p.parent.parent.name if p.parent.name == FOLDER else p.stem for p in paths)
  a, b = a[-18:], b[-18:]
  return (a, b) if a != b else (f"A {a}", f"B {b}")


def sample() -> None:
  """Draws examples from a run."""
  from gan_jax import runs

  if not (_OUT.value or _NPZ.value):
    raise ValueError("sample: say where to write, --out=grid.png or --npz=arrays.npz")
  if _OUT.value and not _OUT.value.lower().endswith(".png"):
    raise ValueError(f"--out={_OUT.value}: pictures are written as PNG; expected a name in .png")
  _own_file(_workdir())
  run = runs.load(_workdir(), at=_CHECKPOINT.value or "last")
  if _FEATURES.value and not _NEIGHBOURS.value:
    raise ValueError("sample: --features says in what neighbours are near; give --neighbours=5 too")
  if _NEIGHBOURS.value:
    written = _save_neighbours(run)
  else:
    written = run.save_samples(
      _NUM.value,
      png=_OUT.value,
      npz=_NPZ.value,
      seed=_SEED.value,
      ema=_EMA.value,
      interpolate=_INTERPOLATE.value,
      truncation=_truncation(),
    )
  print("\n".join(f"wrote {path}" for path in written))


def _save_neighbours(run: Any) -> list[str]:
  """Writes examples, each at the head of a row of its nearest training images."""
  from gan_jax import plots, report, scoring

  if not _OUT.value or _NPZ.value or _INTERPOLATE.value or len(_truncation()) > 1:
    raise ValueError("--neighbours makes a picture of its own: give --out=FILE.png and no other")
  k, features, how = _NEIGHBOURS.value, _FEATURES.value, scoring.How(_EMA.value, *_truncation())
  images = scoring.with_neighbours(
    run, _NUM.value, k, seed=_SEED.value, features=features or "pixels", how=how
  )
  report.save_png(_OUT.value, plots.grid(images, 1 + k))
  return [_OUT.value]


def _truncation() -> list[float]:
  try:
    return [float(bound) for bound in _TRUNCATION.value]
  except ValueError:
    raise ValueError(f"--truncation={','.join(_TRUNCATION.value)}: expected numbers") from None


def runs(*folders: str) -> None:
  """Lists the runs below a folder."""
  from gan_jax import listing

  if len(folders) != 1:
    raise ValueError(f"expected gan_jax runs DIR, got {len(folders)} folders")
  if not all("=" in pair for pair in _FILTER.value):
    raise ValueError(f"--filter={','.join(_FILTER.value)}: expected KEY=VALUE, such as state=done")
  wanted = dict(pair.split("=", 1) for pair in _FILTER.value)
  found = listing.chosen([listing.look(path) for path in listing.find(folders[0])], wanted)
  width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
  shown = listing.ordered(found, _SORT.value)
  print(listing.table(shown, folders[0], first=_SORT.value.lstrip("-"), width=width))


def report(*folders: str) -> None:
  """Writes a page of runs and ablations."""
  from gan_jax.page.write import write

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
WITH_FOLDERS = (compare, runs, report)  # commands that take folders without a flag


def _workdir() -> pathlib.Path:
  if not _WORKDIR.value:
    raise ValueError("--workdir: expected the folder of the run, e.g. --workdir=runs/mnist_dcgan")
  return pathlib.Path(_WORKDIR.value).expanduser()
