"""The commands of a trained generator's latents: `project`, `directions`, `walk`, and pages."""

import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gan_jax.run.cli import arguments
from gan_jax.run.cli.flags import FLAGS
from gan_jax.run.cli.usage import UsageError

if TYPE_CHECKING:
  import numpy as np

METHODS = {"sefa": "SeFa", "pca": "Principal components"}
NUMBER = 8  # of directions
COLUMNS = 9  # of a row along a direction
WALKS = 16  # side by side, of no seeds of their own
MOST = 10_000  # numbers of a flag


def project(*folders: str) -> None:
  """Projects images to latents: prints how near they come, and shows both side by side.

  gan_jax project RUN --images=FILE.png|DIR|FILE.npz|NAME [--split=test] [--num=16]
    [--out=pairs.png] [--npz=latents.npz] [--space=w+] [--features=vgg16] [--labels=3]
    [--neighbours=1] [--steps=300]
  """
  import numpy as np

  from gan_jax.data import stored_levels
  from gan_jax.files import save_arrays
  from gan_jax.plots.images import strips
  from gan_jax.plots.png import save_png
  from gan_jax.run.latents import project as projection
  from gan_jax.run.latents.pages import IN_ROW

  if not FLAGS.images:
    raise UsageError("project: expected --images, a file, a folder or a data set")
  if FLAGS.out or FLAGS.npz:
    arguments.check_places()
  if FLAGS.neighbours > 1:
    raise UsageError("--neighbours: project shows the nearest training image alone, --neighbours=1")
  arguments.check_asked("features")
  space = _space(folders)
  run, count = space.run, FLAGS.num or 16
  options = {"split": FLAGS.split, "n": count, "seed": FLAGS.seed}
  targets, labels, changed = projection.load_targets(run, FLAGS.images, **options)
  if changed:
    print(changed, flush=True)
  if FLAGS.labels:
    labels = _labels(space, len(targets))
    if labels.ndim > 1:
      raise UsageError("--labels: a run conditional on vectors takes those of the nearest draw")
  near = projection.nearest_training_images(run, targets) if FLAGS.neighbours else None
  features = projection.extractor_of(run, FLAGS.features)
  how: dict[str, Any] = {"labels": labels, "features": features}
  projected = projection.project(space, targets, **how, steps=FLAGS.steps, starts=FLAGS.starts)
  by = "pixels" if features is None else f"pixels and {features.card['name']}"
  print(
    f"{len(targets)} images in {space.name}, by {by}: PSNR {_spread(projected.psnr)} dB, loss"
    f" {_spread(projected.losses, '.2g')}"
  )
  pictures = {"image": targets, "projection": projected.images}
  if near is not None:
    levels = lambda x: stored_levels(x, run.example.scale)
    of_near = projection.psnr(levels(near), levels(targets))
    better = int((projected.psnr > of_near).sum())
    print(
      f"nearest training images: PSNR {_spread(of_near)} dB; {better} of {len(targets)}"
      " projections are nearer"
    )
    pictures["nearest"] = near
  if FLAGS.out:
    rows = np.stack([space.shown(x) for x in pictures.values()])
    image = strips(rows, list(pictures), [f"{db:.1f} dB" for db in projected.psnr], IN_ROW)
    save_png(FLAGS.out, image, f"{', '.join(pictures)}, row by row")
  if FLAGS.npz:
    arrays = {"latents": projected.latents, "x": projected.images, "psnr": projected.psnr}
    of = {} if projected.labels is None else run.example.written(projected.labels)
    save_arrays(FLAGS.npz, arrays | {"loss": projected.losses, "targets": targets} | of)
  _print_written()


def directions(*folders: str) -> None:
  """Computes the directions in which latents change examples most, and shows rows along them.

  gan_jax directions RUN [--method=sefa|pca] [--num=8] [--out=rows.png|page.html]
    [--npz=directions.npz] [--space=z] [--reach=3] [--seeds=0,1] [--labels=3] [--features=vgg16]
  """
  from gan_jax.files import save_arrays
  from gan_jax.run.latents import directions as module
  from gan_jax.run.latents import sliders
  from gan_jax.run.latents.project import extractor_of

  if FLAGS.out or FLAGS.npz:
    arguments.check_places(".html")
  arguments.check_asked("features")
  _check_finite("reach")
  if FLAGS.space == "w+":
    raise UsageError("--space=w+: directions are of z or w, all layers alike")
  seeds, space = _seeds() or [0], _space(folders)
  label, of_sliders = _labels(space, 1), (FLAGS.out or "").lower().endswith(".html")
  if of_sliders:
    with arguments.of_flag("out"):
      sliders.check(FLAGS.num or NUMBER, len(seeds), space.run.example.shape)
  features = extractor_of(space.run, FLAGS.features or "pixels")
  chosen = module.directions_of(space, FLAGS.method, FLAGS.num or NUMBER, labels=label)
  lengths = module.path_lengths(space, chosen, FLAGS.reach, labels=label, features=features)
  share = {"sefa": "of |A|^2", "pca": "of variance"}[FLAGS.method]
  print(f"direction  {share:>12}  path length")
  for i, (value, length) in enumerate(zip(chosen.values, lengths, strict=True)):
    print(f"{i:9}  {value:12.1%}  {length:11.4g}")
  if FLAGS.out:
    columns = sliders.STEPS if of_sliders else COLUMNS
    moved = module.pictures_along(space, chosen, seeds, FLAGS.reach, columns, label)
    if of_sliders:
      pairs = zip(chosen.values, lengths, strict=True)
      _save_sliders(space, moved, share, [f"{a:.1%}, {b:.3g}" for a, b in pairs])
    else:
      _save_rows(space, moved)
  if FLAGS.npz:
    save_arrays(FLAGS.npz, {**chosen._asdict(), "path_length": lengths})
  _print_written()


def _save_rows(space: Any, moved: "np.ndarray") -> None:
  """Writes a row of each direction and seed."""
  import numpy as np

  from gan_jax.plots.images import sheet
  from gan_jax.plots.png import save_png

  k, n, columns = moved.shape[:3]
  names = [str(i) if j == 0 else "" for i in range(k) for j in range(n)]
  steps = [f"{step:+.3g}" for step in np.linspace(-FLAGS.reach, FLAGS.reach, columns)]
  image = sheet(moved.reshape(k * n, *moved.shape[2:]), names, steps)
  about = f"{FLAGS.method} of {space.name}: a direction in a row for each seed, steps in std"
  save_png(FLAGS.out, image, about)


def _save_sliders(space: Any, moved: "np.ndarray", share: str, notes: Sequence[str]) -> None:
  """Writes a page with a slider for each direction."""
  from gan_jax.files import atomic_write
  from gan_jax.run.latents import sliders

  run, n = space.run, moved.shape[1]
  title = f"Directions of {run.folder.workdir.resolve().name}"
  about = (
    f"{METHODS[FLAGS.method]} of {space.name} after {int(run.state.round):,} rounds. Each slider"
    f" moves {'one example' if n == 1 else f'{n} examples'} along one direction. Numbers are its"
    f" share {share} and the path length along it."
  )
  text = sliders.page(moved, FLAGS.reach, notes, title, about)
  with atomic_write(FLAGS.out) as temporary:
    temporary.write_text(text, encoding="utf-8")


def walk(*folders: str) -> None:
  """Writes a film of a walk through latents, truncations or classes that ends where it began.

  gan_jax walk RUN --out=walk.gif|walk.mp4 [--num=16] [--seeds=3,17,42] [--space=z] [--seconds=1]
  gan_jax walk RUN --out=walk.gif --truncation=1,0.5,0.2
  gan_jax walk RUN --out=walk.gif --labels=3,8
  """
  from gan_jax.files import check_writable
  from gan_jax.plots.images import check_film, save_film
  from gan_jax.run.latents import walk as module

  if not FLAGS.out:
    raise UsageError("walk: say where to write, --out=walk.gif or --out=walk.mp4")
  try:
    with arguments.of_flag("out"):
      check_film(FLAGS.out)
  except ImportError as error:
    raise UsageError(f"--out={FLAGS.out}: {error}") from error
  check_writable("--out", FLAGS.out)
  bounds, seeds = arguments.truncation(), _seeds()
  for flag in ("seconds", "fps"):
    _check_finite(flag)
  if len(bounds) > 1 and len(FLAGS.labels) > 1:
    raise UsageError(
      "--truncation and --labels: a walk is through one of them; give several of one"
    )
  if FLAGS.space == "w+":
    raise UsageError("--space=w+: draws of the prior have one style in all layers; expected z or w")
  space = _space(folders)
  with arguments.of_flag("truncation"):
    space.sampler.check_truncation(*bounds)
  frames = max(1, round(FLAGS.fps * FLAGS.seconds))
  staying = len(bounds) > 1 or len(FLAGS.labels) > 1  # latents stay as they are
  n = FLAGS.num or (len(seeds) if staying else 1 if seeds else 0) or WALKS
  drawn = n if staying else module.STOPS * n
  z = space.of_prior(seeds) if seeds else space.sampler.latents(drawn, FLAGS.seed)
  if len(z) % n or (staying and len(z) != n):
    raise UsageError(f"--num={n}: expected a number of walks that share {len(z)} seeds")
  if len(bounds) > 1:
    steps = module.of_truncation(space, z, _labels(space, n), frames, bounds)
  elif staying:
    with arguments.of_flag("labels"):
      of = space.run.example.labels(FLAGS.labels)
      steps = module.of_labels(space, z, of, frames, *bounds)
  else:
    stops = z.reshape(-1, n, z.shape[1])
    steps = module.of_latents(space, stops, _labels(space, n), frames, *bounds)
  save_film(FLAGS.out, module.film(space, steps), FLAGS.fps)
  size = pathlib.Path(FLAGS.out).stat().st_size
  print(f"wrote {FLAGS.out} ({size / 1e6:.2f} MB)")


def page(run: Any) -> list[str]:
  """Writes a page of seeds, by truncation or with mixed styles: what `sample --seeds` does.

  Args:
    run: run at a checkpoint; `check_page` has looked at the flags.
  """
  from gan_jax.plots.png import save_png
  from gan_jax.run.latents import pages
  from gan_jax.run.latents.space import LatentSpace

  seeds, across, bounds = _seeds(), _seeds("mix"), arguments.truncation()
  if not across:
    space = LatentSpace(run, ema=FLAGS.ema, sampler=FLAGS.sampler)
    image = pages.seeds(space, seeds, _labels(space, len(seeds)), bounds)
  else:
    with arguments.of_flag("mix"):
      space = LatentSpace(run, "w", ema=FLAGS.ema, sampler=FLAGS.sampler)
    layers = numbers("layers") or list(range(space.rows // 2))
    label = _labels(space, 1)
    with arguments.of_flag("layers"):
      image = pages.mixing(space, seeds, across, layers, label, *bounds)
  save_png(FLAGS.out, image)
  return [FLAGS.out]


def check_page() -> None:
  """Refuses flags of `sample` that a page of seeds does not take, before the run is read."""
  if (FLAGS.mix or FLAGS.layers) and not FLAGS.seeds:
    raise UsageError("sample: --mix mixes styles of seeds; give --seeds=0-5 too")
  if not FLAGS.seeds:
    return
  _seeds()
  mixed = _seeds("mix")
  if FLAGS.layers and not mixed:
    raise UsageError("sample: --layers are those that --mix mixes; give --mix=100-105 too")
  numbers("layers")
  if not FLAGS.out or FLAGS.npz or FLAGS.out_dir or FLAGS.interpolate or FLAGS.neighbours:
    raise UsageError("--seeds makes a picture of its own: give --out=FILE.png and no other")
  if FLAGS.num or FLAGS.seed:
    raise UsageError(
      "--seeds says how many examples and of which seeds: leave out --num and --seed"
    )
  if FLAGS.mix and len(FLAGS.truncation) > 1:
    raise UsageError(f"--truncation={','.join(FLAGS.truncation)}: --mix takes one bound")


def numbers(flag: str) -> list[int]:
  """Returns the numbers of a flag, such as 0-3,8: those of a range and single ones."""
  listed: list[int] = []
  given: list[str] = FLAGS[flag].value or []
  for part in given:
    first, _, last = part.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
      raise UsageError(f"--{flag}={','.join(given)}: expected numbers such as 0-3,8")
    if len(listed) + int(last or first) - int(first) >= MOST:
      raise UsageError(f"--{flag}={','.join(given)}: expected at most {MOST:,} numbers")
    listed += range(int(first), int(last or first) + 1)
  return listed


def _seeds(flag: str = "seeds") -> list[int]:
  seeds = numbers(flag)
  if any(seed >= 1 << 28 for seed in seeds):
    raise UsageError(f"--{flag}={','.join(FLAGS[flag].value or [])}: expected numbers below 2**28")
  return seeds


def _check_finite(flag: str) -> None:
  value: Any = FLAGS[flag].value
  if not math.isfinite(value):
    raise UsageError(f"--{flag}={value}: expected a number that is finite")


def _space(folders: Sequence[str]) -> Any:
  """Loads a run, and the space of its latents that is named."""
  from gan_jax.run.latents.space import LatentSpace
  from gan_jax.run.results.folder import load

  workdir, at = arguments.workdir(folders), arguments.checkpoint()
  arguments.own_file(workdir)
  of = {"evaluation.features": FLAGS.features} if FLAGS.features else {}
  changes = {**of, **arguments.overrides()}
  run = load(workdir, at=at or "last", changes=changes)
  how: dict[str, Any] = {"ema": FLAGS.ema, "sampler": changes.get("evaluation.sampler")}
  if FLAGS.space:
    with arguments.of_flag("space"):
      return LatentSpace(run, FLAGS.space, **how)
  return LatentSpace(run, **how)


def _labels(space: Any, n: int) -> Any:
  with arguments.of_flag("labels"):
    return space.labels(n, FLAGS.labels)


def _spread(values: "np.ndarray", form: str = ".1f") -> str:
  return f"{values.mean():{form}} ({values.min():{form}} to {values.max():{form}})"


def _print_written() -> None:
  for path in filter(None, (FLAGS.out, FLAGS.npz)):
    print(f"wrote {path}")
