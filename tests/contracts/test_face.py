"""The public face: what `import gan_jax as gj` offers, and no more."""

import subprocess
import sys

import pytest

import gan_jax as gj

NAMES = [
  "Game",
  "Player",
  "Turn",
  "Sampler",
  "State",
  "Match",
  "Term",
  "AdversarialLoss",
  "init",
  "play_round",
  "sample",
  "two_player",
  "game",
  "losses",
  "regularizers",
  "latents",
  "rules",
  "turns",
  "schedules",
  "views",
  "nets",
  "data",
  "metrics",
  "theory",
  "plots",
  "parallel",
  "population",
  "config",
  "build",
  "fit",
  "keep_programs",
  "Every",
  "load",
  "score",
  "evaluator_for",
  "read_rows",
  "compare",
  "ablation",
]


def test_the_names_are_those_that_are_listed():
  assert dir(gj) == sorted(NAMES)
  for name in NAMES:
    assert getattr(gj, name).__doc__, name


def test_other_names_are_refused_with_where_to_look():
  with pytest.raises(AttributeError, match=r"no attribute 'gan'; dir\(gan_jax\) lists"):
    gj.gan  # noqa: B018


def test_nothing_is_imported_before_it_is_asked_for():
  code = "import sys, gan_jax; print(sorted({'jax', 'numpy', 'absl'} & set(sys.modules)))"
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == "[]"
