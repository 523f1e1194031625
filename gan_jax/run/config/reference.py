"""The table of all keys of a config: for `gan_jax train --help`, and as docs/config.md.

    python -m gan_jax.run.config.reference

writes both anew. The table lies in a file, since a config's defaults are known only when JAX and
Flax are imported, which takes longer than a reader of `--help` waits.
"""

import json
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.files import atomic_write
from gan_jax.game.views import AUGMENTATIONS
from gan_jax.nets import NETWORKS
from gan_jax.nets.layers import ACTIVATIONS, NORMS, OUTPUTS
from gan_jax.run.config import aliases
from gan_jax.run.config.aliases import SCHEDULE
from gan_jax.run.config.config import keys
from gan_jax.run.config.sections.augmentation import augmentation
from gan_jax.run.config.sections.key import Key, Section, argument_docs
from gan_jax.run.config.sections.kinds.games import DEFAULT, GAMES
from gan_jax.run.config.sections.networks import network
from gan_jax.run.config.sections.optimizers import OPTIMIZERS

HERE = pathlib.Path(__file__).parent
TABLE, PAGE = HERE / "keys.json", HERE.parents[2] / "docs" / "config.md"
Line = tuple[str, str, str]  # a dotted key, its default, its meaning


def lines() -> dict[str, list[Line]]:
  """Lists the keys of a config, and of an ablation: {command: lines}."""
  from gan_jax.run.ablation.plan import ablation

  about = argument_docs(ablation.__doc__)
  asked = ablation(ConfigDict(), (), baseline={})
  own = [(key, repr(asked[key]), about[key]) for key in about if key not in ("base", "axes")]
  return {"train": list(_lines(keys(), "")), "ablate": own}


def game_lines() -> dict[str, list[Line]]:
  """Lists the keys of each kind of game beside the default: {game: lines}."""
  return {name: list(_lines(kind.keys(), "")) for name, kind in GAMES.items() if name != DEFAULT}


def _named(text: str) -> str:
  """Replaces the name of a table in a docstring by the names in the table."""
  tables = {"ACTIVATIONS": ACTIVATIONS, "NORMS": NORMS, "OUTPUTS": OUTPUTS}
  return re.sub(r"`([A-Z]+)`", lambda m: ", ".join(tables.get(m[1], [m[0]])), text)


def _lines(section: Mapping[str, Any], path: str) -> Iterator[Line]:
  for key, value in section.items():
    if isinstance(value, Key):
      yield f"{path}{key}", repr(value.default), _named(value.meaning)
    elif isinstance(value, Section):
      for option, default in value.default.items():
        yield f"{path}{key}.{option}", repr(default), _named(value.meanings[option])
    else:
      yield from _lines(value, f"{path}{key}.")


def option_lines(
  table: Mapping[str, Any], make: Callable[[str], ConfigDict]
) -> dict[str, list[Line]]:
  """Lists what a config may set of each network or augmentation: {name: lines}."""
  return {
    name: [
      (option, repr(value), _named(argument_docs(factory.__doc__).get(option, "")))
      for option, value in make(name).items()
      if option != "name"
    ]
    for name, factory in table.items()
  }


def table() -> str:
  """Writes what `--help` shows, as JSON."""
  return json.dumps(lines(), indent=1, ensure_ascii=False) + "\n"


def page() -> str:
  """Writes docs/config.md."""
  keys_of = lines()
  parts = [
    "# Keys of a config",
    "Written by `python -m gan_jax.run.config.reference` from `gan_jax/run/config/sections/` and"
    " docstrings.\nOn the command line a key is a flag: `--config.k=5`,"
    ' `--config.generator.hidden="(64, 64)"`.',
    _markdown("key", keys_of["train"]),
    "## Other games",
    "`default_config('NAME')` has the keys of another game in the place of those of `two_player`:",
    *(f"`{name}`\n\n{_markdown('key', rows)}" for name, rows in game_lines().items()),
    "## Networks",
    "`--config.generator.name=dcgan_generator` takes that network with its own defaults, and what"
    " other flags override.\nEach name has these options:",
    *_options(option_lines(NETWORKS, network)),
    "## Augmentations",
    "`--config.augmentation.name=ada` has these options, and no other augmentation's"
    " ([the game](game.md#augmentation)):",
    *_options(option_lines(AUGMENTATIONS, augmentation)),
    "## Optimizers and schedules",
    f"An optimizer is one of {', '.join(f'`{name}`' for name in OPTIMIZERS)}; its options are"
    " optax's.\nA number may be a schedule:"
    f' `--config.optimizers.generator.learning_rate="{SCHEDULE}"`.',
    "## Keys of an ablation",
    "`gan_jax ablate` takes these, and every key above as `--config.base.KEY`.",
    _markdown("key", keys_of["ablate"]),
    "## Short names",
    "They stand for ours where they are typed; configs, rows and cards hold ours.",
    "\n".join(
      f"* {kind}: " + ", ".join(f"`{short}` = `{name}`" for short, name in names.items())
      for kind, names in (
        ("losses", aliases.LOSSES),
        ("metrics", aliases.METRICS),
        ("dtypes", aliases.DTYPES),
      )
    ),
    "## Options of published code",
    "Of StyleGAN2-ADA, R3GAN, BigGAN-PyTorch and StudioGAN; whoever types one is told what it is"
    " here.",
    "\n".join(f"* `{name}`: {option}" for name, option in aliases.PUBLISHED.items()),
  ]
  return "\n\n".join(parts) + "\n"


def _options(lines: Mapping[str, list[Line]]) -> list[str]:
  """Formats the options of each name that has any."""
  return [f"`{name}`\n\n{_markdown('option', rows)}" for name, rows in lines.items() if rows]


def _markdown(heading: str, rows: list[Line]) -> str:
  cell = lambda text: text.replace("|", "\\|")
  body = [f"| `{key}` | `{default}` | {cell(meaning)} |" for key, default, meaning in rows]
  return "\n".join([f"| {heading} | default | meaning |", "|---|---|---|", *body])


if __name__ == "__main__":
  for path, text in ((TABLE, table()), (PAGE, page())):
    with atomic_write(path) as temporary:
      temporary.write_text(text, encoding="utf-8")
