"""What `gan_jax` can be told to do: a function for each command.

Every command imports what it needs when it runs, so that `--help` and a mistyped flag answer at
once.
"""

import functools
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict

from gan_jax.run.cli import arguments, latents
from gan_jax.run.cli.flags import FLAGS
from gan_jax.run.cli.usage import UsageError


def train() -> None:
  """Trains, or goes on training.

  gan_jax train --config=FILE.py --workdir=RUN [--config.KEY=VALUE ...]
    [--start_from=OTHER_RUN[:generator,discriminator]]
  gan_jax train --workdir=RUN      (goes on with a run that exists)
  """
  from gan_jax.files import check_folder
  from gan_jax.run.config import replaced
  from gan_jax.run.config.stored import read_config
  from gan_jax.run.results.folder import rebuilt
  from gan_jax.run.training.train import fit
  from gan_jax.run.weights.start_from import parse

  workdir = arguments.workdir()
  if FLAGS.config is None and not (workdir / "config.json").is_file():
    raise UsageError("--config: expected a config file, e.g. --config=experiments/mnist_dcgan.py")
  check_folder("--workdir", workdir, new=False)
  config = FLAGS.config if FLAGS.config is not None else read_config(workdir)
  if not isinstance(config, ConfigDict):
    raise UsageError(
      f"--config: get_config() returned a {type(config).__name__}; expected a config that starts "
      "from gan_jax.run.config.default_config()"
    )
  if FLAGS.start_from:
    config = replaced(config, {"start_from": FLAGS.start_from})
    if not (workdir / "config.json").is_file():  # a run that goes on needs the other no more
      read_config(parse(FLAGS.start_from)[0])
  source = arguments.own_file(workdir)
  arguments.check_read(config)
  experiment = rebuilt(config, workdir)._replace(source=source)
  fit(
    experiment,
    workdir,
    grace_seconds=FLAGS.grace_seconds,
    allow_config_change=FLAGS.allow_config_change,
  )


def import_() -> None:
  """Builds a run of weights that others have published: it samples, is scored, and trains on.

  gan_jax import --from=KIND:FILE[,FILE...] --workdir=RUN [--data=tfds:cifar10]
  gan_jax import --from=torch:FILE --config=FILE.py --names=NAMES.json --workdir=RUN
  """
  from gan_jax.run.weights.importing import PLAIN, import_run
  from gan_jax.run.weights.kinds import KINDS

  kind, colon, files = (FLAGS["from"].value or "").partition(":")
  if not colon or not files or kind not in (*KINDS, PLAIN):
    of = "; ".join(f"{name}: {known.about}" for name, known in KINDS.items())
    raise UsageError(
      f"--from={FLAGS['from'].value or ''}: expected KIND:FILE, of several files with commas"
      f" between; {of}; {PLAIN}: any state dict, with --config and --names"
    )
  if kind != PLAIN and (FLAGS.config is not None or FLAGS.names):
    raise UsageError(f"--config and --names are of --from={PLAIN}:FILE; {kind} says what it is")
  if kind == PLAIN and FLAGS.config is None:
    raise UsageError(f"--from={PLAIN}:FILE: expected the networks, --config=FILE.py")
  if kind == PLAIN and FLAGS.data:
    raise UsageError(f"--from={PLAIN}:FILE: its config names the data; leave out --data")
  workdir = arguments.workdir()
  paths = [pathlib.Path(name).expanduser() for name in files.split(",")]
  options = {"data": FLAGS.data or "", "config": FLAGS.config, "names": FLAGS.names}
  print("\n".join(import_run(kind, paths, workdir, **options)))
  print(f"wrote {workdir}: gan_jax sample {workdir} --out=grid.png")


import_.__name__ = "import"  # as it is typed; Python has the word for itself


def ablate() -> None:
  """Plays the variants of an ablation that have not been played, and says what all have found.

  gan_jax ablate --config=FILE.py --workdir=DIR [--config.seeds="(0,1)"] [--dry_run]
  gan_jax ablate --workdir=DIR      (says what those in DIR have found)
  """
  from gan_jax import plots
  from gan_jax.files import check_folder
  from gan_jax.run.ablation import estimate, picture, plan, play, results, table
  from gan_jax.run.evaluation.evaluators.suite import score_name

  if FLAGS.config is None and not FLAGS.workdir:
    raise UsageError("ablate: expected --config=FILE.py, or --workdir of an ablation to look at")
  if FLAGS.dry_run:
    if FLAGS.config is None:
      raise UsageError("--dry_run: expected the ablation's --config=FILE.py")
    print(estimate.plan_of(FLAGS.config))
    return
  workdir = arguments.workdir()
  if FLAGS.config is not None:
    check_folder("--workdir", workdir, new=False)
    runs = plan.members(FLAGS.config)
    play.run(FLAGS.config, workdir, lambda before: table.Board(before, runs))
  outcome = results.read(workdir)
  score = FLAGS.score and score_name(FLAGS.score)
  print(table.table(outcome, score))
  if outcome.rows:
    for name, draw in (("matrix", picture.matrix), ("curves", picture.curves)):
      plots.save(draw(outcome, score), workdir / f"{name}.png")


def evaluate(*folders: str) -> None:
  """Scores checkpoints of a run: prints a line of each, and writes their cards.

  gan_jax evaluate RUN [--checkpoint=last|best|ROUND] [--draws=3] [--follow]
    [--features=classifier] [--metrics=fid,prdc,...] [--real=train|test] [--num_fake=50000]
  """
  from gan_jax.run.evaluation import scoring
  from gan_jax.run.evaluation.cards.card import format_card
  from gan_jax.run.evaluation.draws import SamplingOptions

  workdir, bounds, at = arguments.workdir(folders), arguments.truncation(), arguments.checkpoint()
  if len(bounds) > 1:
    raise UsageError(f"--truncation={','.join(FLAGS.truncation)}: evaluate takes one bound")
  if FLAGS.follow and at:
    raise UsageError("--follow scores every checkpoint as it comes: leave out --checkpoint")
  arguments.check_asked("features", "metrics", "real")
  arguments.own_file(workdir)
  bound = bounds[0] if bounds else None
  how = SamplingOptions(FLAGS.ema, bound, FLAGS.standing_statistics)
  options: dict[str, Any] = {"seed": FLAGS.seed, "draws": FLAGS.draws, "how": how}
  given = {
    "evaluation.features": FLAGS.features,
    "evaluation.metrics": FLAGS.metrics and tuple(FLAGS.metrics),
    "evaluation.real": FLAGS.real,
    "num_fake": FLAGS.num_fake,
  }
  if FLAGS.features and FLAGS.features != "classifier" and not FLAGS.metrics:
    given["evaluation.metrics"] = ("auto",)  # what classes there are a classifier alone can tell
  changes = {key: value for key, value in given.items() if value is not None}
  changes |= arguments.overrides()
  if FLAGS.follow:
    scored = scoring.follow(workdir, changes=changes, **options)
  else:
    scored = scoring.evaluate(workdir, at=at, changes=changes, **options)
  for card, path in scored:
    print(format_card(card) + (f"\nwrote {path}" if path else ""), flush=True)


def score() -> None:
  """Scores images that were made by anything: prints a line, and writes their card.

  gan_jax score --real=DIR|FILE.npz|tfds:NAME|stats:FILE.npz --fake=DIR|FILE.npz[,...]
    [--split=train|test] [--save_stats=FILE.npz]
    [--features=inception] [--metrics=fid,...] [--card=card.json]
  """
  from gan_jax.files import check_writable
  from gan_jax.run.config.sections.evaluation import evaluation_spec
  from gan_jax.run.evaluation.cards.card import format_card
  from gan_jax.run.evaluation.cards.files import write_card
  from gan_jax.run.evaluation.score_images import (
    STATISTICS,
    check_set,
    save_statistics,
    score_images,
  )
  from gan_jax.run.evaluation.score_statistics import KINDS

  if not (FLAGS.real and (FLAGS.fake or FLAGS.save_stats)):
    raise UsageError(
      "score: expected --real and --fake, each a folder of images or an .npz file; --real may be a"
      " data set such as tfds:cifar10"
    )
  for flag, names in (("real", [FLAGS.real]), ("fake", FLAGS.fake)):
    with arguments.of_flag(flag):
      for name in names:
        check_set(name)
  if twice := next((name for name in FLAGS.fake or () if FLAGS.fake.count(name) > 1), None):
    raise UsageError(f"--fake names {twice} twice: expected sets of other draws")
  if FLAGS.channels not in (None, 1, 3):
    raise UsageError(f"--channels={FLAGS.channels}: expected 1 or 3")
  arguments.check_asked("features", "metrics")
  if FLAGS.card:
    check_writable("--card", FLAGS.card)
  if FLAGS.save_stats:
    if not FLAGS.save_stats.endswith(".npz") or FLAGS.real.startswith(STATISTICS):
      raise UsageError(
        f"--save_stats={FLAGS.save_stats}: expected a name in .npz, and images for --real"
      )
    check_writable("--save_stats", FLAGS.save_stats)
  spec = evaluation_spec(FLAGS.features or "inception", FLAGS.metrics or ["frechet"], FLAGS.split)
  options = {name: FLAGS[name].value for name in ("image_size", "channels", "axes")}
  if FLAGS.save_stats and not FLAGS.fake and (others := set(spec.metrics or ()) - set(KINDS)):
    raise UsageError(
      f"--metrics: --save_stats writes no statistics for {', '.join(sorted(others))}; expected"
      " --metrics=fid or fid,sfid, or --fake=..., which the others are of"
    )
  if FLAGS.save_stats:
    count = save_statistics(FLAGS.save_stats, FLAGS.real, spec, **options)
    print(f"wrote {FLAGS.save_stats}, statistics of {count} images")
  if not FLAGS.fake:
    return
  card = score_images(FLAGS.real, FLAGS.fake, spec, count=FLAGS.num_fake, **options)
  print(format_card(card))
  if FLAGS.card:
    write_card(FLAGS.card, card)
    print(f"wrote {FLAGS.card}")


def compare(*folders: str) -> None:
  """Compares methods by their score cards.

  gan_jax compare A[,A2,...] B[,B2,...] ...      (folders of runs, or score cards)
  gan_jax compare SWEEP      (the methods in a folder of launch/sweep)
  """
  from gan_jax.run.evaluation.cards import comparing, files
  from gan_jax.run.results import naming, sweeps
  from gan_jax.run.results.table import config_differences

  if not folders or (len(folders) == 1 and not sweeps.is_sweep(folders[0])):
    raise UsageError(
      f"expected gan_jax compare A B, got {len(folders)} methods: each is the folder of a run or"
      " a score card, several with commas between, or the folder of a sweep"
    )
  methods, messages = sweeps.methods(folders)
  for message in messages:
    print(f"gan_jax: {message}", file=sys.stderr)
  read = iter(files.read_cards([path for paths in methods.values() for path in paths]))
  groups = [[next(read) for _ in paths] for paths in methods.values()]
  configs = [[naming.config_of(path) for path in paths] for paths in methods.values()]
  names = naming.names_of(configs, [paths[0] for paths in methods.values()])
  if len(groups) == 2:
    print(comparing.compare(*groups, names=(names[0], names[1]), despite=FLAGS.despite))
  else:
    print(comparing.board(dict(zip(names, groups, strict=True)), despite=FLAGS.despite))
  print(f"\n{config_differences(*configs, names=names)}")


def sample(*folders: str) -> None:
  """Draws examples from a run.

  gan_jax sample RUN [--num=64] [--out=grid.png] [--out_dir=DIR] [--npz=arrays.npz] [--sampler=NAME]
    [--labels=cat,dog] [--interpolate] [--truncation=2,1,0.5] [--neighbours=5]
    [--standing_statistics=16]
  gan_jax sample RUN --seeds=0-31 --out=page.png [--truncation=2,1] [--mix=100-105] [--layers=0-3]
  """
  from gan_jax.run.results.folder import load

  workdir, bounds, at = arguments.workdir(folders), arguments.truncation(), arguments.checkpoint()
  if FLAGS.features and not FLAGS.neighbours:
    raise UsageError("sample: --features says in what neighbours are near; give --neighbours=5 too")
  changes = arguments.overrides()
  if changes and not FLAGS.neighbours:
    raise UsageError("sample: --config.* says where data are, which --neighbours=5 alone looks at")
  if FLAGS.interpolate and bounds:
    raise UsageError("--interpolate and --truncation: a walk is not truncated; give one")
  arguments.check_asked("features")
  arguments.check_places()
  latents.check_page()
  arguments.own_file(workdir)
  if FLAGS.neighbours:
    changes = {"evaluation.features": FLAGS.features or "pixels", **changes}
  if FLAGS.sampler:
    changes = {**changes, "evaluation.sampler": FLAGS.sampler}
  run = load(workdir, at=at or "last", changes=changes)
  with arguments.of_flag("truncation"):
    run.sampler.check_truncation(*bounds)
  with arguments.of_flag("standing_statistics"):
    run = run.standing(FLAGS.standing_statistics, FLAGS.ema)
  if FLAGS.labels:
    with arguments.of_flag("labels"):
      run.sampler.example.labels(FLAGS.labels)
  if FLAGS.seeds:
    written = latents.page(run)
  elif FLAGS.neighbours:
    written = _save_neighbours(run)
  else:
    written = run.save_samples(
      FLAGS.num or 64,
      png=FLAGS.out,
      npz=FLAGS.npz,
      folder=FLAGS.out_dir,
      seed=FLAGS.seed,
      ema=FLAGS.ema,
      interpolate=FLAGS.interpolate,
      truncation=bounds,
      classes=FLAGS.labels,
    )
    _print_classes(run)
  print("\n".join(f"wrote {path}" for path in written))


def translate(*folders: str) -> None:
  """Translates a folder of images by a run's translator.

  gan_jax translate RUN --in=DIR --out=DIR [--sampler=b_to_a] [--checkpoint=best]
  """
  from gan_jax.files import check_folder
  from gan_jax.run.results.folder import load
  from gan_jax.run.results.translate import translate_folder

  workdir, at = arguments.workdir(folders), arguments.checkpoint()
  source = FLAGS["in"].value
  if not (source and FLAGS.out):
    raise UsageError("translate: expected --in=DIR, images to translate, and --out=DIR")
  check_folder("--out", FLAGS.out)
  arguments.own_file(workdir)
  changes = {"evaluation.sampler": FLAGS.sampler} if FLAGS.sampler else {}
  run = load(workdir, at=at or "last", changes=changes)
  count = translate_folder(run, source, FLAGS.out, ema=FLAGS.ema)
  print(f"wrote {count} images to {FLAGS.out}")


def export(*folders: str) -> None:
  """Exports a run's generator, for those who have no gan_jax.

  gan_jax export RUN --to=jax --out=FILE [--from_key]      (one file, which JAX opens)
  gan_jax export RUN --to=safetensors --out=DIR      (weights, config and score card)
  gan_jax export RUN --to=onnx --out=FILE.onnx      (in an environment of its own)
  gan_jax export RUN --to=web --out=DIR      (likewise; a page that samples in a browser)
  """
  from gan_jax.files import check_folder, check_writable
  from gan_jax.run.export.formats import FORMATS, write_jax

  if FLAGS.to not in FORMATS:
    raise UsageError(f"--to={FLAGS.to}: expected one of {', '.join(FORMATS)}")
  if not FLAGS.out:
    raise UsageError("export: expected --out=PATH, where to write it")
  if FLAGS.from_key and FLAGS.to != "jax":
    raise UsageError("--from_key: expected --to=jax; other formats are given latents")
  if FORMATS[FLAGS.to].is_folder:
    check_folder("--out", FLAGS.out)
  else:
    check_writable("--out", FLAGS.out)
  FORMATS[FLAGS.to].check()
  write = functools.partial(write_jax, from_key=True) if FLAGS.from_key else FORMATS[FLAGS.to].write
  run, generator = _generator(folders, FORMATS[FLAGS.to].noise)
  print(write(run, generator, pathlib.Path(FLAGS.out)))


def publish(*folders: str) -> None:
  """Writes what a model hub takes: README with scores, weights, samples; uploads nothing.

  gan_jax publish RUN --to=DIR [--checkpoint=best] [--noema]
  """
  from gan_jax.files import check_folder
  from gan_jax.run.export import formats, hub

  if not FLAGS.to:
    raise UsageError("publish: expected --to=DIR, a folder to write to")
  check_folder("--to", FLAGS.to)
  formats.check_packages(("flatbuffers", "safetensors"), formats.EXPORT)
  run, generator = _generator(folders)
  written = hub.publish(run, generator, pathlib.Path(FLAGS.to))
  print("\n".join(f"wrote {path}" for path in written))


def _generator(folders: Sequence[str], noise: bool = True) -> tuple[Any, Any]:
  """Loads a run, and builds its generator: (run, generator)."""
  from gan_jax.run.export.generator import generator_of
  from gan_jax.run.results.folder import load

  workdir, at = arguments.workdir(folders), arguments.checkpoint()
  arguments.own_file(workdir)
  changes = arguments.overrides()
  if FLAGS.sampler:
    changes["evaluation.sampler"] = FLAGS.sampler
  run = load(workdir, at=at or "last", changes=changes)
  sampler = changes.get("evaluation.sampler")
  return run, generator_of(run, sampler=sampler, ema=FLAGS.ema, noise=noise)


def _print_classes(run: Any) -> None:
  """Prints the order in which the examples of classes come."""
  from gan_jax.data.labels import listed

  example = run.sampler.example
  if example.classes:
    shown = [example.classes[i] for i in example.labels(FLAGS.labels or example.classes)]
    print(f"class by class, row after row: {listed(shown)}")


def _save_neighbours(run: Any) -> list[str]:
  """Writes examples, each at the head of a row of its nearest training images."""
  from gan_jax import plots
  from gan_jax.plots.png import save_png
  from gan_jax.run.evaluation.draws import SamplingOptions, with_neighbours

  if FLAGS.labels:
    raise UsageError("--labels and --neighbours: neighbours are shown of all classes; give one")
  bounds = arguments.truncation()
  if not FLAGS.out or FLAGS.npz or FLAGS.out_dir or FLAGS.interpolate or len(bounds) > 1:
    raise UsageError("--neighbours makes a picture of its own: give --out=FILE.png and no other")
  k, how = FLAGS.neighbours, SamplingOptions(FLAGS.ema, bounds[0] if bounds else None)
  if k > (size := run.experiment.batches.source.size or k):
    raise UsageError(f"--neighbours={k}: expected at most the {size} training images there are")
  images = with_neighbours(run, FLAGS.num or 64, k, seed=FLAGS.seed, how=how)
  save_png(FLAGS.out, plots.grid(run.sampler.shown(images), 1 + k))
  return [FLAGS.out]


def runs(*folders: str) -> None:
  """Lists the runs below a folder.

  gan_jax runs DIR [--sort=KEY] [--filter=KEY=VALUE,...]
  """
  from gan_jax.run.results import listing, table

  if len(folders) != 1:
    raise UsageError(f"expected gan_jax runs DIR, got {len(folders)} folders")
  if not all("=" in pair for pair in FLAGS.filter):
    raise UsageError(f"--filter={','.join(FLAGS.filter)}: expected KEY=VALUE, such as state=done")
  summaries = [listing.summarise_run(path) for path in listing.find_runs(folders[0])]
  chosen = listing.filter_runs(summaries, dict(pair.split("=", 1) for pair in FLAGS.filter))
  width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
  shown = listing.sort_runs(chosen, FLAGS.sort)
  print(table.table(shown, folders[0], first=listing.score_of(FLAGS.sort), width=width))


def report(*folders: str) -> None:
  """Writes a page of runs and ablations.

  gan_jax report RUN|SWEEP [...] [--out=report.html]
  """
  from gan_jax.run.report.page import write

  out = pathlib.Path(FLAGS.out or "report.html").expanduser()
  for line in write(folders, out):
    print(f"gan_jax: {line}", file=sys.stderr)
  print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)")


OF_LATENTS = (latents.project, latents.directions, latents.walk)
OUT = (export, publish)
# Commands that take folders without a flag.
WITH_FOLDERS = (evaluate, compare, sample, translate, *OF_LATENTS, *OUT, runs, report)
COMMANDS: dict[str, Callable[..., None]] = {
  command.__name__: command
  for command in (
    *(train, import_, ablate, evaluate, score, compare, sample, translate),
    *(*OF_LATENTS, *OUT, runs, report),
  )
}
# Commands that start from the config of a run.
FROM_RUN = (
  *("train", "evaluate", "sample", "translate", "project", "directions", "export", "publish"),
)
