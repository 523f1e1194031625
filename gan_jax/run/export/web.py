"""A folder with a page that samples in the browser, by onnxruntime-web and without a network."""

import base64
import hashlib
import json
import pathlib
import shutil
import subprocess
import tarfile
from typing import Any

from gan_jax.files import atomic_write, cache_folder
from gan_jax.run.export.generator import Generator
from gan_jax.run.results.run import Run

ASSETS = pathlib.Path(__file__).parent / "assets"
RUNTIME = "onnxruntime-web@1.30.0"  # MIT; fetched by npm, once
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
MODULE = "package/dist/ort.wasm.bundle.min.mjs"
WASM = "package/dist/ort-wasm-simd-threaded.wasm"


def check(run: Run, generator: Generator) -> None:
  """Refuses what a page cannot draw.

  Raises:
    ValueError: examples that are no images, inputs that are not latents of one distribution, or a
      damaged runtime.
    OSError: npm, which fetches the runtime, is not installed, or cannot fetch it.
  """
  example = run.folder.example
  if example.kind != "images" or example.shape[-1] not in (1, 3):
    raise ValueError(
      f"a page shows images of 1 or 3 channels, and these examples are {example.kind} of the shape"
      f" {tuple(example.shape)}: --to=onnx writes the model alone"
    )
  if "latent" not in run.config or "z" not in generator.inputs or example.condition_dim is not None:
    raise ValueError(
      "a page draws latents of one distribution, and classes; the inputs of this generator are"
      f" others ({', '.join(generator.inputs)}): --to=onnx writes the model alone"
    )
  if not _archive().is_file() and shutil.which("npm") is None:
    raise FileNotFoundError(f"npm fetches {RUNTIME}, once, and is not installed: install Node.js")
  _runtime()


def write_page(run: Run, generator: Generator, model: bytes, folder: pathlib.Path) -> None:
  """Writes the page, the model and the runtime; opening index.html is all that it takes.

  Args:
    run: run of images.
    generator: the generator.
    model: the generator as ONNX.
    folder: folder to write to.
  """
  runtime = _runtime()
  folder.mkdir(parents=True, exist_ok=True)
  # Scripts and no files to be fetched: a browser fetches none for a page that no server sent.
  scripts = {
    "runtime.js": f"const RUNTIME = {json.dumps(runtime)};\n",
    "model.js": f"const ABOUT = {json.dumps(about(run, generator))};\n"
    f"const MODEL = {json.dumps(base64.b64encode(model).decode())};\n",
  }
  for path in ASSETS.iterdir():
    shutil.copyfile(path, folder / path.name)
  for name, text in scripts.items():
    with atomic_write(folder / name) as temporary:
      temporary.write_text(text, encoding="utf-8")


def about(run: Run, generator: Generator) -> dict[str, Any]:
  """Describes a generator to the page."""
  latent = run.config.latent
  return {
    "name": f"{run.folder.workdir.resolve().name}, round {int(run.state.round):,}",
    "dim": generator.inputs["z"].shape[0],
    "latent": latent.name,
    "scale": latent.scale if latent.name != "truncated" else 1.0,
    "bound": latent.bound if latent.name == "truncated" else None,
    "styled": "psi" in generator.inputs,
    "classes": run.folder.example.classes if "y" in generator.inputs else [],
    "shape": generator.shape,
  }


def _archive() -> pathlib.Path:
  return cache_folder() / f"{RUNTIME.replace('@', '-')}.tgz"


def _runtime() -> dict[str, str]:
  """Returns the runtime's module, as text, and its WebAssembly in base 64."""
  archive = _archive()
  if not archive.is_file():
    archive.parent.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", RUNTIME, f"--pack-destination={archive.parent}", "--silent"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
      raise ConnectionError(f"npm could not fetch {RUNTIME}: {done.stderr.strip()[:200]}")
  if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
    raise ValueError(f"{archive} is not {RUNTIME}, or is damaged: remove it")
  with tarfile.open(archive) as files:
    read = lambda name: files.extractfile(name).read()  # type: ignore[union-attr]
    return {"module": read(MODULE).decode(), "wasm": base64.b64encode(read(WASM)).decode()}
