"""Config files of changes from the defaults, and commands, that play a run again."""

import pathlib
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gan_jax.game.views import AUGMENTATIONS
from gan_jax.nets import NETWORKS, roles
from gan_jax.run.ablation.results import Results
from gan_jax.run.config import OPTIMIZERS, augmentation, default_config, network, optimizer
from gan_jax.run.config.register import own
from gan_jax.run.config.sections.kinds.games import DEFAULT, GAMES, name_of
from gan_jax.run.config.stored import config_values
from gan_jax.run.report.records import RunRecord

# Names of sections, and the function that makes a section of one.
MAKERS: dict[str, tuple[Collection[str], Callable[[str], Any]]] = {
  "augmentation": (AUGMENTATIONS, augmentation),
  "network": (NETWORKS, network),
  "optimizer": (OPTIMIZERS, optimizer),
}


def config_file(
  name: str, config: Mapping[str, Any], source: Mapping[str, str] | None = None
) -> str:
  """Formats a config as a Python file with a `get_config()`.

  Args:
    name: title of the file.
    config: nested values, as of `config_values`.
    source: path and hash of the file that registers a user's own parts, as of `register`.
  """
  lines = [*_from_defaults("config", config), "  return config"]
  return _file(name, lines, _registers(config, source))


def _registers(config: Mapping[str, Any], source: Mapping[str, str] | None) -> str:
  """Formats the call of the file that registers the user's own parts of a config."""
  if not (names := ", ".join(own(config))):
    return ""
  about = f"registers {names}" if source is None else f"{names}; sha256 {source['sha256'][:12]}"
  path = "" if source is None else source["path"].partition(":")[0]
  call = f"runpy.run_path({path!r})" if path else "# Run here the file that"
  return f"{call}{'  #' if path else ''} {' '.join(about.split())}"


def ablation_file(results: Results) -> str:
  """Formats an ablation as a config file, of those of its variants that have rows."""
  plan = results.plan
  axes = [
    line
    for axis, labels in plan["axes"].items()
    for line in (
      f"    Axis({axis!r}, {{",
      *(f"      {label!r}: {_choice(results, axis, label)}," for label in labels),
      "    }),",
    )
  ]
  each = {row.get("rounds", plan["rounds"]) for row in results.rows}
  # Of a budget of images each variant has its own rounds; of an axis over rounds the base has some.
  budget = ["images"] if plan.get("images") else ["rounds"] if each <= {plan["rounds"]} else []
  keys = ("baseline", "seeds", *budget, "score", "collapse")
  options = [f"    {key}={plan[key]!r}," for key in keys]
  call = ["  return ablation(", "    base, [", *(f"  {line}" for line in axes), "    ],", *options]
  return _file(plan["name"], [*_from_defaults("base", plan["base"]), *call, "  )"])


def _choice(results: Results, axis: str, label: str) -> str:
  """Formats the changes of a choice: those of all runs that have it."""
  of = [row["changes"] for row in results.rows if row["variant"].get(axis) == label]
  first = of[0] if of else {}
  common = {k: v for k, v in first.items() if all(k in c and c[k] == v for c in of)}
  return f"{{{', '.join(f'{key!r}: {_value(value)}' for key, value in common.items())}}}"


def _file(name: str, lines: Sequence[str], registers: str = "") -> str:
  """Formats the lines of a `get_config()` as a file with the imports that they use."""
  uses = lambda names: [n for n in names if any(f"{n}(" in line for line in lines)]
  makers = uses(("default_config", *MAKERS, "schedule"))
  heading = re.sub(r"[^\w ./-]", "_", name)
  imports = [f"from gan_jax.run.config import {', '.join(makers)}"]
  if uses(["ablation"]):
    imports.insert(0, "from gan_jax.run.ablation import Axis, ablation")
  if registers:
    imports = ["import runpy", "", *imports, "", registers]
  head = [f'"""{heading}, as it was run."""', "", *imports, "", "", "def get_config():"]
  return "\n".join([*head, *lines, ""])


def _from_defaults(name: str, config: Mapping[str, Any]) -> list[str]:
  """Formats the lines that make a config of the defaults of its game."""
  game = name_of(config)
  known = game if game in GAMES else DEFAULT  # of a kind that is not registered here
  changes = _changes(config, config_values(default_config(known)), "")
  call = "default_config()" if game == DEFAULT else f"default_config({game!r})"
  return [f"  {name} = {call}", *(f"  {name}.{line}" for line in changes)]


def _changes(config: Mapping[str, Any], default: Mapping[str, Any], path: str) -> list[str]:
  """Formats the assignments that turn a default into a config."""
  lines: list[str] = []
  for key, value in config.items():
    where, before = f"{path}{key}", default.get(key)
    if value == before:
      continue
    named = key in roles() or path == "optimizers." or where == "augmentation"
    if named and isinstance(value, Mapping):
      lines.append(f"{where} = {_call(value)}")
    elif isinstance(value, Mapping) and "schedule" not in value and isinstance(before, Mapping):
      lines += _changes(value, before, f"{where}.")
    else:
      lines.append(f"{where} = {_value(value)}")
  return lines


def _call(section: Mapping[str, Any]) -> str:
  """Formats what a section names as a call with its options that are not the default."""
  name = str(section.get("name"))
  kind = next((kind for kind, (table, _) in MAKERS.items() if name in table), None)
  if kind is None:
    return _value(section)
  usual = config_values(MAKERS[kind][1](name))
  options = [f"{k}={_value(v)}" for k, v in section.items() if k != "name" and v != usual.get(k)]
  return f"{kind}({', '.join([repr(name), *options])})"


def _value(value: Any) -> str:
  if isinstance(value, Mapping) and isinstance(value.get("schedule"), str):
    options = [f"{key}={_value(v)}" for key, v in value.items() if key != "schedule"]
    return f"schedule({', '.join([repr(value['schedule']), *options])})"
  if isinstance(value, list):
    return f"({''.join(f'{_value(item)}, ' for item in value).strip()})"
  return repr(value)


def file_name(method: str) -> str:
  """Returns the name of the config file of a method."""
  return f"{re.sub(r'[^A-Za-z0-9_]+', '_', method).strip('_') or 'config'}.py"


def commands(runs: Sequence[RunRecord]) -> list[str]:
  """Formats the commands that play and score a method's runs again, a line each."""
  lines = []
  for run in runs:
    where = f"--workdir={shlex.quote(str(run.summary.path))}"
    seed = f" --config.seed={run.seed}" if run.seed != runs[0].seed else ""
    lines.append(f"gan_jax train --config={file_name(run.method)} {where}{seed}")
    draws = max((len(x) for card in run.cards for x in card.scores.values()), default=1)
    if draws > 1:
      lines.append(f"gan_jax evaluate {where} --draws={draws}")
  return lines


def report_command(paths: Sequence[pathlib.Path], out: pathlib.Path) -> str:
  """Formats the command that writes a page again."""
  return shlex.join(["gan_jax", "report", *map(str, paths), f"--out={out}"])
