"""Generative adversarial networks in JAX: a game is data, a round is one pure function.

    import gan_jax as gj

`dir(gj)` lists what there is, and `gan_jax.game` is the file to read first. A name is imported when
it is first asked for, so that the command line answers at once.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_MODULES = (  # parts of the package
  *("losses", "regularizers", "latents", "turns", "schedules", "nets", "data", "metrics", "theory"),
  *("plots", "parallel", "population", "config", "ablation"),
)
_MEMBERS = {  # name -> where it stands
  "Game": "game.Game",
  "Player": "game.Player",
  "Turn": "game.Turn",
  "State": "game.State",
  "Match": "objectives.Match",
  "Term": "objectives.Term",
  "AdversarialLoss": "losses.AdversarialLoss",
  "init": "game.init",
  "play_round": "game.play_round",
  "sample": "game.sample",
  "two_player": "games.two_player",
  "build": "experiment.build",
  "fit": "train.fit",
  "load": "runs.load",
  "score": "scoring.evaluate",
  "compare": "comparing.compare",
}


def __getattr__(name: str) -> Any:
  if name in _MODULES:
    return importlib.import_module(f"gan_jax.{name}")
  if name not in _MEMBERS:
    raise AttributeError(
      f"module 'gan_jax' has no attribute {name!r}; dir(gan_jax) lists its names"
    )
  module, member = _MEMBERS[name].split(".")
  return getattr(importlib.import_module(f"gan_jax.{module}"), member)


def __dir__() -> list[str]:
  return sorted((*_MODULES, *_MEMBERS))
