"""A user's own networks, losses, regularizers, augmentations, data and games, and their file.

A config file registers them, and its `get_config()` then names them as it names ours:

    register("network", "mine", MyGenerator)   # or NETWORKS["mine"] = MyGenerator

A run keeps the path and the hash of that file. It is run again only where it is given by flag,
`gan_jax sample --workdir=RUN --config=FILE.py`, as nothing is run that was not asked for.
"""

import contextlib
import functools
import hashlib
import inspect
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
from flax import linen as nn

from gan_jax.checks import shown, takes
from gan_jax.data.registry import KINDS, Kind
from gan_jax.files import read_json
from gan_jax.game.views import AUGMENTATIONS
from gan_jax.losses.adversarial import LOSSES, check_loss
from gan_jax.losses.regularizers import OF_GENERATORS, REGULARIZERS
from gan_jax.nets import NETWORKS, roles
from gan_jax.run.config.sections.kinds.games import GAMES
from gan_jax.run.config.sections.kinds.games import Kind as GameKind

TABLES: dict[str, dict[str, Any]] = {
  "network": NETWORKS,
  "loss": LOSSES,
  "regularizer": REGULARIZERS,
  "augmentation": AUGMENTATIONS,
  "data": KINDS,
  "game": GAMES,
}
OURS = {kind: frozenset(table) for kind, table in TABLES.items()}
OURS["regularizer"] |= OF_GENERATORS.keys()


def register(kind: str, name: str, value: Any) -> None:
  """Registers an object of a user's own under a name that configs can use, or replaces it.

  Args:
    kind: "network", "loss", "regularizer", "augmentation", "data" or "game".
    name: a name that gan_jax has not; for data the part before the colon.
    value: a class of `flax.linen` modules with a field `num_classes`, and `shape` if it is a
      generator; an `AdversarialLoss`; a function that makes a term, or a view, and whose options
      are keywords with defaults; a `data.registry.Kind`; a `games.Kind`.

  Raises:
    ValueError: for an unknown kind, a name of ours, or a value of another kind.
  """
  if kind not in TABLES:
    raise ValueError(f"kind is {shown(kind)}: expected one of {', '.join(map(repr, TABLES))}")
  if not isinstance(name, str) or not name or set(name) & set(": .,"):
    raise ValueError(f"name is {shown(name)}: expected a word, such as 'mine'")
  if name in OURS[kind]:
    raise ValueError(f"the {kind} {name!r} is one of gan_jax: choose another name")
  _CHECKS[kind](name, value)
  TABLES[kind][name] = value


def _check_network(name: str, value: Any) -> None:
  if not (isinstance(value, type) and issubclass(value, nn.Module)):
    raise ValueError(f"the network {name!r} is {shown(value)}: expected a class of linen modules")
  if "num_classes" not in inspect.signature(value).parameters:
    raise ValueError(
      f"the network {name!r} has no field num_classes, which a config sets to the number of "
      "classes, or None: add `num_classes: int | None = None`"
    )


def _check_factory(kind: str, product: str, name: str, value: Any) -> None:
  if not callable(value):
    raise ValueError(f"the {kind} {name!r} is {shown(value)}: expected what makes a {product}")
  options = inspect.signature(value).parameters.values()
  if bare := [option.name for option in options if option.default is option.empty]:
    raise ValueError(
      f"the {kind} {name!r} has no default of {bare[0]!r}: expected a function that makes a "
      f"{product}, each option with a default; of a {product} itself pass `lambda: {product}`"
    )


def _check_data(name: str, value: Any) -> None:
  if not isinstance(value, Kind) or value.form.split(":")[0] != name:
    raise ValueError(
      f"the data {name!r} are {shown(value)}: expected Kind('{name}:<file>', open), or "
      f"Kind('{name}', open) of data with no further name"
    )


def _check_kind_of_game(name: str, value: Any) -> None:
  if not isinstance(value, GameKind):
    raise ValueError(f"the game {name!r} is {shown(value)}: expected config.Kind(keys, build, ...)")
  given = ("batches",) if value.of_examples else ()
  if not takes(value.build, None, None, **dict.fromkeys(given)):
    raise ValueError(
      f"the builder of the game {name!r} is {shown(value.build)}: expected a function of "
      f"{', '.join(('(config, example', *given))}) -> Game, as of_examples is {value.of_examples}"
    )


_CHECKS: dict[str, Callable[[str, Any], None]] = {
  "network": _check_network,
  "loss": lambda name, value: check_loss(value),
  "regularizer": functools.partial(_check_factory, "regularizer", "term"),
  "augmentation": functools.partial(_check_factory, "augmentation", "view"),
  "data": _check_data,
  "game": _check_kind_of_game,
}


# --- what a run was trained with ------------------------------------------------------------------

_OF_SOURCE = ("path", "sha256")
_SECTION = Mapping | ml_collections.ConfigDict


def source_of(config_flag: str) -> dict[str, str]:
  """Describes the file that --config gives, for a run to keep: its path and its hash."""
  file, colon, argument = config_flag.partition(":")
  path = pathlib.Path(file).expanduser().resolve()
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  return {"path": f"{path}{colon}{argument}", "sha256": digest}


def read_source(workdir: str | pathlib.Path) -> Mapping[str, str] | None:
  """Loads path and hash of the file a run was last trained with; None if they are not known."""
  source = _read_fields(workdir).get("source")
  if not isinstance(source, dict) or not all(type(source.get(k)) is str for k in _OF_SOURCE):
    return None
  return source


def change_of_source(workdir: str | pathlib.Path, config_flag: str) -> str | None:
  """Formats the difference between the file of --config and a run's; None if there is none."""
  trained, given = read_source(workdir), source_of(config_flag)
  if trained is None or trained["sha256"] == given["sha256"]:
    return None
  return (
    f"--config={config_flag} (sha256 {given['sha256'][:12]}) is not the file that {workdir} was "
    f"trained with, {trained['path']} (sha256 {trained['sha256'][:12]}); what it registers is used"
    " as it is now"
  )


def check_registered(workdir: str | pathlib.Path) -> None:
  """Refuses a run that uses a name which is not registered; the error names the file to give."""
  for kind, name in names(_read_fields(workdir).get("config", {})):
    if name not in OURS[kind] | TABLES[kind].keys():
      source = read_source(workdir)
      file = "" if source is None else f" of {source['path']} (sha256 {source['sha256'][:12]})"
      flag = "FILE.py, the file that registers it" if source is None else source["path"]
      raise ValueError(
        f"{workdir} was trained with the {kind} {name!r}{file}, which is not registered here; give "
        f"--config={flag}"
      )


def own(config: Mapping[str, Any]) -> list[str]:
  """Lists what a config names that is not of gan_jax."""
  return [f"{kind} {name}" for kind, name in names(config) if _is_own(kind, name)]


def names(config: Any) -> list[tuple[str, str]]:
  """Lists what a config, or its values, names: (kind, name); what is damaged names nothing."""
  value = lambda key: config.get(key) if isinstance(config, _SECTION) else None
  section = lambda key: part if isinstance(part := value(key), _SECTION) else {}
  data = data if isinstance(data := value("data"), str) else ""
  named = [
    ("game", section("game").get("name")),
    *(("network", section(role).get("name")) for role in roles()),
    ("loss", value("loss")),
    ("augmentation", section("augmentation").get("name")),
    *(
      ("regularizer", name)
      for key in (config if isinstance(config, _SECTION) else ())
      if str(key).endswith("regularizers")
      for name in section(key)
    ),
    *(("data", one.removeprefix("stacked:").split(":")[0]) for one in data.split("|")),
  ]
  return [(kind, name) for kind, name in named if isinstance(name, str) and name]


def _read_fields(workdir: str | pathlib.Path) -> Mapping[str, Any]:
  """Loads config.json of a run; {} where it is damaged, which the loader of the run reports."""
  path = pathlib.Path(workdir) / "config.json"
  with contextlib.suppress(ValueError, OSError):
    return read_json(path)
  return {}


def _is_own(kind: str, name: str) -> bool:
  """Checks whether a user has registered a name; before this file was loaded, by its module."""
  if name not in OURS[kind]:
    return True
  value = TABLES[kind].get(name)
  parts = value if isinstance(value, tuple) else (value,)  # the sides of a loss
  homes = (getattr(getattr(part, "func", part), "__module__", "gan_jax") for part in parts)
  return any(home.split(".")[0] != "gan_jax" for home in homes)
