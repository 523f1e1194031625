"""Generative adversarial networks in JAX: a game is data, a round is one pure function.

    import gan_jax as gj

`dir(gj)` lists what there is; the file to read first is `gan_jax/game/core.py`. A name is imported
when it is first asked for, so that the command line answers at once.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_MODULES = {  # parts of the package -> where they stand
  **{
    name: name
    for name in ("game", "losses", "nets", "data", "theory", "metrics", "plots", "parallel")
  },
  **{name: f"game.{name}" for name in ("latents", "rules", "schedules", "views")},
  "turns": "game.kinds.sides.turns",
  "regularizers": "losses.regularizers",
  "config": "run.config",
  "population": "run.population",
  "ablation": "run.ablation",
}
_MEMBERS = {  # name -> where it stands
  "Game": "game.core.Game",
  "Player": "game.core.Player",
  "Turn": "game.core.Turn",
  "Sampler": "game.core.Sampler",
  "State": "game.core.State",
  "Match": "losses.objectives.Match",
  "Term": "losses.objectives.Term",
  "AdversarialLoss": "losses.adversarial.AdversarialLoss",
  "init": "game.play.init",
  "play_round": "game.play.play_round",
  "sample": "game.play.sample",
  "two_player": "game.kinds.two_player.two_player",
  "build": "run.experiment.build",
  "fit": "run.training.train.fit",
  "keep_programs": "run.cli.compilation_cache.keep_programs",
  "Every": "run.training.hooks.Every",
  "load": "run.results.folder.load",
  "score": "run.evaluation.scoring.evaluate",
  "evaluator_for": "run.evaluation.evaluators.build.evaluator_for",
  "read_rows": "run.results.rows.read_rows",
  "compare": "run.evaluation.cards.comparing.compare",
}


def __getattr__(name: str) -> Any:
  if name in _MODULES:
    return importlib.import_module(f"gan_jax.{_MODULES[name]}")
  if name not in _MEMBERS:
    raise AttributeError(
      f"module 'gan_jax' has no attribute {name!r}; dir(gan_jax) lists its names"
    )
  module, _, member = _MEMBERS[name].rpartition(".")
  return getattr(importlib.import_module(f"gan_jax.{module}"), member)


def __dir__() -> list[str]:
  return sorted((*_MODULES, *_MEMBERS))
