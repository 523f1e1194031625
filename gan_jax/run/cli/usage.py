"""Help of `gan_jax --help` and `gan_jax COMMAND --help`, and the flags of each command."""

import inspect
import json
import pathlib
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable
from typing import NamedTuple

from absl import flags

from gan_jax import __version__

# Written by `gan_jax.run.config.reference`.
TABLE = pathlib.Path(__file__).parents[1] / "config" / "keys.json"
COLUMN = 34  # of flags, beside what they mean


class Flag(NamedTuple):
  """The meaning of a flag for one command.

  Attributes:
    meaning: a sentence.
    example: the flag as it is typed; "" if there is none.
  """

  meaning: str
  example: str


def overview(commands: Iterable[Callable[..., None]]) -> str:
  """Lists the commands."""
  parts = [f"gan_jax {__version__}: generative adversarial networks in JAX"]
  parts += [_described(command, "\n") for command in commands]
  parts.append(
    "gan_jax COMMAND --help says more of each: its flags, and the keys of a config.\n"
    "A run that exists is resumed. Exit codes: 0 done; 1 an error; 2 wrong flags; 75 stopped by a\n"
    "signal with all saved: start it again, and it goes on."
  )
  return "\n\n".join(parts)


def of_command(command: Callable[..., None]) -> str:
  """Formats the help of a command: its flags with an example of each, the keys of its config."""
  name = command.__name__
  rows = [(flag.example or f"--{key}", flag.meaning) for key, flag in takes(name).items()]
  parts = [_described(command, "\n\n"), "Flags:\n" + _rows(rows)]
  keys = json.loads(TABLE.read_text(encoding="utf-8"))
  if name in keys:
    quoted = lambda default: f'"{default}"' if "(" in default else default  # for a shell
    rows = [(f"--config.{key}={quoted(default)}", meaning) for key, default, meaning in keys[name]]
    parts.append("Keys of the config, with their defaults:\n" + _rows(rows))
  if name == "train":
    parts.append("docs/config.md lists them too, with the options of each network.")
  if name == "ablate":
    parts.append("and every key of `gan_jax train --help` as --config.base.KEY=VALUE.")
  return "\n\n".join(parts)


def takes(command: str) -> dict[str, Flag]:
  """Lists the flags of a command by name; those whose help names no command are every one's."""
  taken = {}
  for name, help in _helps().items():
    uses = _uses(help)
    if flag := uses.get(command, uses.get("")):
      taken[name] = flag
  return taken


def takers(flag: str) -> list[str]:
  """Lists the commands that take a flag of ours; [] for a flag of all, or of absl."""
  return sorted(_uses(_helps().get(flag, "")).keys() - {""})


def _helps() -> dict[str, str]:
  module = str(flags.FLAGS.find_module_defining_flag("workdir"))
  ours = flags.FLAGS.flags_by_module_dict()[module]
  return {
    str(flag.name): re.sub(r"^<.*?>: ", "", " ".join((flag.help or "").split())) for flag in ours
  }


_NAMES = (
  "train|import|ablate|evaluate|score|compare|sample|translate|project|directions|walk|export|"
  "publish|runs|report"
)
_USE = re.compile(rf"(?:^|(?<= ))((?:{_NAMES})(?:, (?:{_NAMES}))*): ")


def _uses(help: str) -> dict[str, Flag]:
  """Reads "evaluate, sample: text. E.g. --flag=value. score: ...": {command: flag}."""
  before, *parts = _USE.split(help)
  uses = {"": _flag(before)} if before.strip() else {}
  for names, text in zip(parts[::2], parts[1::2], strict=True):
    uses |= dict.fromkeys(names.split(", "), _flag(text))
  return uses


def _flag(text: str) -> Flag:
  meaning, _, example = text.strip().partition(" E.g. ")
  return Flag(meaning.rstrip("."), example.strip().removesuffix("."))


def _described(command: Callable[..., None], gap: str) -> str:
  """Formats the docstring of a command: a line, and after a gap how it is typed."""
  summary, _, typed = (inspect.getdoc(command) or "").partition("\n\n")
  return f"{summary}{gap}{textwrap.indent(typed, '  ')}"


def _rows(rows: Iterable[tuple[str, str]]) -> str:
  """Lays out two columns, the second one wrapped."""
  width = max(60, min(shutil.get_terminal_size().columns, 110))
  lines = []
  for example, meaning in rows:
    first, *more = textwrap.wrap(meaning, width - COLUMN) or [""]
    if len(example) > COLUMN - 4:
      lines.append(f"  {example}")
      more, example = [first, *more], ""
    else:
      lines.append(f"  {example:{COLUMN - 2}}{first}")
    lines += [f"{'':{COLUMN}}{line}" for line in more]
  return "\n".join(lines)


# --- errors ---------------------------------------------------------------------------------------


class UsageError(ValueError):
  """Flags, or folders beside them, that cannot be, whatever lies in files."""


# Arguments that functions name in their errors, and the keys of the config that set them.
KEYS = {
  **{
    name: f"data_options.{name}"
    for name in ("image_size", "channels", "data_dir", "manual_dir", "pixel_range", "flip")
  },
  **{name: f"evaluation.{name}" for name in ("features", "metrics", "real")},
  **{name: name for name in ("num_fake", "batch_size", "microbatches", "packing", "real_target")},
  **{name: name for name in ("seed", "conditional")},
}
# Those that some commands have flags of their own for.
OWN = {
  "evaluate": {name: name for name in ("features", "metrics", "real", "num_fake")},
  "score": {
    **{name: name for name in ("image_size", "channels", "features", "metrics", "num_fake")},
    "real": "split",
  },
}


def named_by_flags(message: str, command: str) -> str:
  """Replaces names of arguments and keys in an error's message by those of flags.

  Functions name what they were given: `image_size=...`, `config.k = 0`. Who types a command knows
  these as `--config.data_options.image_size=...`, or as `--image_size=...` of `score`.

  Args:
    message: text of the error.
    command: name of the command.
  """
  own = OWN.get(command, {})
  keys = {f"config.{KEYS[name]}": f"--{flag}" for name, flag in own.items()}
  flags_ = {
    name: f"--{own[name]}" if name in own else f"--config.{key}" for name, key in KEYS.items()
  }
  message = _KEY.sub(lambda match: keys.get(match[0], f"--{match[0]}"), message)
  return _ARGUMENT.sub(lambda match: flags_[match[0]], message)


# No part of a path or a longer name; a word that is English too only where a value follows.
_KEY = re.compile(
  r"(?<![\w.\-/'\"])config\.(?!json\b|py\b|md\b)[a-z_0-9]+(?:\.[a-z_0-9]+)*(?![\w(/])"
)
_WORDS = "|".join(name for name in KEYS if "_" not in name)
_NAMES_OF_ARGUMENTS = "|".join(name for name in KEYS if "_" in name)
_ARGUMENT = re.compile(
  rf"(?<![\w.\-/'\"])(?:(?:{_NAMES_OF_ARGUMENTS})(?![\w/])|(?:{_WORDS})(?==| = | is ['\d-]))"
)
