"""Adversarial flows as games: the published objectives, their memory, and how noise is carried."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import load_case
from flax import linen as nn

from gan_jax.game.core import Clock, StepContext, minibatches
from gan_jax.game.kinds.flow.adversarial import adversarial_flow
from gan_jax.game.kinds.flow.continuous import continuous_flow
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.optimizers import delayed
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.random import Microbatch
from gan_jax.losses.approximate import centering
from gan_jax.losses.objectives import Match
from gan_jax.losses.one_step import courses, flows
from gan_jax.nets.flow import FlowMLPDiscriminator
from gan_jax.nets.mlp import MLPDiscriminator, MLPGenerator
from gan_jax.run.config import complete, default_config

SGD = {"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)}


class Line(nn.Module):
  """An example times a matrix, and times; a logit of their sum with `judge`."""

  judge: bool = False

  @nn.compact
  def __call__(self, inputs, y=None, *, train):
    x, *times = inputs
    out = nn.Dense(x.shape[1])(x) + sum(times)[:, None] * self.param(
      "t", nn.initializers.ones, (1, 1)
    )
    return jnp.tanh(out).sum(axis=1) if self.judge else out


make = functools.partial(adversarial_flow, Line(), Line(judge=True), shape=(2,), optimizers=SGD)
make_continuous = functools.partial(
  continuous_flow, Line(), Line(judge=True), shape=(2,), optimizers=SGD
)
BATCH = {"x": jax.random.normal(jax.random.key(5), (16, 2))}
CONTEXT = StepContext(jax.random.key(1), Clock(), None)


def start(game):
  return init(game, jax.random.key(0), stacked(game))


def stacked(game):
  return {"x": jnp.stack([BATCH["x"]] * minibatches(game))}


def forward(game, state, player="discriminator"):
  objective = game.players[player].objective
  return objective.forward(state.params, state.carried, BATCH, CONTEXT)[0]


# --- the published objectives ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["afm_g_one_step", "afm_g_two_step_v"])
def test_the_generators_objective_is_the_published_one(name):
  """Of the game itself, with its memory; test_flows.py has the networks' gradients."""
  arrays, case = load_case("afm", name)
  options = case["hyperparameters"]
  w = {k.removeprefix("w/D."): x for k, x in arrays.items() if k.startswith("w/D.")}
  times = [jnp.asarray(arrays[f"in/timesteps_{side}"]) for side in ("src", "tgt")]
  source, real = (
    flows.interpolate(arrays["in/latents"], arrays[f"in/noises_{side}"], t)
    for side, t in zip(("src", "tgt"), times, strict=True)
  )
  labels = jax.nn.one_hot(arrays["in/labels"], 5)

  def judge(x, kind="real"):
    h = jnp.concatenate([x.reshape(len(x), -1), labels, times[1][:, None]], axis=1)
    for i in range(3):
      h = jnp.matmul(h, w[f"l.{i}.weight"].T, precision="highest") + w[f"l.{i}.bias"][None]
      h = jax.nn.silu(h) if i < 2 else h
    return h[:, 0]

  shape = real.shape[1:]
  objective = (
    make(weights={"transport": options["ot_scale"]}, shape=shape).players["generator"].objective
  )

  @jax.jit
  def value(fake):
    match = Match.of(
      CONTEXT,
      {},
      real=real,
      fake=fake,
      real_logits=judge(real),
      fake_logits=judge(fake),
      discriminator=judge,
      generator=None,
      latents=(source, *times),
    )
    return objective.value(match, {}, objective.memory, CONTEXT)

  fake = jnp.asarray(arrays["out/x_tgt_pred"])
  (total, (memory, metrics)), slope = jax.value_and_grad(value, has_aux=True)(fake)
  for key, found in {"total": total, "gen": metrics["generator/adversarial"]}.items():
    np.testing.assert_allclose(found, case["numbers"][key], rtol=1e-5)
  cost = lambda x: flows.transport(x, source, flows.step_width(*times)).mean()
  expected = arrays["grad/of_adversarial_loss_at_G_output_after_normalising"]
  expected = expected + options["ot_scale"] * jax.grad(cost)(fake)
  # Of float32 arrays of one size: rounding of sums, relative to the largest.
  np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
  square = memory["generator.adversarial"].square
  np.testing.assert_allclose(square, case["numbers"]["running_square_after"], rtol=1e-5)


def test_a_normalised_gradient_has_one_size_from_move_to_move():
  """Of a fixed match: √10 of the size at first as published, the size at once if corrected."""
  x = BATCH["x"]
  judge = lambda x, kind="real": jnp.sum(x**2, axis=1)
  fields = {"real": x, "real_logits": judge(x), "fake_logits": judge(x), "generator": None}
  match = functools.partial(
    Match.of, CONTEXT, {}, **fields, discriminator=judge, latents=(x, None, None)
  )
  loss = flows.AdversarialLoss(lambda a, b: b, lambda a, b: -3.0 * b)
  plain = -6 * x / len(x)
  for normaliser, first in (
    (flows.normalise_gradient(), 10**0.5),
    (flows.normalise_gradient_corrected(), 1.0),
  ):
    term = flows.normalised(loss, normaliser)
    value = lambda fake, memory, term=term: (lambda out: (jnp.mean(out[0]), (out[0], out[1])))(
      term.value(match(fake=fake), memory)
    )
    grad = jax.jit(jax.grad(value, has_aux=True))
    memory = term.memory
    for factor in (first, None):
      slope, (values, memory) = grad(x, memory)
      np.testing.assert_allclose(values, -3 * judge(x), rtol=1e-6)
      cosine = np.vdot(slope, plain) / np.linalg.norm(slope) / np.linalg.norm(plain)
      np.testing.assert_allclose(cosine, 1, rtol=1e-6)
      if factor:  # a norm of 1/√n is a root mean square of 1/n, of n elements
        np.testing.assert_allclose(np.linalg.norm(slope), factor * x.size**-0.5, rtol=1e-5)
  with pytest.raises(ValueError, match="of each pair of logits alone"):
    flows.normalised(loss._replace(couples=True), flows.normalise_gradient())


# --- forwards -------------------------------------------------------------------------------------


def test_steps_end_at_the_data_by_their_times():
  """Real examples at t_to, fakes from t_from; each judged at t_to, penalties by the width."""
  game = make(
    steps=courses.equal_steps(4),
    velocity=True,
    regularizers={"wide": (1.0, flows.by_width(centering))},
  )
  state = start(game)
  match = forward(game, state)
  x, t, s = match.latents
  net, judge = Line(), Line(judge=True)
  of = lambda net, name, given: net.apply({"params": state.params[name]}, given, train=False)
  np.testing.assert_allclose(t - s, 0.25, rtol=1e-6)
  assert set(np.round(4 * np.asarray(t))) <= {1, 2, 3, 4} and len(set(np.asarray(t))) > 1
  moved = x + (s - t)[:, None] * of(net, "generator", (x, t, s))
  np.testing.assert_allclose(match.fake, moved, rtol=1e-5, atol=1e-6)
  for points, logits in ((match.real, match.real_logits), (match.fake, match.fake_logits)):
    np.testing.assert_allclose(
      logits, of(judge, "discriminator", (points, s)), rtol=1e-5, atol=1e-6
    )
  done = np.asarray(s) == 0  # where a step ends at data there is no noise in the real example
  np.testing.assert_allclose(match.real[done], BATCH["x"][done], rtol=1e-6)
  # Of two draws of noise: at no other time are source and target on one line with the data.
  noise = lambda at, t: (at - (1 - t)[:, None] * BATCH["x"]) / t[:, None]
  both = noise(x, t)[~done], noise(match.real, jnp.where(done, 1, s))[~done]
  assert np.abs(both[0] - both[1]).min() > 1e-3
  objective = game.players["discriminator"].objective
  _, (_, metrics) = objective.value(match, state.params, state.carried, CONTEXT)
  wide = 0.25 * np.mean((match.real_logits + match.fake_logits) ** 2)
  np.testing.assert_allclose(metrics["discriminator/wide"], wide, rtol=1e-5)


def test_velocities_are_judged_by_the_derivative_along_them():
  game = make_continuous(turns=alternating(1))
  state = start(game)
  match = forward(game, state)
  x, t = match.latents
  noise = match.real + BATCH["x"]
  np.testing.assert_allclose(x, flows.interpolate(BATCH["x"], noise, t), rtol=1e-5, atol=1e-6)
  judge = lambda x, t: Line(judge=True).apply(
    {"params": state.params["discriminator"]}, (x, t), train=False
  )
  np.testing.assert_allclose(match.real_outputs["logits"], judge(x, t), rtol=1e-5, atol=1e-6)
  h = 1e-2  # central differences are off by h² of a third derivative of order 1
  for velocity, derivative in ((match.real, match.real_logits), (match.fake, match.fake_logits)):
    slope = (judge(x + h * velocity, t + h) - judge(x - h * velocity, t - h)) / (2 * h)
    np.testing.assert_allclose(derivative, slope, atol=5e-3)
  objective = game.players["discriminator"].objective
  total, _ = objective.value(match, state.params, {}, CONTEXT)
  expected = flows.continuous_discriminator(
    match.real_logits, match.fake_logits, match.real_outputs["logits"]
  )
  np.testing.assert_allclose(total, jnp.mean(expected), rtol=1e-5)


def test_samplers_carry_noise_in_their_number_of_steps():
  steps = 3
  game = make(steps=courses.any_steps, velocity=True, sampled=(1, 3))
  state = start(game)
  z = jax.random.normal(jax.random.key(2), (5, 2))
  expected = z
  for i in range(steps):
    t, s = (jnp.full(5, 1 - j / steps) for j in (i, i + 1))
    net = Line().apply({"params": state.params["generator"]}, (expected, t, s), train=False)
    expected = expected + (s - t)[:, None] * net
  found = sample(game, state, jax.random.key(3), 5, sampler=f"steps_{steps}", inputs=z)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_times_are_of_their_laws():
  keys = jax.random.split(jax.random.key(0), 4096)
  t, s = courses.any_steps(keys)
  # Means 1/2 and 1/4; four standard errors of uniform numbers are 0.018.
  np.testing.assert_allclose([t.mean(), s.mean()], [0.5, 0.25], atol=0.018)
  assert (s <= t).all() and (s >= 0).all() and (t <= 1).all()
  later = courses.logit_normal_times(keys)
  np.testing.assert_allclose(jnp.median(later), jax.nn.sigmoid(0.8), atol=0.02)
  t, s = courses.equal_steps(1)(keys)
  assert (t == 1).all() and (s == 0).all()
  with pytest.raises(ValueError, match="expected 1 equal step or more, got 0"):
    courses.equal_steps(0)


# --- turns ----------------------------------------------------------------------------------------


def test_a_generator_rests_while_its_opponent_warms_up():
  """Neither it nor its optimizer's memory moves, and then both do."""
  adam = optax.adam(0.1)
  game = make_continuous(
    optimizers={"discriminator": adam, "generator": delayed(adam, 2)}, turns=alternating(1)
  )
  state = start(game)
  step = jax.jit(functools.partial(play_round, game))
  states = [state]
  for _ in range(3):
    states.append(step(states[-1], stacked(game))[0])
  same = lambda a, b: all(
    np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
  )
  for before, after, still in zip(states, states[1:], (True, True, False), strict=False):
    for tree in ("params", "opt"):
      old, new = getattr(before, tree), getattr(after, tree)
      assert same(old["generator"], new["generator"]) == still
      assert not same(old["discriminator"], new["discriminator"])
  with pytest.raises(ValueError, match="a whole number of rounds >= 0, got -1"):
    delayed(adam, -1)


def test_a_normalised_gradient_looks_at_all_the_batch():
  game = make()
  objective = game.players["generator"].objective
  state, parts = start(game), CONTEXT._replace(microbatch=Microbatch(0, 2))
  with pytest.raises(ValueError, match="set microbatches = 1"):
    objective.value(forward(game, state), state.params, state.carried, parts)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"conditional": True}, "takes no labels"),
    ({"times": "some"}, "config.times is 'some': expected 'equal' or 'any'"),
    (
      {"sampled": (1, 0)},
      r"config.sampled = \(1, 0\): expected one number or more, each at least 1",
    ),
    ({"steps": 0}, "expected at least 1"),
    ({"jitter": -0.1}, "config.jitter = -0.1: expected at least 0"),
    ({"gradient_normalisation": "mean"}, "expected 'published' or 'corrected' or 'none'"),
  ],
)
def test_choices_that_cannot_be_are_refused(changes, message):
  config = default_config("adversarial_flow")
  config.data = "line4"
  for key, value in changes.items():
    config[key] = value
  with pytest.raises(ValueError, match=message):
    complete(config)


def test_networks_without_times_are_refused():
  """Before anything is compiled, and by name: what they do with a tuple is an error of its own."""
  start_of = lambda *nets: start(adversarial_flow(*nets, shape=(2,), optimizers=SGD))
  with pytest.raises(ValueError, match=r"\[16, 2\], \[16\], \[16\].*MLPGenerator cannot be called"):
    start_of(MLPGenerator((2,), (4,)), Line(judge=True))
  with pytest.raises(ValueError, match=r"\[16, 2\], \[16\]\).*MLPDiscriminator cannot be called"):
    start_of(Line(), MLPDiscriminator((4,)))


def test_a_discriminator_without_derivatives_in_forward_mode_is_refused():
  """Of 16-bit floats on a CPU, whose products have rules of their own; of float32 it has them."""
  make_of = lambda dtype: continuous_flow(
    Line(), FlowMLPDiscriminator((4,), dtype=dtype), shape=(2,), optimizers=SGD
  )
  start(make_of("float32"))
  if jax.default_backend() == "cpu":
    with pytest.raises(ValueError, match="no derivative in forward mode.*float32"):
      start(make_of("bfloat16"))


def test_arguments_of_another_kind_are_refused():
  with pytest.raises(ValueError, match=r"sampled is \(\): expected numbers of steps of at least 1"):
    make(sampled=())
  with pytest.raises(ValueError, match="of at least 2"):
    make_continuous(heun=True, sampled=(1,))
  with pytest.raises(ValueError, match=r"shape is \(3,\), and the data have \(2,\)"):
    start(make(shape=(3,)))
  with pytest.raises(
    ValueError, match="weights are .*: expected them by name, centering, transport"
  ):
    make_continuous(weights={"transport": 1.0})
