"""Downloads and prepares a TFDS data set, once: `python -m gan_jax.data.sources.prepare NAME`.

Preparing is the one thing that needs TensorFlow (the extra `gan_jax[prepare]`), so it runs as a
process of its own; reading what it wrote does not. What would go wrong only after minutes of
TFDS's retries is looked at first.
"""

import argparse
import contextlib
import difflib
import http.client
import importlib.util
import os
import pathlib
import re
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

# With a version; names with a namespace are those of others, whose code TFDS would fetch and run.
_NAME = re.compile(r"[A-Za-z]\w*(/[\w+.-]+)?(:(\d+|\*)(\.(\d+|\*)){2}|:experimental_latest)?")
_PROBE_SECONDS = 3.0


def builder(name: str, data_dir: str | None) -> Any:
  """Returns TFDS's builder of a data set, "mnist" or with its config "name/config".

  Raises:
    ValueError: TFDS does not know the name, or its folder asks for code.
  """
  import tensorflow_datasets as tfds

  if not _NAME.fullmatch(name):
    raise ValueError(
      f"{name!r} is no name of a TFDS data set: expected name, name/config or name:version; those"
      " of a namespace are code from elsewhere, which is not run here"
    )
  data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or None
  try:
    with _only_features_of_tfds(tfds.features.FeatureConnector):
      return tfds.builder(name, data_dir=data_dir)
  except tfds.core.DatasetNotFoundError as error:
    near = difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False), 5)
    similar = f"similar names: {', '.join(near)}; " if near else ""
    raise ValueError(
      f"TFDS does not know the data set {name!r}: {similar}all names:"
      " https://www.tensorflow.org/datasets/catalog/overview"
    ) from error
  except (ValueError, RuntimeError, AssertionError) as error:  # no such config, version or syntax
    raise ValueError(f"TFDS cannot open {name!r}: {error}") from error


@contextlib.contextmanager
def _only_features_of_tfds(connector: Any) -> Iterator[None]:
  """Keeps TFDS from importing whatever module the files of a data set name as that of a feature."""
  method, find = vars(connector)["cls_from_name"], connector.cls_from_name

  def known(python_class_name: str) -> Any:
    if not python_class_name.startswith("tensorflow_datasets."):
      raise ValueError(
        f"its features.json asks for the code {python_class_name}, which is not run here: expected"
        " features of TFDS itself"
      )
    return find(python_class_name)

  connector.cls_from_name = known
  try:
    yield
  finally:
    connector.cls_from_name = method


def command(name: str, data_dir: str | None, manual_dir: str | None = None) -> list[str]:
  """Returns the command that prepares a data set, as a user would type it."""
  options = {"--data_dir": data_dir, "--manual_dir": manual_dir}
  given = [f"{flag}={value}" for flag, value in options.items() if value]
  return ["python", "-m", "gan_jax.data.sources.prepare", name, *given]


def check(dataset: Any, name: str, data_dir: str | None, manual_dir: str | None) -> None:
  """Raises if preparing cannot work, within seconds and with what to do.

  Args:
    dataset: the builder.
    name, data_dir, manual_dir: as for `prepare`.

  Raises:
    ModuleNotFoundError: TensorFlow is not installed.
    FileNotFoundError: manual_dir is needed, or is no folder.
    ConnectionError: files are missing, and there is no internet to get them from.
  """
  again = shlex.join(command(name, data_dir, manual_dir))
  by_hand = shlex.join(command(name, data_dir, manual_dir or "FOLDER"))
  if importlib.util.find_spec("tensorflow") is None:
    raise ModuleNotFoundError(
      f"the TFDS data set {name!r} must be prepared once, and that needs TensorFlow (reading it"
      " does not). Run\n  pip install 'tensorflow-cpu>=2.20'  # the extra gan_jax[prepare]\n"
      f"  {again}\nor use a data set that needs no preparing, such as mnist10k or folder:<dir>"
    )
  folder = pathlib.Path(manual_dir).expanduser() if manual_dir else None
  if folder and not folder.is_dir():
    raise FileNotFoundError(f"manual_dir: there is no folder {manual_dir}")
  if dataset.MANUAL_DOWNLOAD_INSTRUCTIONS and not manual_dir:
    raise FileNotFoundError(
      f"the TFDS data set {name!r} must be downloaded by hand into a folder; then run\n"
      f"  {by_hand}\nTFDS says: {dataset.MANUAL_DOWNLOAD_INSTRUCTIONS}"
    )
  urls = {info.filename: url for url, info in (dataset.url_infos or {}).items()}
  missing = [f for f in urls if not (folder and (folder / f).is_file())]
  if missing and not reachable(urls[missing[0]]):
    listing = "\n  ".join(urls[f] for f in missing[:8])
    raise ConnectionError(
      f"the TFDS data set {name!r} must be downloaded once, and the internet cannot be reached."
      f" Run\n  {again}\nwhere it can, and copy what that writes; or put these files\n"
      f"  {listing}\ninto a folder and run\n  {by_hand}"
    )


def reachable(url: str) -> bool:
  """Returns whether anything at all answers at a URL (a proxy of the environment is used)."""
  request = urllib.request.Request(url, method="HEAD")
  try:
    with urllib.request.urlopen(request, timeout=_PROBE_SECONDS):
      return True
  except (urllib.error.HTTPError, http.client.HTTPException):
    return True  # an answer, if not a friendly one
  except OSError:
    return False


def prepare(name: str, data_dir: str | None = None, manual_dir: str | None = None) -> None:
  """Downloads a TFDS data set and writes it in a format that is read without TensorFlow.

  Args:
    name: of the data set, such as "mnist" or "cifar10".
    data_dir: where to write it; None means $TFDS_DATA_DIR or TFDS's own default.
    manual_dir: a folder with official files that need not be downloaded; checksums are compared.
  """
  import tensorflow_datasets as tfds

  dataset = builder(name, data_dir)
  check(dataset, name, data_dir, manual_dir)
  # A folder for each data set: TFDS names extracted files by base name alone, so that in a common
  # folder Fashion-MNIST would silently become a copy of MNIST.
  extracted = pathlib.Path(dataset.data_dir_root) / "downloads" / "extracted" / dataset.name
  config = tfds.download.DownloadConfig(
    manual_dir=manual_dir,
    extract_dir=extracted,
    try_download_gcs=False,
    force_checksums_validation=bool(dataset.url_infos),
  )
  dataset.download_and_prepare(download_config=config, file_format="array_record")


def main() -> None:
  """Prepares the data set named on the command line."""
  parser = argparse.ArgumentParser(
    prog="python -m gan_jax.data.sources.prepare", description=__doc__
  )
  parser.add_argument("name", help="as TFDS calls it, such as mnist or cifar10")
  parser.add_argument("--data_dir", help="where to write it; default $TFDS_DATA_DIR")
  parser.add_argument("--manual_dir", help="a folder with official files already downloaded")
  arguments = parser.parse_args()
  try:
    prepare(arguments.name, arguments.data_dir, arguments.manual_dir)
  except (ValueError, OSError, ModuleNotFoundError) as error:
    sys.exit(f"error: {error}")


if __name__ == "__main__":
  main()
