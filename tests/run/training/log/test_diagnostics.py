"""What is made of rows: closed forms, alarms on rows made by hand, and on whole runs."""

import functools
import json
import math
import pathlib
import runpy

import jax
import numpy as np
import pytest

from gan_jax import data, parallel
from gan_jax.game.play import init
from gan_jax.run.config import network, optimizer
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.evaluation.held_out import auc, held_out_probe
from gan_jax.run.experiment import build
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training import train
from gan_jax.run.training.log.detectors import DETECTORS, PATH, PATIENCE
from gan_jax.run.training.log.diagnostics import WARM_UP, DetectorState, diagnose, update
from gan_jax.run.training.log.monitor_summary import rotation, summarise

EXPERIMENTS = pathlib.Path(__file__).parents[4] / "experiments"


# --- closed forms ---------------------------------------------------------------------------------

POSITIONS = ("monitor/position_discriminator", "monitor/position_generator")


def circle(turns, n=60, shrink=0.0, center=(5.0, -2.0), scale=(1.0, 100.0)):
  t = np.linspace(0, 2 * np.pi * turns, n)
  points = np.stack([np.cos(t), np.sin(t)], axis=-1) * np.exp(-shrink * np.abs(t))[:, None]
  return points * np.array(scale) + np.array(center)


@pytest.mark.parametrize("turns", [1, 3, -2])
def test_a_circle_goes_round(turns):
  found = rotation(circle(turns))
  assert found["turns"] == pytest.approx(turns, rel=0.1)
  assert found["coherence"] > 0.95 and found["growth"] == pytest.approx(1, abs=0.1)


def test_a_spiral_shrinks_or_grows():
  assert rotation(circle(4, shrink=0.1))["growth"] < 0.4
  assert rotation(circle(4, shrink=-0.1))["growth"] > 2.5


def test_a_drift_makes_half_a_turn_and_rest_none():
  line = np.stack([np.arange(20.0), 3 * np.arange(20.0)], axis=-1)
  assert abs(rotation(line)["turns"]) <= 0.5 + 1e-9
  for resting in (np.ones((20, 2)), np.ones((1, 2)), np.zeros((2, 2))):
    assert rotation(resting)["turns"] == rotation(resting)["coherence"] == 0


@pytest.mark.parametrize("walk", [True, False])
def test_noise_has_no_direction(walk):
  """Neither a random walk nor white noise passes for a rotation: 4,000 paths of PATH rows."""
  steps = np.random.default_rng(0).normal(size=(4000, PATH, 2))
  found = rotation(np.cumsum(steps, axis=1) if walk else steps)
  assert found["coherence"].mean() < 0.3
  assert ((found["coherence"] > 0.8) & (np.abs(found["turns"]) > 2.5)).sum() <= 1


def test_a_row_sums_up_all_its_rounds():
  path = circle(2, n=50)
  names = POSITIONS
  history = {
    "monitor/diversity": np.linspace(0, 1, 50),
    "generator/gradient_norm": np.r_[9.0, np.ones(49)],
    **dict(zip(names, path.T, strict=True)),
  }
  found = summarise(history)
  assert found["monitor/diversity"] == pytest.approx(0.5)
  assert found["monitor/gradient_norm"] == 1 and found["monitor/gradient_peak"] == 9
  assert found[names[0]] == path[-1, 0]  # where it is, not where it was on average
  assert found["monitor/turns"] == pytest.approx(2, rel=0.1)
  assert found["monitor/travelled_over_gained"] > 1e3  # back where it started
  straight = {name: np.arange(9.0) for name in names}
  assert summarise(straight)["monitor/travelled_over_gained"] == pytest.approx(1)
  resting = {name: np.ones(9) for name in names}
  assert summarise(resting)["monitor/travelled_over_gained"] == 1
  assert summarise({"generator/gradient_norm": np.ones(3)}).keys() == {
    "monitor/gradient_norm",
    "monitor/gradient_peak",
  }


def test_auc():
  assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
  assert auc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5
  assert auc(np.ones(3), np.ones(4)) == 0.5


# --- alarms ---------------------------------------------------------------------------------------


def rows(n=20, every=100, **columns):
  """Makes rows in which a column is a number, a list, or a function of the round."""
  named = {name.replace("__", "/"): value for name, value in columns.items()}
  value = lambda x, i: x(i * every) if callable(x) else x[i - 1] if isinstance(x, list) else x
  return [
    {"round": i * every, **{name: value(x, i) for name, x in named.items()}}
    for i in range(1, n + 1)
  ]


HEALTHY = dict(
  monitor__diversity=0.95,
  monitor__coverage=0.9,
  monitor__precision=0.9,
  monitor__slope=0.6,
  generator__D_fake=0.4,
  monitor__gradient_norm=1.0,
  monitor__gradient_peak=2.0,
  monitor__turns=0.5,
  monitor__coherence=0.2,
  monitor__growth=1.0,
  monitor__held_out_auc=0.55,
  monitor__mismatch=0.06,
  monitor__pull=1.4,
)
FAILING = {
  "vanishing_gradient": dict(
    monitor__slope=1e-3,
    generator__D_fake=1e-3,
    monitor__gradient_norm=0.1,
    monitor__gradient_peak=lambda t: 5.0 if t == 100 else 0.2,  # the history is what counts
  ),
  "mode_collapse": dict(monitor__coverage=lambda t: 0.9 if t == 300 else 0.3),
  "oscillation": dict(monitor__turns=-3.0, monitor__coherence=1.0),
  "discriminator_overfitting": dict(monitor__held_out_auc=0.9),
  "vanishing_force": dict(monitor__mismatch=1.04, monitor__pull=2.5e-4),
}
# A generator that the field does not move stays collapsed too: it has two warnings.
PROVOKED = [name for name in FAILING if name != "vanishing_force"]


def test_healthy_rows_are_silent_and_so_are_rows_without_monitors():
  assert diagnose(rows(**HEALTHY)) == ()
  assert diagnose([]) == diagnose(rows(V=-1.0)) == ()


@pytest.mark.parametrize("name", FAILING)
def test_each_failure_raises_its_alarm_once_with_a_remedy(name):
  (warning,) = diagnose(rows(**HEALTHY | FAILING[name]))
  assert warning.monitor == name
  assert warning.round == WARM_UP + (PATIENCE - 1) * 100  # the first rows are not judged
  for column, value in FAILING[name].items():
    if column in ("monitor__slope", "monitor__held_out_auc"):
      assert f"{column.replace('__', '/')} is {value:.3g}" in warning.seen
  assert f"warning: {name} at round 700: " in str(warning) and ". Try " in str(warning)


@pytest.mark.parametrize("name", FAILING)
def test_every_sign_is_needed(name):
  for column in FAILING[name]:
    if column != "monitor__gradient_peak":
      left = {k: v for k, v in FAILING[name].items() if k != column}
      assert diagnose(rows(**HEALTHY | left)) == ()


def test_other_signs_of_collapse():
  never = HEALTHY | dict(monitor__diversity=0.01)
  lost = HEALTHY | dict(monitor__diversity=lambda t: 0.9 if t == 200 else 0.01)
  (warning,) = diagnose(rows(**never))
  assert "monitor/diversity is 0.01, below 0.25" in warning.seen
  assert warning.round == 1200  # of 2000: it may have been late
  assert diagnose(rows(**never), rounds=10_000) == ()
  assert diagnose(rows(**lost), rounds=10_000)[0].round == 700
  (warning,) = diagnose(rows(**HEALTHY | dict(monitor__coverage=0.2)))
  assert warning.round == 1200
  assert diagnose(rows(**HEALTHY | dict(monitor__coverage=0.0, monitor__precision=0.0))) == ()


@pytest.mark.parametrize("score", ["kl", "class_kl"])
def test_scores_that_are_rare_are_counted_where_they_are(score):
  some = rows(**HEALTHY)
  for row in some[9::5]:  # rounds 1000, 1500, 2000
    row[f"score/{score}"] = 0.8
  (warning,) = diagnose(some)
  assert warning.monitor == "mode_collapse" and warning.round == 1500
  some[9][f"score/{score}"] = math.inf  # of samples that are all bad: no sign of collapse
  some[14][f"score/{score}"] = 0.1
  assert diagnose(some) == ()


def test_patience_starts_again():
  bad = [0.9, 0.9, 0.5] * 5
  assert diagnose(rows(15, **HEALTHY | dict(monitor__held_out_auc=bad))) == ()
  bad = [0.5] * 12 + [0.9] * 3
  (warning,) = diagnose(rows(15, **HEALTHY | dict(monitor__held_out_auc=bad)))
  assert warning.round == 1500


def test_a_turn_slower_than_rows_is_seen():
  path = lambda shrink: [row.tolist() for row in circle(6, n=50, shrink=shrink).T]
  names = ("monitor__position_discriminator", "monitor__position_generator")
  around = lambda shrink: HEALTHY | dict(zip(names, path(shrink), strict=True))
  (warning,) = diagnose(rows(50, **around(0.0)))
  assert warning.monitor == "oscillation" and "|turns| of rows" in warning.seen
  assert diagnose(rows(50, **around(0.05))) == ()


def test_rows_one_by_one_come_to_the_same_as_all_at_once():
  """Numbers at random, of which some are missing, in parts of random lengths."""
  rng, names = np.random.default_rng(0), sorted({s.column for m in DETECTORS for s in m.thresholds})
  names = [n for n in names if " of " not in n and "|" not in n and n != "gradient_norm/peak"]
  names += ["monitor/gradient_norm", "monitor/gradient_peak", "monitor/turns", *POSITIONS]
  names = [f"generator{name}" if name.startswith("/") else name for name in names]
  seen = set()
  for _ in range(20):
    far = {name: rng.choice([0.01, 1.0, 3.0]) for name in names}
    some = [
      {
        "round": 50 * i,
        **{n: far[n] * rng.choice([0.1, 1.0]) for n in names if rng.random() < 0.9},
        **dict(zip(POSITIONS, np.exp(-i / 500) * np.array([np.cos(i), np.sin(i)]), strict=True)),
      }
      for i in range(1, 80)
    ]
    found, at = DetectorState(), 0
    while at < len(some):
      step = rng.integers(1, 50)
      found = update(found, some[at : at + step], 4000)
      at += step
    whole = diagnose(some, 4000)
    assert tuple(sorted(found.warnings.values())) == whole and len(found.path) < PATH
    seen |= {warning.monitor for warning in whole}
  assert seen == {detector.name for detector in DETECTORS}


def test_every_threshold_has_a_reason_and_every_monitor_a_remedy():
  for detector in DETECTORS:
    assert detector.remedy and detector.patience >= 1
    assert all(sign.reason for sign in detector.thresholds)


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def play(tmp_path, monkeypatch, capsys):
  """Plays a config on one device, without scores and pictures; returns what was told."""
  one = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), parallel.AXES)
  monkeypatch.setattr(parallel, "make_mesh", lambda batch_size, **_: one)
  unscored = Evaluator("none", {}, (), {}, lambda *_: {})

  def run(config):
    # Rounds on digits take longer to play than to be compiled well.
    jax.config.update("jax_disable_most_optimizations", config.data != "mnist10k")
    experiment = build(config)._replace(evaluator=lambda: unscored)
    train.fit(experiment, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    again = [warning._asdict() for warning in diagnose(read_rows(tmp_path))]
    assert summary["warnings"] == again  # as anyone can tell from the rows, later
    return capsys.readouterr().err, summary

  yield run
  jax.config.update("jax_disable_most_optimizations", True)


def config_of(path, *kind):
  return runpy.run_path(str(EXPERIMENTS / path))["get_config"](*kind)


@pytest.mark.parametrize("name", PROVOKED)
def test_provoked_failure_is_told_and_nothing_else(play, name):
  told, summary = play(config_of(f"failures/{name}.py", "failing"))
  (warning,) = summary["warnings"]
  assert warning["monitor"] == name and warning["remedy"] and warning["seen"]
  assert told.count("warning: ") == 1 and f"warning: {name} at round " in told


@pytest.mark.parametrize("name", PROVOKED)
def test_remedied_twin_is_silent(play, name):
  told, summary = play(config_of(f"failures/{name}.py", "remedied"))
  assert summary["warnings"] == [] and "warning" not in told


def small(path, rounds=600, **changes):
  config = config_of(path)
  config.rounds, config.log_every, config.rounds_per_call = rounds, 50, 50
  config.sample_every = config.evaluate_every = config.checkpoint_every = 0
  config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
  return config


def digits(path, **changes):
  config = small(path, **changes)
  config.batch_size = 32
  config.latent = {"name": "normal", "dim": 32}
  config.generator = network("mlp_generator", hidden=(64,), output="tanh")
  config.discriminator = network("mlp_discriminator", hidden=(64,))
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=5e-4, b1=0.0, b2=0.99)
  return config


RING = dict(generator__hidden=(64, 64), discriminator__hidden=(64, 64), batch_size=32)
# The networks of 2014 are not among them: after 600 rounds their fakes are nearly one point, and a
# run that ends there is told so; they find the digits later.
HEALTHY_RUNS = {
  "ring, R1": lambda: small("ring.py", **RING),
  "ring, relativistic, R1 and R2": lambda: small(
    "ring.py", loss="relativistic", regularizers__r2=0.1, **RING
  ),
  "digits, non-saturating, R1": lambda: digits("mnist_dcgan.py"),
  "digits, conditional, hinge": lambda: digits("conditional_mnist.py"),
  "digits, Wasserstein, gradient penalty": lambda: digits("wgan_gp_mnist.py", k=2),
}


@pytest.mark.parametrize("name", HEALTHY_RUNS)
def test_healthy_run_is_silent(play, name):
  told, summary = play(HEALTHY_RUNS[name]())
  assert summary["warnings"] == [] and "warning" not in told


def test_not_a_number_is_in_the_summary(play, tmp_path):
  config = small("ring.py", rounds=100, loss="maximum_likelihood", **RING)
  config.optimizers.generator.learning_rate = 1e30
  with pytest.raises(train.NotFiniteError) as caught:
    play(config)
  summary = json.loads((tmp_path / "summary.json").read_text())
  (warning,) = summary["warnings"]
  assert warning["monitor"] == "not_finite" and warning["seen"] == summary["stopped"]
  assert warning["seen"] in str(caught.value) and warning["remedy"] in str(caught.value)
  assert warning["round"] <= 3 and " in round " in warning["seen"]


# --- the probe ------------------------------------------------------------------------------------


def test_probe_compares_logits_and_leaves_the_run_alone():
  """Held-out examples whose every pixel is larger, and a discriminator that adds them up."""
  config = small("failures/discriminator_overfitting.py", rounds=1, packing=2, batch_size=48)
  config.discriminator = network("mlp_discriminator", hidden=())
  experiment = build(config)
  dark = data.table("dark", np.zeros((300, 28, 28, 1), np.uint8), None)
  mesh = parallel.make_mesh(48)
  batches = data.Batches(dark, 48, 0)
  state = init(experiment.game, jax.random.key(0), experiment.example.batch(1, 48))
  ones = jax.tree.map(lambda x: x * 0 + 1, state.params["discriminator"])
  state = state.replace(params=state.params | {"discriminator": ones})
  before = jax.tree.map(np.asarray, state.params)
  probe = lambda held_out: held_out_probe(experiment.game, batches, held_out, mesh)(state)
  light = lambda value: data.table("light", np.full((100, 28, 28, 1), value, np.uint8), None)
  assert probe(light(255)) == {"monitor/held_out_auc": 0.0}
  assert probe(light(0)) == {"monitor/held_out_auc": 0.5}
  assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, state.params))


@pytest.mark.parametrize("held_out", [None, data.load("ring8")])
def test_nothing_is_probed_where_nothing_can_be_remembered(held_out):
  experiment = build(small("ring.py", **RING))
  mesh = parallel.make_mesh(128)
  probe = functools.partial(held_out_probe, experiment.game, experiment.batches)
  assert probe(held_out, mesh)(None) == {}
