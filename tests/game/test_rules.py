"""Update rules: by hand on the bilinear game, then from a config, then on every layout of devices.

In the Dirac-GAN with the Wasserstein loss D descends psi theta and G descends -psi theta: the
gradients are (theta, -psi), and a rule is a matrix on (psi, theta).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layouts import on_every_layout

from gan_jax import losses
from gan_jax.data.example import Example
from gan_jax.game import rules
from gan_jax.game.core import Turn, minibatches
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.optimizers import lookahead
from gan_jax.game.play import init, play_round
from gan_jax.game.views import gaussian_noise
from gan_jax.run.config import complete, default_config, network, optimizer
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.theory import dynamics
from gan_jax.theory.toys import dirac, dirac_batch

RATE = 0.2
FIELD = np.array([[0.0, 1.0], [-1.0, 0.0]])  # gradients of (psi, theta)
HERE = np.eye(2)


def bilinear(turns, optimizer=None):
  sgd = optimizer or optax.sgd(RATE)
  optimizers = {"discriminator": sgd, "generator": sgd}
  return dirac(losses.wasserstein, optimizers=optimizers, turns=turns, psi=3.0, theta=2.0)


def played(game, rounds=1, data=None):
  """Plays rounds on the line; returns (psi, theta)."""
  batch = data or dirac_batch(minibatches(game), 4)
  state = init(game, jax.random.key(0), batch)
  state, _ = jax.lax.scan(lambda s, _: play_round(game, s, batch), state, length=rounds)
  return dynamics.flatten(game, state)[0]


@pytest.mark.parametrize(
  ("turns", "matrix"),
  [
    (simultaneous(), HERE - RATE * FIELD),
    # x - h A (x - h A x): inside the circle for h < 1, where x - h A x is outside.
    (rules.extragradient(simultaneous()), HERE - RATE * FIELD + RATE**2 * FIELD @ FIELD),
    # ½‖v‖² = ½(theta² + psi²), which each descends in its own parameter.
    (
      rules.consensus(simultaneous(), weight=0.5),
      HERE - RATE * (FIELD + 0.5 * HERE),
    ),
    (rules.consensus(simultaneous(), weight=0.0), HERE - RATE * FIELD),
    # After k steps D is at psi - k h theta, so G descends -theta psi + k h theta².
    (
      rules.unrolled(simultaneous(), steps=3),
      HERE - RATE * np.array([[0, 1], [-1, 2 * 3 * RATE]]),
    ),
    (rules.unrolled(simultaneous(), steps=0), HERE - RATE * FIELD),
    # D first; G then looks ahead from where D has gone.
    (
      rules.unrolled(alternating(), steps=1),
      np.array([[1, 0], [RATE, 1 - 2 * RATE**2]]) @ np.array([[1, -RATE], [0, 1]]),
    ),
  ],
)
def test_one_round_by_hand(turns, matrix):
  np.testing.assert_allclose(played(bilinear(turns)), matrix @ [3.0, 2.0], rtol=1e-6)


def test_which_rules_turn_rotation_into_convergence():
  """The plain rule leaves (0, 0), the others approach it: for long, as the eigenvalues say."""
  start = np.hypot(3.0, 2.0)
  distance = lambda turns, **options: np.linalg.norm(played(bilinear(turns, **options), 100))
  both = simultaneous()
  assert distance(both) > 5 * start
  assert distance(rules.extragradient(both)) < 0.2 * start
  assert distance(rules.consensus(both, weight=0.5)) < 1e-3 * start
  assert distance(rules.unrolled(both, steps=5)) < 1e-3 * start
  assert distance(both, optimizer=optax.optimistic_gradient_descent(RATE)) < 0.2 * start
  ahead = lookahead(optax.sgd(RATE), every=6)
  assert distance(both, optimizer=ahead) < 0.2 * start


def test_unrolling_goes_through_the_opponents_own_optimizer_and_its_memory():
  """With momentum m the look-ahead step from velocity v is -h (g + m v)."""
  m, game = (
    0.5,
    bilinear(rules.unrolled(simultaneous(), steps=2), optimizer=optax.sgd(RATE, momentum=0.5)),
  )
  psi, theta, vd, vg = 3.0, 2.0, 0.0, 0.0
  for _ in range(3):
    # v1 = m v + theta, v2 = m v1 + theta: psi goes to psi - h (m v + m² v + (2 + m) theta).
    ahead = psi - RATE * ((m + m**2) * vd + (2 + m) * theta)
    slope = -ahead + RATE * (2 + m) * theta
    vd, vg = m * vd + theta, m * vg + slope
    psi, theta = psi - RATE * vd, theta - RATE * vg
  np.testing.assert_allclose(played(game, 3), [psi, theta], rtol=1e-5)


def test_a_turn_that_looks_ahead_consumes_the_data_it_looks_at():
  turns = rules.unrolled(alternating(2), steps=1)
  assert minibatches(bilinear(alternating(2))) == 2
  assert minibatches(bilinear(turns)) == 3
  assert [turn.opponents for turn in turns] == [(), ("discriminator",)]


def test_lookahead_by_hand():
  params = {"w": jnp.array(1.0)}
  wrapped = lookahead(optax.sgd(1.0), every=2, share=0.25)
  state, seen = wrapped.init(params), []
  for _ in range(4):
    updates, state = wrapped.update({"w": jnp.array(-1.0)}, state, params)
    params = optax.apply_updates(params, updates)
    seen.append(float(params["w"]))
  assert seen == [2.0, 1.5, 2.5, 2.0]  # 1 -> 3, of which a quarter of the way; again


def test_statistics_and_metrics_are_of_one_look():
  """What is carried and told is not piled up by the second look."""
  game = bilinear(rules.extragradient(simultaneous()))
  batch = dirac_batch(1, 4)
  step = jax.jit(functools.partial(play_round, game))
  state, metrics = step(init(game, jax.random.key(0), batch), batch)
  ahead = np.array([3.0, 2.0]) - RATE * FIELD @ [3.0, 2.0]
  np.testing.assert_allclose(metrics["discriminator/adversarial"], ahead.prod(), rtol=1e-6)
  assert state.round == 1


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: rules.extragradient(alternating()), "extragradient is for players who move at"),
    (lambda: rules.consensus(alternating(), weight=1.0), "one turn of all players"),
    (lambda: rules.consensus(simultaneous(), weight=-1.0), "weight >= 0, got -1"),
    (lambda: rules.unrolled(alternating(), steps=-1), "k >= 0 steps, got -1"),
    (lambda: rules.unrolled((Turn(("discriminator",)),), steps=1), "takes two players, got 'discr"),
    (
      lambda: rules.unrolled((Turn(("discriminator",)),), steps=1, player="generator"),
      "'generator', who has no turn",
    ),
    (lambda: lookahead(optax.sgd(1.0), every=0), "k >= 1 and a share"),
    (lambda: lookahead(optax.sgd(1.0), every=2.5), "whole k >= 1 and a share"),
    (lambda: lookahead(optax.sgd(1.0), every=1, share=0.0), "k >= 1 and a share"),
  ],
)
def test_what_has_no_meaning_is_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


# --- from a config --------------------------------------------------------------------------------


def tiny(**changes):
  config = default_config()
  config.data = "ring8"
  config.generator = network("mlp_generator", hidden=())
  config.discriminator = network("mlp_discriminator", hidden=())
  config.latent.dim = 2
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("sgd", learning_rate=0.1)
  for key in changes.keys() & {"optimizers.discriminator"}:
    config.optimizers.discriminator = changes.pop(key)
  config.update_from_flattened_dict(changes)
  return config


CONFIGS = {
  "plain": {"simultaneous": True},
  "extragradient": {"simultaneous": True, "rule.name": "extragradient"},
  "consensus": {"simultaneous": True, "rule.name": "consensus", "rule.weight": 2.0},
  "heavier consensus": {"simultaneous": True, "rule.name": "consensus", "rule.weight": 20.0},
  "unrolled": {"rule.name": "unrolled", "rule.steps": 2},
  "longer unrolled": {"rule.name": "unrolled", "rule.steps": 4},
  "noise": {"simultaneous": True, "instance_noise.std": 0.5},
  "lookahead": {"simultaneous": True, "optimizers.generator.lookahead": 2},
  "longer lookahead": {
    "simultaneous": True,
    "optimizers.generator.lookahead": 2,
    "optimizers.generator.lookahead_share": 0.9,
  },
}


def test_every_option_reaches_the_game():
  """Each config ends two rounds elsewhere than every other."""
  ends = {}
  for name, changes in CONFIGS.items():
    game = build_game(complete(tiny(**changes)), Example((2,), None, None))
    batch = {"x": jax.random.normal(jax.random.key(1), (minibatches(game), 16, 2))}
    state = init(game, jax.random.key(0), batch)
    step = jax.jit(
      functools.partial(play_round, game), compiler_options={"xla_backend_optimization_level": 0}
    )
    for _ in range(2):
      state, _ = step(state, batch)
    ends[name] = dynamics.flatten(game, state)[0]
    assert np.isfinite(ends[name]).all(), name
  for a in ends:
    for b in ends:
      assert a == b or not np.allclose(ends[a], ends[b], rtol=1e-6, atol=1e-9), (a, b)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"rule.name": "extra"}, "unknown rule 'extra'; expected one of: consensus, extragradient"),
    ({"rule.name": "consensus"}, "one turn of all players, simultaneous"),
    (
      {"rule.name": "unrolled", "optimizers.discriminator": optimizer("adam")},
      "optimizers.discriminator.eps_root=1e-8",
    ),
    (
      {"instance_noise.std": -0.1},
      "instance_noise.std is -0.1: expected a number >= 0",
    ),
    ({"instance_noise.std": "much"}, "instance_noise.std is 'much': expected a number >= 0, or a"),
  ],
)
def test_mistakes_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    build_game(complete(tiny(**changes)), Example((2,), None, None))


# --- on every layout ------------------------------------------------------------------------------

LAYOUT_RULES = {  # each as training plays it, and one other way
  "extragradient": (rules.extragradient(simultaneous()), "pmap"),
  "consensus": (rules.consensus(simultaneous(), weight=0.5), "jit alone"),
  "unrolled": (rules.unrolled(alternating(), steps=2), "pmap"),
}


@pytest.mark.parametrize("rule", LAYOUT_RULES)
def test_every_layout_plays_the_same_game(rule):
  """Examples differ, so that each device's gradients do; the mean comes inside the rule."""
  sgd, (turns, other) = optax.sgd(RATE), LAYOUT_RULES[rule]
  game = dirac(
    losses.non_saturating,
    optimizers={"discriminator": sgd, "generator": sgd},
    turns=turns,
    views=(gaussian_noise(0.1),),
  )
  n = minibatches(game)
  data = {"x": jax.random.normal(jax.random.key(1), (n, 16, 1))}
  state = init(game, jax.random.key(0), data)
  want, told = jax.jit(functools.partial(play_round, game))(state, data)
  for name, got, metrics in on_every_layout(game, state, data, ("data 8", other)):
    np.testing.assert_allclose(
      dynamics.flatten(game, got)[0], dynamics.flatten(game, want)[0], rtol=1e-5, err_msg=name
    )
    for key, value in told.items():
      np.testing.assert_allclose(metrics[key], value, rtol=1e-4, atol=1e-6, err_msg=f"{name} {key}")
