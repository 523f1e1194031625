"""The search of docs/ablation.md, with a stand-in for Optuna and for training."""

import pathlib
import re
import sys
import types

import pytest
from made_runs import made_card

import gan_jax as gj

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "ablation.md"


class Study:
  """Stands in for a study: tries three values of each number."""

  def optimize(self, objective, n_trials):
    values = {}
    for number in range(n_trials):
      trial = types.SimpleNamespace(number=number, params={})
      trial.suggest_float = lambda name, low, high, log=False, trial=trial: trial.params.setdefault(
        name, low * (high / low) ** (trial.number / 2)
      )
      values[objective(trial)] = trial.params
    self.best_params = values[min(values)]


def test_what_a_search_finds_is_trained_again_with_other_seeds(monkeypatch):
  optuna = types.ModuleType("optuna")
  optuna.create_study = lambda direction: {"minimize": Study()}[direction]
  monkeypatch.setitem(sys.modules, "optuna", optuna)
  trained = {}

  def fit(config, folder):
    trained[folder.name] = config
    return {"scores": {"kl": {"last": abs(config.regularizers.r1 - 0.1)}}}

  def score(folder, *, at, seed):
    better = 0.1 if folder.name.startswith("found") else 0.5
    card = made_card((better + trained[folder.name].seed / 1000,))
    yield card._replace(run={**card.run, "seed": trained[folder.name].seed}), folder

  for name, stand_in in {"build": lambda config: config, "fit": fit, "score": score}.items():
    monkeypatch.setattr(gj, name, stand_in, raising=False)
  (code,) = re.findall(r"```python\n(import pathlib.*?)```", PAGE.read_text(), re.DOTALL)
  defined: dict = {}
  exec(code, defined)
  told = defined["search"]("runs/search", trials=3, seeds=(1, 2, 3))
  assert [name for name in trained if name.startswith("trial")] == ["trial_0", "trial_1", "trial_2"]
  assert [trained[f"found_{seed}"].seed for seed in (1, 2, 3)] == [1, 2, 3]
  assert trained["found_1"].regularizers.r1 == pytest.approx(0.1)  # between 1e-3 and 10
  assert trained["default_1"].average.decay == 0.995 and trained["default_1"].rounds == 3000
  assert re.search(r"kl .*found is better", told)
