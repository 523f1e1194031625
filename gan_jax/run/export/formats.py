"""The formats of a generator outside of its run: what each needs, and how it is written."""

import importlib.util
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from gan_jax.files import atomic_write
from gan_jax.run.export import onnx, stablehlo, web, weights
from gan_jax.run.export.generator import Generator
from gan_jax.run.results.run import Run

ONNX = """an environment of its own, in the folder of the repository:
  python3 -m venv onnx
  onnx/bin/pip install -e '.[onnx]'
  onnx/bin/gan_jax export ..."""


class Format(NamedTuple):
  """A format.

  Attributes:
    packages: packages that it needs.
    where: what to do where they are not installed.
    is_folder: whether it is a folder of files.
    noise: whether it can draw noise within networks.
    write: (run, generator, path) -> description of what was written.
  """

  packages: tuple[str, ...]
  where: str
  is_folder: bool
  noise: bool
  write: Callable[[Run, Generator, pathlib.Path], str]

  def check(self) -> None:
    """Raises ModuleNotFoundError if a package is not installed."""
    check_packages(self.packages, self.where)


def check_packages(packages: tuple[str, ...], where: str) -> None:
  """Raises ModuleNotFoundError if one of the packages is not installed."""
  if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
    raise ModuleNotFoundError(f"this needs {', '.join(missing)}: {where}")


def write_jax(run: Run, generator: Generator, path: pathlib.Path, *, from_key: bool = False) -> str:
  """Writes a generator for JAX; returns its size and how it is opened."""
  written = stablehlo.serialized(generator, from_key=from_key)
  with atomic_write(path) as temporary:
    temporary.write_bytes(written)
  lines = stablehlo.usage(generator, str(path), from_key=from_key)
  return f"{_size(path)}; with jax and flatbuffers alone:\n{lines}"


def _write_weights(run: Run, generator: Generator, folder: pathlib.Path) -> str:
  return "\n".join(map(_size, weights.write_weights(run, generator, folder)))


def _write_onnx(run: Run, generator: Generator, path: pathlib.Path) -> str:
  model, error = onnx.model_of(generator)
  with atomic_write(path) as temporary:
    temporary.write_bytes(model)
  return f"{_size(path)}; {DIFFERENCE.format(error)}"


def _write_web(run: Run, generator: Generator, folder: pathlib.Path) -> str:
  web.check(run, generator)
  model, error = onnx.model_of(generator)
  web.write_page(run, generator, model, folder)
  return f"{_size(folder)}: open index.html; {DIFFERENCE.format(error)}"


def _size(path: pathlib.Path) -> str:
  files = path.iterdir() if path.is_dir() else [path]
  return f"wrote {path} ({sum(file.stat().st_size for file in files) / 1e6:.2f} MB)"


DIFFERENCE = "onnxruntime differs from JAX by {:.1e} at most"
EXPORT = "pip install flatbuffers safetensors  # the extra gan_jax[export]"
FORMATS = {
  "jax": Format(("flatbuffers",), EXPORT, False, True, write_jax),
  "safetensors": Format(("safetensors",), EXPORT, True, True, _write_weights),
  "onnx": Format(("jax2onnx", "onnxruntime"), ONNX, False, False, _write_onnx),
  "web": Format(("jax2onnx", "onnxruntime"), ONNX, True, False, _write_web),
}
