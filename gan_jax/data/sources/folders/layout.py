"""The split and the class of each file of a user's folder; `folder.py` lists the forms.

Where names alone do not decide, a warning says how they were taken, or they are refused.
"""

import collections
import json
import logging
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.data.source import SPLITS
from gan_jax.data.sources.folders.trees import Tree, folder_tree, zip_tree
from gan_jax.data.sources.images import SUFFIXES
from gan_jax.files import JSON_LIMIT

_LOG = logging.getLogger(__name__)

_DOMAIN = re.compile(r"(train|test|val)([ab])", re.IGNORECASE)  # of CycleGAN's folders
_SHARD, _IN_SHARD = re.compile(r"\d{5}"), re.compile(r"\d{5}/img\d{8}\.\w+")  # of StyleGAN's
_STYLEGAN = "dataset.json"


def splits_of(name: str, root: pathlib.Path, split: str) -> Mapping[str, Tree]:
  """Returns the splits of a folder or zip.

  Args:
    name: name of the data in error messages.
    root: folder or zip.
    split: that will be opened; what is odd or left out is told for "train" alone.

  Returns:
    {"train" or "test": what is in it}.

  Raises:
    FileNotFoundError: there is nothing.
    ValueError: nobody knows what the folders are, or it is another file.
  """
  if root.is_dir():
    if split == "test" and (other := _other_split(root)):
      return {"test": folder_tree(other), "train": folder_tree(root)}
    tree = folder_tree(root)
  elif root.is_file() and root.suffix.lower() == ".zip":
    tree = zip_tree(root)
  elif root.is_file():
    form = f"npz:{root}" if root.suffix.lower() == ".npz" else "folder:DIR, zip:FILE or npz:FILE"
    raise ValueError(
      f"{name}: {root.absolute()} is a file, and not a zip of images: expected {form}. Turn what is"
      " in other files into one of them"
    )
  else:
    raise FileNotFoundError(f"{name}: there is no folder {root.absolute()}, nor a zip")
  if split == "train":
    _warn_left_out(name, tree)
  return _splits(_unwrapped(tree, split == "train"), split)


def image_names(root: pathlib.Path) -> list[str]:
  """Lists the images below a folder or in a zip, whatever their splits and classes."""
  return _images(folder_tree(root) if root.is_dir() else zip_tree(root))


def _other_split(root: pathlib.Path) -> pathlib.Path | None:
  """Returns the folder testA beside trainA, if any."""
  if not (match := _DOMAIN.fullmatch(root.name)) or match[1].lower() != "train":
    return None
  wanted = f"test{match[2]}".lower()
  return next((p for p in root.absolute().parent.iterdir() if p.name.lower() == wanted), None)


def _unwrapped(tree: Tree, tell: bool) -> Tree:
  """Goes down while all there is is one folder of folders, as in a zip of a folder."""
  while _STYLEGAN not in tree.names and not _loose(tree) and len(only := _folders(tree)) == 1:
    inner = tree.below(only[0])
    special = only[0].lower() in SPLITS or _SHARD.fullmatch(only[0]) or _DOMAIN.fullmatch(only[0])
    if special or _loose(inner):
      break
    if tell:
      _LOG.warning("%s: all images are in %s, whose folders are used", tree.where, only[0])
    tree = inner
  return tree


def _splits(tree: Tree, split: str) -> Mapping[str, Tree]:
  """Returns the splits, told by names from classes: {"train" or "test": its files}."""
  folders, loose = _folders(tree), _loose(tree)
  if domains := [folder for folder in folders if _DOMAIN.fullmatch(folder)]:
    first = next((folder for folder in domains if folder.lower() == "traina"), domains[0])
    raise ValueError(
      f"{tree.where} has images of two domains, in {', '.join(domains)}: name one of them, such as"
      f" folder:{tree.where}/{first}"
    )
  kinds = {folder: SPLITS[folder.lower()] for folder in folders if folder.lower() in SPLITS}
  rest = [folder for folder in folders if folder not in kinds]
  if not kinds or _STYLEGAN in tree.names:
    return {"train": tree}
  if rest and "train" in kinds.values() and len(kinds) > 1:
    raise ValueError(
      f"{tree.where} has folders {', '.join(kinds)} beside {', '.join(rest[:3])}, so that nobody"
      f" knows whether they are splits or classes: if splits, move the others away; if classes, put"
      f" all of them into {tree.where}/train"
    )
  if rest or loose:
    if split == "train":
      _LOG.warning(
        "%s: the folder %s is taken for a class, as %s beside it are; if it is the training split,"
        " name it: folder:%s/%s",
        *(tree.where, ", ".join(kinds), ", ".join(rest[:3]) or "images", tree.where),
        next(iter(kinds)),
      )
    return {"train": tree}
  by_kind = {kind: folder for folder, kind in kinds.items()}
  if len(by_kind) < len(kinds):
    raise ValueError(
      f"{tree.where} has folders {', '.join(kinds)}, some for the same split: rename or remove one"
    )
  if split == "train" and {"validation", "test"} <= by_kind.keys():
    _LOG.warning(
      "%s: %s is left out, as %s is the test split",
      tree.where,
      by_kind["validation"],
      by_kind["test"],
    )
  by_kind.setdefault("test", by_kind.pop("validation", ""))
  return {kind: tree.below(folder) for kind, folder in by_kind.items() if folder}


def listing(tree: Tree, tell: bool = True) -> tuple[Sequence[str], np.ndarray | None]:
  """Lists the images of a split and their labels.

  Args:
    tree: the files of the split.
    tell: whether to say what might have been meant otherwise.

  Returns:
    (names of the images, in the order of these, class by class; their labels as folders or
    StyleGAN's file have them, [N], None without classes).

  Raises:
    FileNotFoundError: no images, or a class without any.
    ValueError: images with and without classes, or labels that cannot be read.
  """
  images, loose, folders = _images(tree), _loose(tree), _folders(tree)
  if not images:
    raise FileNotFoundError(_no_images(tree.where))
  if (known := _stylegan_labels(tree)) is not None:
    return images, known(images)
  if loose and folders:
    raise ValueError(
      f"{tree.where} has images ({loose[0]}, ...) beside folders ({folders[0]}, ...): either every"
      " image lies in the folder of its class, or there are no folders"
    )
  if not folders:
    return loose, None
  if empty := sorted(
    {n[:-1] for n in tree.names if n.endswith("/") and n.count("/") == 1} - {*folders}
  ):
    raise FileNotFoundError(_no_images(f"{tree.where}/{empty[0]}"))
  if all(map(_IN_SHARD.fullmatch, images)):
    return images, None
  if tell:
    _warn_of_classes(tree.where, folders, images)
  by_class = sorted(images, key=lambda n: (n.split("/")[0], n))
  return by_class, np.array([n.split("/")[0] for n in by_class])


def _warn_of_classes(where: str, folders: Sequence[str], images: Sequence[str]) -> None:
  """Warns of folders that are taken for classes, and may be none."""
  if len(folders) == 1:
    _LOG.warning("%s: all images are in %s, and so of one class", where, folders[0])
  if all(map(_SHARD.fullmatch, folders)):
    _LOG.warning(
      "%s: the folders %s, ... are taken for classes; if they are parts of one set, put a file %s"
      ' there that says {"labels": null}',
      *(where, folders[0], _STYLEGAN),
    )
  below = {name.split("/")[1] for name in images if name.count("/") > 1}
  if splits := sorted(folder for folder in below if folder.lower() in SPLITS):
    _LOG.warning(
      "%s: images in folders %s below those of classes are used alike; folders of splits come above"
      " those of classes",
      *(where, ", ".join(splits)),
    )


def _images(tree: Tree) -> list[str]:
  return [name for name in tree.names if name.lower().endswith(SUFFIXES)]


def _loose(tree: Tree) -> list[str]:
  return [n for n in _images(tree) if "/" not in n]


def _folders(tree: Tree) -> list[str]:
  """Lists the folders that have images in them or below."""
  return sorted({n.split("/")[0] for n in _images(tree) if "/" in n})


def _stylegan_labels(tree: Tree) -> Callable[[Sequence[str]], np.ndarray | None] | None:
  """Reads the labels of StyleGAN's form: names of images -> labels; None if it is not that form.

  They are looked up by name: their order in the file means nothing.
  """
  if _STYLEGAN not in tree.names:
    return None
  where = f"{tree.where}/{_STYLEGAN}"
  try:
    with tree.file(_STYLEGAN).open("rb") as file:
      content = file.read(JSON_LIMIT + 1)
    if len(content) > JSON_LIMIT:
      raise ValueError(f"it has more than {JSON_LIMIT} bytes")
    values: Any = json.loads(content)
    if not isinstance(values, dict) or "labels" not in values:
      return None  # of another program
    pairs = None if values["labels"] is None else dict(values["labels"])
    if pairs is not None and len(pairs) < len(values["labels"]):
      raise ValueError("it names an image twice")
  except Exception as error:  # no JSON, too deep, no pairs, or a damaged zip
    raise ValueError(
      f'{where} cannot be read ({error}): expected {{"labels": [[name, class], ...]}}'
      f' or {{"labels": null}}'
    ) from error
  if pairs is None:
    return lambda names: None
  pairs = {str(key).replace("\\", "/"): value for key, value in pairs.items()}

  def labels(names: Sequence[str]) -> np.ndarray:
    if missing := [n for n in names if n not in pairs]:
      raise ValueError(
        f"{where} has no label for {missing[0]} ({len(missing)} of {len(names)} images): add it,"
        ' remove the image, or write {"labels": null} to use none'
      )
    if odd := [n for n in names if type(pairs[n]) is not int or pairs[n] >= 1 << 63]:
      raise ValueError(
        f"{where} has the label {str(pairs[odd[0]])[:40]} for {odd[0]}: expected one whole number"
      )
    if len(pairs) > len(names):
      _LOG.warning("%s has labels of %d images that are not there", where, len(pairs) - len(names))
    return np.array([pairs[n] for n in names], np.int64)

  return labels


def _warn_left_out(name: str, tree: Tree) -> None:
  """Warns of files that are no images of a known format."""
  skipped = {*_images(tree), _STYLEGAN}
  by_kind: dict[str, list[str]] = collections.defaultdict(list)
  for file in tree.names:
    if file not in skipped and not file.endswith(("/", f"/{_STYLEGAN}")):
      by_kind[pathlib.PurePosixPath(file).suffix.lower() or "no ending"].append(file)
  if not by_kind:
    return
  most = sorted(by_kind.items(), key=lambda item: -len(item[1]))
  listed = ", ".join(f"{len(files)} of {kind} ({files[0]})" for kind, files in most[:5])
  more = f" and {len(most) - 5} other kinds" if len(most) > 5 else ""
  _LOG.warning(
    "%s: files left out, as their endings are of no image that is read here: %s%s; those are %s",
    *(name, listed, more, " ".join(SUFFIXES)),
  )


def _no_images(where: str) -> str:
  return f"{where} has no images ({', '.join(SUFFIXES)}): put some there, or remove it"
