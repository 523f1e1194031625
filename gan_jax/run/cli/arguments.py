"""Values of flags, and of folders beside them, checked together before any work."""

import contextlib
import math
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict, config_flags

from gan_jax.run.cli.flags import FLAGS
from gan_jax.run.cli.usage import UsageError


def own_file(workdir: pathlib.Path) -> dict[str, str] | None:
  """Describes the file of --config, and says whether it is another one than a run's by now.

  Without one, a run is refused that names what only its file registers.
  """
  from gan_jax.run.config import register, stored

  file = config_flags.get_config_filename(FLAGS["config"]) if FLAGS["config"].present else None
  if file is None or file.startswith(f"{stored.__file__}:"):
    register.check_registered(workdir)
    return None
  if change := register.change_of_source(workdir, file):
    print(f"gan_jax: warning: {change}", file=sys.stderr)
  return register.source_of(file)


def overrides() -> dict[str, Any]:
  """Lists what --config.KEY=VALUE says of a run's own config."""
  return config_flags.get_override_values(FLAGS["config"]) if FLAGS["config"].present else {}


def check_read(config: ConfigDict) -> None:
  """Refuses --config.KEY=VALUE of what a config has switched off, which nothing would read."""
  from gan_jax.run.config import complete
  from gan_jax.run.config.roles import is_within
  from gan_jax.run.config.sections.kinds.games import idle

  config = complete(config)
  for section, why in idle(config).items():
    for key in overrides():
      if is_within(key, [section]):
        raise UsageError(f"--config.{key}: nothing reads it, as {why}; leave it out")


def check_places(*endings: str) -> None:
  """Refuses places that samples cannot be written to, before any are drawn.

  Args:
    *endings: endings that --out may have beside .png.
  """
  from gan_jax.files import check_folder, check_writable

  if not (FLAGS.out or FLAGS.out_dir or FLAGS.npz):
    raise UsageError(
      "sample: say where to write, --out=grid.png, --out_dir=samples/ or --npz=arrays.npz"
    )
  if FLAGS.out:
    kind = pathlib.Path(FLAGS.out).suffix.lower()
    if kind not in (".png", *endings):
      expected = " or ".join((".png", *endings)) + _NO_PICTURES.get(kind, "")
      raise UsageError(f"--out={FLAGS.out}: expected a name in {expected}")
    check_writable("--out", FLAGS.out)
  if FLAGS.npz:
    if not FLAGS.npz.endswith(".npz"):
      raise UsageError(f"--npz={FLAGS.npz}: expected a name in .npz; pictures are --out=grid.png")
    check_writable("--npz", FLAGS.npz)
  if FLAGS.out_dir:
    check_folder("--out_dir", FLAGS.out_dir)


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


def truncation() -> list[float]:
  """Returns the bounds of --truncation; which of them a run takes its sampler knows."""
  with contextlib.suppress(ValueError):
    bounds = [float(bound) for bound in FLAGS.truncation]
    if all(map(math.isfinite, bounds)):
      return bounds
  raise UsageError(f"--truncation={','.join(FLAGS.truncation)}: expected numbers")


def checkpoint() -> str | None:
  """Returns what --checkpoint names."""
  at = FLAGS.checkpoint
  if at not in (None, "last", "best") and not at.isdecimal():
    raise UsageError(f"--checkpoint={at}: expected last, best, or a round")
  return at


def check_asked(*names: str) -> None:
  """Refuses flags of how images are scored that cannot be, before anything is read."""
  from gan_jax.run.config.sections.evaluation import AUTO, evaluation_spec

  for name in names:
    if FLAGS[name].value is not None:
      given: dict[str, Any] = {"features": AUTO, "metrics": (AUTO,), "real": AUTO}
      with of_flag(name):
        evaluation_spec(**(given | {name: FLAGS[name].value}))


@contextlib.contextmanager
def of_flag(name: str) -> Iterator[None]:
  """Raises a ValueError as one of a flag, with its name and its value."""
  try:
    yield
  except ValueError as error:
    value = FLAGS[name].value
    shown = ",".join(value) if isinstance(value, list) else value
    raise UsageError(f"--{name}={shown}: {error}") from error


def workdir(folders: Sequence[str] = ()) -> pathlib.Path:
  """Returns the folder of the run, which --workdir names or, of some commands, a bare word."""
  named = (*folders, *filter(None, [FLAGS.workdir]))
  given = {pathlib.Path(folder).expanduser().resolve(): folder for folder in named}
  if len(given) > 1:
    raise UsageError(
      f"expected the folder of one run, got {len(given)}: {', '.join(given.values())}"
    )
  if not given:
    raise UsageError("--workdir: expected the folder of the run, e.g. --workdir=runs/mnist_dcgan")
  return pathlib.Path(*given.values()).expanduser()
