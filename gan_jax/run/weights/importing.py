"""Runs made of published files, or of any state dict and a map of its names.

import_run("stylegan2", ["network-snapshot-025000.pkl"], "runs/ffhq")
images = gj.load("runs/ffhq").sample(16)
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.files import check_folder, read_json, write_json
from gan_jax.game.core import Ema, Game, State, batches_a_round
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.metrics.features.cache import content_hash
from gan_jax.nets.published.layout import Weights, in_our_layout
from gan_jax.run.config.config import complete
from gan_jax.run.config.sections.key import lookup
from gan_jax.run.config.sections.kinds.games import build_game, kind_of
from gan_jax.run.config.stored import config_values
from gan_jax.run.config.switches import made_with, remembered
from gan_jax.run.experiment import assemble
from gan_jax.run.results.same_run import data_of
from gan_jax.run.training.saving.checkpoint import Checkpoints
from gan_jax.run.weights.kinds import KINDS
from gan_jax.run.weights.start_from import check_shapes, with_networks
from gan_jax.torch_file import load_torch, named_arrays

PLAIN = "torch"  # the kind of any state dict, whose config is given
PIXEL_RANGE = (-1.0, 1.0)  # of all published networks here
# Bytes of arrays beside four times those of the files: a few numbers may be said to be repeated.
SLACK = 64 << 20


def import_run(
  kind: str,
  paths: Sequence[str | os.PathLike[str]],
  workdir: str | os.PathLike[str],
  *,
  data: str = "",
  config: ConfigDict | None = None,
  names: str | os.PathLike[str] | None = None,
) -> list[str]:
  """Builds a run whose first checkpoint has the networks of files.

  Args:
    kind: one of `KINDS`, or "torch".
    paths: files, one or one of each network.
    workdir: folder of the run; new or empty.
    data: data set that the run is scored on, and goes on with; by default none is named yet.
    config: config of the run, of "torch" alone.
    names: of "torch" alone: JSON file {name in the file: leaf here}, such as
      {"fc.weight": "generator.Dense_0.kernel"}; by default names are leaves here already.

  Returns:
    Lines that say what was read, what starts at random, and what was left out.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a file of another kind, or of a network that is not here; or data that do not fit.
  """
  workdir = pathlib.Path(workdir)
  check_folder("--workdir", workdir)
  if kind == PLAIN:
    if config is None:
      raise ValueError("of a plain state dict a config says the networks: give --config=FILE.py")
    run_config = complete(config)
    example = assemble(run_config).example
  else:
    lookup(KINDS, kind, "kind of files")
    if config is not None or names is not None:
      raise ValueError(f"files of the kind {kind!r} say what they are: leave out config and names")
  read = [load_torch(path, KINDS[kind].objects if kind in KINDS else None) for path in paths]
  files = [(os.fspath(path), tree) for path, (tree, _) in zip(paths, read, strict=True)]
  most = SLACK + 4 * sum(os.path.getsize(path) for path in paths)
  origin: dict[str, Any] = {"kind": kind}
  origin["files"] = [
    {"name": pathlib.Path(path).name, "sha256": sha256}
    for path, (_, sha256) in zip(paths, read, strict=True)
  ]
  shown = ", ".join(name for name, _ in files)
  fields: dict[str, Any] = {}
  if kind == PLAIN:
    game = build_game(run_config, example)
    state, lines = _plain(game, _first(game, run_config, example), files, most, names)
  else:
    try:
      weights = KINDS[kind].read(files, most)
    except Exception as error:  # a damaged file, or one of another network, can fail in any way
      reason = str(error) if isinstance(error, ValueError) else f"it is another network ({error!r})"
      raise ValueError(f"{shown} cannot be read as {KINDS[kind].about}: {reason}") from error
    run_config = KINDS[kind].config(weights)
    side, channels = _fit(run_config, weights)
    run_config.data = data
    if side:
      run_config.data_options.image_size = side
    run_config.data_options.channels = channels
    run_config = complete(run_config)
    example = _example(run_config, weights, side or 256, channels)
    if data:
      experiment = assemble(run_config)
      _check_data(data, experiment.example, example, bool(side))
      example, fields = experiment.example, data_of(experiment)
    game = build_game(run_config, example)
    state, lines = _published(game, _first(game, run_config, example), weights)
  origin["arrays"] = _hash(state)
  _write(workdir, run_config, example, state, fields, origin)
  return [f"read {shown} as {kind}", *lines]


def _first(game: Game, config: ConfigDict, example: Example) -> State:
  return init(game, make_key(config.seed), example.batch(batches_a_round(game), config.batch_size))


def _fit(config: ConfigDict, weights: Weights) -> tuple[int, int]:
  """Returns pixels of a side, 0 for any, and the channels of the images of a game."""
  shapes = {net.shape for net in weights.networks.values()}
  if len(shapes) > 1:
    raise ValueError(
      f"the files are of images of different sizes, {' and '.join(map(str, sorted(shapes)))}:"
      " expected networks of one game"
    )
  if len(classes := {net.classes for net in weights.networks.values()}) > 1:
    raise ValueError(f"the files are of different numbers of classes, {classes}")
  side, _, channels = shapes.pop()
  return side, channels


def _example(config: ConfigDict, weights: Weights, side: int, channels: int) -> Example:
  classes = next(net.classes for net in weights.networks.values())
  domains = kind_of(config).domains
  shape = (side, side, channels)
  return Example(shape, classes, PIXEL_RANGE, domains=domains)


def _check_data(name: str, example: Example, expected: Example, of_one_size: bool) -> None:
  """Refuses data that are not as the networks have them."""
  same = example.shape == expected.shape if of_one_size else example.shape[-1] == expected.shape[-1]
  if not same or example.num_classes != expected.num_classes:
    show = lambda e: f"images {list(e.shape)} of {e.num_classes or 'no'} classes"
    raise ValueError(
      f"{name} has {show(example)}, and the networks are of {show(expected)}: name other data, or"
      " leave --data out and train another run with --start_from=THIS:NETWORK of what fits"
    )


def _published(game: Game, state: State, weights: Weights) -> tuple[State, list[str]]:
  """Puts the networks of files in the place of those of a first state."""
  params: dict[str, Any] = {}
  carried: dict[str, Any] = {}
  for name, net in weights.networks.items():
    params[name], carried[name] = _split(net.variables)
  averages = {
    name: Ema(*_split(variables), jnp.ones(())) for name, variables in weights.averages.items()
  }
  for name in params:
    check_shapes(name, "the file", state.params[name], params[name])
    check_shapes(name, "the file", state.carried[name], carried[name])
  for name, average in averages.items():
    check_shapes(name, "the file's average", state.params[name], average.params)
    check_shapes(name, "the file's average", state.carried[name], average.carried)
  own = {name: average for name, average in averages.items() if name in state.ema}
  lines = [
    _line(name, net.name, params[name], name in own) for name, net in weights.networks.items()
  ]
  if anew := [name for name in state.params if name not in params]:
    lines.append(f"not in the files, and at random: {', '.join(anew)}")
  if unused := sorted({name for net in weights.networks.values() for name in net.unused}):
    more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
    lines.append(f"left out, as nothing depends on it here: {', '.join(unused[:3])}{more}")
  # A game without averages samples from the networks themselves: these are to be the average.
  for name in weights.averages.keys() - own.keys():
    params[name], carried[name] = _split(weights.averages[name])
  return with_networks(game, state, params, carried, own), lines


def _split(variables: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
  return variables["params"], {key: value for key, value in variables.items() if key != "params"}


def _line(name: str, of: str, params: Any, averaged: bool) -> str:
  count = sum(np.size(leaf) for leaf in jax.tree.leaves(params))
  return f"{name}: {of}, {count:,} parameters{', and its average' if averaged else ''}"


def _plain(
  game: Game,
  state: State,
  files: Sequence[tuple[str, Any]],
  most: int,
  names: str | os.PathLike[str] | None,
) -> tuple[State, list[str]]:
  """Puts arrays in the place of the leaves that a map of names says."""
  ours: dict[str, str] = {} if names is None else read_json(names)
  if not all(isinstance(name, str) for name in ours.values()):
    raise ValueError(f"{names} maps names to something else: expected names of leaves here")
  leaves = {
    f"{net}.{'.'.join(path)}": (net, part, path)
    for net in state.params
    for part in ("params", "carried")
    for path in flax.traverse_util.flatten_dict(getattr(state, part)[net])
  }
  taken: dict[str, dict[str, dict[Any, Any]]] = {"params": {}, "carried": {}}
  unmapped = []
  for file, tree in files:
    try:
      arrays, _ = named_arrays(tree, most)
    except ValueError as error:
      raise ValueError(f"{file} cannot be read as a state dict: {error}") from error
    for name, array in arrays.items():
      leaf = ours.get(name) if names is not None else name
      if leaf is None:
        unmapped.append(name)
        continue
      if leaf not in leaves:
        raise ValueError(
          f"{file}: {name} is to be {leaf}, which there is not; leaves are such as"
          f" {', '.join(list(leaves)[:3])}"
        )
      net, part, path = leaves[leaf]
      if path in taken[part].get(net, {}):
        raise ValueError(f"{file}: {name} is to be {leaf}, which another array is already")
      like = flax.traverse_util.flatten_dict(getattr(state, part)[net])[path]
      try:
        taken[part].setdefault(net, {})[path] = np.asarray(
          in_our_layout(("", *path), like.shape, array), np.float32
        )
      except ValueError as error:
        raise ValueError(f"{file}: {name} has shape {list(array.shape)}: {error}") from error
  nets = [net for net in state.params if net in taken["params"] or net in taken["carried"]]
  for net in nets:
    for part in ("params", "carried"):
      whole = flax.traverse_util.flatten_dict(getattr(state, part)[net])
      lacking = [path for path in whole if path not in taken[part].get(net, {})]
      if lacking:
        raise ValueError(
          f"nothing is said to be {net}.{'.'.join(lacking[0])}, nor {len(lacking) - 1} other"
          f" leaves: a network is given whole; add them to --names, or leave the {net} out"
        )
  if not nets:
    raise ValueError(f"none of the names of {', '.join(f for f, _ in files)} is of a network here")
  trees = {
    part: {net: flax.traverse_util.unflatten_dict(taken[part].get(net, {})) for net in nets}
    for part in taken
  }
  lines = [_line(net, net, trees["params"][net], False) for net in nets]
  if anew := [net for net in state.params if net not in nets]:
    lines.append(f"not in the files, and at random: {', '.join(anew)}")
  if unmapped:
    lines.append(
      f"left out, as --names has nothing for it: {', '.join(unmapped[:3])} ({len(unmapped)})"
    )
  return with_networks(game, state, trees["params"], trees["carried"], {}), lines


def _hash(state: State) -> str:
  """Computes the sha256 of all networks' arrays: files of equal weights may differ in bytes."""
  leaves = jax.tree_util.tree_leaves_with_path((state.params, state.ema))
  return content_hash({jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves})


def _write(
  workdir: pathlib.Path,
  config: ConfigDict,
  example: Example,
  state: State,
  data: Mapping[str, Any],
  origin: Mapping[str, Any],
) -> None:
  """Writes the folder of a run that has played no round."""
  with Checkpoints(workdir / "checkpoints") as checkpoints:
    checkpoints.save(state)
  text = {
    "config": config_values(config),
    "example": example._asdict(),
    "data": data,
    "switches": remembered(),
    "made_with": made_with(),
    "origin": origin,
  }
  write_json(workdir / "config.json", text)
