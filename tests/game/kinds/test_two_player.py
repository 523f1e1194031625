"""Two-player games: the wiring, on networks small enough to compile in no time."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.game.core import Clock, minibatches
from gan_jax.game.kinds.sides.monitors import discriminator_metrics
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import categorical, normal, truncated, uniform
from gan_jax.game.optimizers import clip_weights
from gan_jax.game.play import init, networks, play_round, sample
from gan_jax.game.schedules import decay, half_life, ramped_decay
from gan_jax.game.views import packing
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import Match

DIM, BATCH = 3, 16


class G(nn.Module):
  """Linear, with the label's own offset if there are labels; by choice with batch norm."""

  norm: bool = False
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z, y=None, *, train):
    x = nn.Dense(2)(z)
    if self.norm:
      x = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name, momentum=0.9)(x)
    return x if y is None else x + nn.Embed(4, 2)(y)


class D(nn.Module):
  """A small perceptron, by choice with batch norm."""

  norm: bool = False
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x, y=None, *, train):
    x = nn.Dense(8)(x)
    if self.norm:
      x = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name, momentum=0.9)(x)
    h = nn.tanh(x)
    logits = nn.Dense(1)(h)[:, 0]
    return logits if y is None else logits + jnp.sum(h * nn.Embed(4, 8)(y), -1)


def make(loss=losses.non_saturating, discriminator=None, generator=None, **options):
  return two_player(
    generator or G(),
    discriminator or D(),
    loss=loss,
    optimizers={"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)},
    latent=normal(DIM),
    **options,
  )


def batch(n, size=BATCH):
  x = jax.random.normal(jax.random.key(1), (n, size, 2)) + 1
  return {"x": x, "y": jnp.arange(n * size).reshape(n, size) % 4}


def jit_round(game):
  return jax.jit(functools.partial(play_round, game))


def play(game, rounds=1, size=BATCH):
  data = batch(max(1, minibatches(game)), size)
  state = init(game, jax.random.key(0), data)
  step = jit_round(game)
  for _ in range(rounds):
    state, metrics = step(state, data)
  return state, metrics


def moved(before, after):
  return any(
    bool((a != b).any()) for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True)
  )


@pytest.mark.parametrize("latent", [normal(5), uniform(5, 2.0), truncated(5, 1.5)])
def test_latents_belong_to_their_key(latent):
  keys = jax.random.split(jax.random.key(0), 4000)
  z = latent(keys)
  assert z.shape == (4000, 5)
  # To rounding: compilers evaluate the inverse error function differently for other shapes.
  np.testing.assert_allclose(latent(keys[7:9]), z[7:9], rtol=1e-6)
  np.testing.assert_allclose(z.mean(), 0, atol=0.05)  # 20,000 draws: sd of the mean < 0.01


def test_latents_have_their_distribution():
  keys = jax.random.split(jax.random.key(0), 20_000)
  assert abs(float(normal(2, 3.0)(keys).std()) - 3) < 0.06  # 40,000 draws: sd of it 0.011
  u = uniform(2, math.sqrt(3))(keys)
  assert abs(float(u.std()) - 1) < 0.02 and float(jnp.abs(u).max()) <= math.sqrt(3)
  assert float(jnp.abs(truncated(2, 1.5)(keys)).max()) <= 1.5


@pytest.mark.parametrize(
  ("loss", "turns", "conditional", "expected"),
  [
    (losses.non_saturating, alternating(), False, 1),
    (losses.non_saturating, alternating(5), False, 5),
    (losses.relativistic, alternating(), False, 2),  # its generator looks at real data too
    (losses.non_saturating, alternating(), True, 2),  # and here at their labels
    (losses.non_saturating, simultaneous(), False, 1),
    (losses.relativistic, simultaneous(), True, 1),
  ],
)
def test_a_round_consumes_what_its_moves_look_at(loss, turns, conditional, expected):
  assert minibatches(make(loss, turns=turns, conditional=conditional)) == expected


@pytest.mark.parametrize(
  ("term", "expected"),
  [(regularizers.orthogonal(), 1), (regularizers.r1, 2), (lambda match: match.real_logits, 2)],
)
def test_a_generators_term_that_looks_at_real_data_is_given_a_minibatch_of_its_own(term, expected):
  """It was shown the one that the discriminator had moved by."""
  game = make(generator_regularizers={"term": (1.0, term)})
  assert minibatches(game) == expected
  given = {"x": jnp.stack([jnp.full((BATCH, 2), float(i)) for i in range(expected)])}
  if expected == 2:
    seen = lambda match: match.real[:, 0]
    game = make(generator_regularizers={"term": (1.0, term), "seen": (0.0, seen)})
    _, metrics = jit_round(game)(init(game, jax.random.key(0), given), given)
    assert metrics["generator/seen"] == 1


def test_a_joint_look_lets_the_generator_see_real_data_so_it_consumes_some():
  assert minibatches(make(discriminator=D(norm=True), joint=True, turns=alternating())) == 2


def test_first_moves_are_the_gradients_of_the_losses():
  """Both moves against jax.grad of the formulas, written out, on the draw the game makes."""
  game = make(turns=simultaneous(), regularizers={"r1": (0.5, regularizers.r1)})
  data = batch(1)
  state = init(game, jax.random.key(0), data)
  after, metrics = jit_round(game)(state, data)
  move_key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(state.key, 0), 0), 0)
  latent_key = jax.random.split(move_key, 4)[0]
  z, x = game.sampler().inputs(latent_key, BATCH), data["x"][0]
  d = lambda params, x: D().apply({"params": params}, x, train=True)
  g = lambda params: G().apply({"params": params}, z, train=True)

  def d_loss(params):
    slope = jax.grad(lambda x: d(params, x).sum())(x)
    cross = jax.nn.softplus(-d(params, x)) + jax.nn.softplus(
      d(params, g(state.params["generator"]))
    )
    return cross.mean() + 0.5 * 0.5 * (slope**2).sum(-1).mean()

  def g_loss(params):
    return jax.nn.softplus(-d(state.params["discriminator"], g(params))).mean()

  for name, loss in (("discriminator", d_loss), ("generator", g_loss)):
    value, gradient = jax.jit(jax.value_and_grad(loss))(state.params[name])
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params[name], gradient)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
      after.params[name],
      expected,
    )
    np.testing.assert_allclose(metrics[f"{name}/loss"], value, rtol=1e-6)
    np.testing.assert_allclose(
      metrics[f"{name}/gradient_norm"], optax.tree.norm(gradient), rtol=1e-5
    )


def test_simultaneous_turn_makes_fakes_once():
  calls = []

  class Counted(G):
    @nn.compact
    def __call__(self, z, y=None, *, train):
      calls.append(1)
      return nn.Dense(2)(z)

  game = two_player(
    Counted(),
    D(),
    loss=losses.hinge,
    optimizers={"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)},
    latent=normal(DIM),
    turns=simultaneous(),
  )
  data = batch(1)
  state = init(game, jax.random.key(0), data)
  calls.clear()
  jax.eval_shape(functools.partial(play_round, game), state, data)
  assert len(calls) == 1


@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_a_turn_moves_only_what_its_player_owns(name):
  game = make(discriminator=D(norm=True))
  alone = game._replace(turns=tuple(t for t in game.turns if t.players == (name,)))
  data = batch(1)
  before = init(alone, jax.random.key(0), data)
  after, _ = jit_round(alone)(before, data)
  other = {"discriminator": "generator", "generator": "discriminator"}[name]
  for part in ("params", "carried", "opt"):
    assert not moved(getattr(before, part)[other], getattr(after, part)[other])
  assert moved(before.params[name], after.params[name])


def test_batch_statistics_see_real_and_fake_separately_or_jointly():
  """The running mean after one move tells which images went through together."""
  for joint, passes in ((False, 2), (True, 1)):
    game = make(discriminator=D(norm=True), joint=joint, turns=alternating())
    data = batch(minibatches(game))
    state = init(game, jax.random.key(0), data)
    after, _ = jit_round(game)(state, data)
    move_key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(state.key, 0), 0), 0)
    z = game.sampler().inputs(jax.random.split(move_key, 4)[0], BATCH)
    dense = state.params["discriminator"]["Dense_0"]
    hidden = lambda x, dense=dense: x @ dense["kernel"] + dense["bias"][None]
    real = hidden(data["x"][0]).mean(0)
    fake = hidden(game.sampler().generate(state.params, state.carried, z, None)).mean(0)
    expected = 0.1 * (real + fake) / 2 if passes == 1 else 0.9 * 0.1 * real + 0.1 * fake
    got = after.carried["discriminator"]["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_label_reaches_both_players():
  state, _ = play(make(conditional=True))
  assert "Embed_0" in state.params["generator"] and "Embed_0" in state.params["discriminator"]
  game = make(conditional=True)
  same = [sample(game, state, jax.random.key(3), 4, jnp.full(4, y)) for y in (0, 1)]
  assert bool((same[0] != same[1]).all())


def test_labels_of_fakes_have_a_prior_of_their_own():
  """Of one class alone the generator's other embeddings stay; real examples keep their labels."""
  game = make(conditional=True, fake_labels=categorical((0, 0, 3, 0)))
  data = batch(minibatches(game))
  before = init(game, jax.random.key(0), data)
  after, _ = jit_round(game)(before, data)
  moved = {}
  for player in ("generator", "discriminator"):
    old, new = (s.params[player]["Embed_0"]["embedding"] for s in (before, after))
    moved[player] = np.flatnonzero((old != new).any(axis=1)).tolist()
  assert moved == {"generator": [2], "discriminator": [0, 1, 2, 3]}
  drawn = categorical((1, 0, 2, 1))(jax.random.split(jax.random.key(0), 4000))
  # Of 4,000 draws a share of 1/2 deviates by .008: five of these.
  np.testing.assert_allclose(
    np.bincount(drawn, minlength=4) / 4000, [0.25, 0, 0.5, 0.25], atol=0.04
  )


@pytest.mark.parametrize("shares", [(), (0, 0), (1, -1), (1, math.nan), 3])
def test_shares_are_frequencies(shares):
  with pytest.raises(ValueError, match="shares are .*: expected a number >= 0 for each class"):
    categorical(shares)


def test_labels_of_fakes_are_of_a_conditional_game():
  with pytest.raises(ValueError, match="fake_labels are of a conditional game"):
    make(fake_labels=categorical((1, 1)))
  with pytest.raises(ValueError, match=r"fake_labels is .*: expected a function of keys \[n\]"):
    make(conditional=True, fake_labels=(1, 1))


def test_packing_stacks_examples_on_the_channel_axis():
  seen = []

  class Seeing(D):
    @nn.compact
    def __call__(self, x, y=None, *, train):
      seen.append(x)
      return nn.Dense(1)(x)[:, 0]

  game = make(discriminator=Seeing(), views=(packing(4),))
  data = batch(1)
  state = init(game, jax.random.key(0), data)
  seen.clear()
  play_round(game, state, data)
  assert seen[0].shape == (BATCH // 4, 8)
  np.testing.assert_array_equal(seen[0][1], data["x"][0, 4:8].reshape(-1))


def test_packing_of_images_keeps_rows_and_columns():
  x = jnp.arange(4 * 2 * 3 * 1.0).reshape(4, 2, 3, 1)
  packed = packing(2).apply(x, None, Clock(), ())
  assert packed.shape == (2, 2, 3, 2)
  np.testing.assert_array_equal(packed[1, ..., 0], x[2, ..., 0])
  np.testing.assert_array_equal(packed[1, ..., 1], x[3, ..., 0])


@pytest.mark.parametrize("kind", [decay(0.5), half_life(BATCH), ramped_decay(0.5)])
def test_averages_start_as_a_copy_and_hold_parameters_and_statistics(kind):
  game = make(averages={"generator": kind}, generator=G(norm=True))
  data = batch(1)
  start = init(game, jax.random.key(0), data)
  now = lambda state: (state.params["generator"], state.carried["generator"])
  kept = lambda state: (state.ema["generator"].params, state.ema["generator"].carried)
  assert not moved(kept(start), now(start))
  step = jit_round(game)
  first, _ = step(start, data)
  second, _ = step(first, data)
  shares = (0.0, 1 / 3, 2 / 3) if kind.corrected else (0.25, 0.25, 0.5)
  if float(kind.rate(Clock(), BATCH)) == pytest.approx(0.1):  # (1 + n) / (10 + n)
    shares = (0.1 * 2 / 11, 0.9 * 2 / 11, 9 / 11)
  mix = lambda *x: sum(share * part for share, part in zip(shares, x, strict=True))
  expected = jax.tree.map(mix, *map(now, (start, first, second)))
  near = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
  jax.tree.map(near, kept(second), expected)
  assert networks(second)[0]["generator"] is second.ema["generator"].params
  assert networks(second)[1]["generator"] is second.ema["generator"].carried
  assert networks(second, ema=False) == (second.params, second.carried)


def test_half_life_halves():
  assert float(half_life(1000).rate(Clock(images=0), 1000)) == pytest.approx(0.5)
  assert float(half_life(1000).rate(Clock(images=0), 500)) == pytest.approx(0.5**0.5)
  assert float(half_life(0).rate(Clock(images=1000000), 64)) == 0  # copies
  assert float(half_life(1000, ramp_up=0.05).rate(Clock(images=2000), 100)) == pytest.approx(0.5)
  assert float(half_life(1000, ramp_up=0.05).rate(Clock(images=0), 100)) == 0


def test_clip_weights_has_the_derivative_of_the_update_inside_and_none_outside():
  """As rules that differentiate through updates need it."""
  clip = clip_weights(1.0)
  after = lambda p: p + clip.update(-2 * p, clip.init(p), p)[0]
  slope = jax.jit(jax.jacfwd(after))(jnp.array([0.5, 1.5]))
  np.testing.assert_allclose(slope, [[-1, 0], [0, 0]], atol=1e-7)


def test_clip_weights_bounds_what_is_left_after_the_update():
  optimizer = optax.chain(optax.sgd(1.0), clip_weights(0.1))
  params = {"w": jnp.array([0.05, -0.09, 0.0])}
  updates, _ = optimizer.update(
    {"w": jnp.array([-1.0, 1.0, -0.02])}, optimizer.init(params), params
  )
  np.testing.assert_allclose(
    optax.apply_updates(params, updates)["w"], [0.1, -0.1, 0.02], rtol=1e-6
  )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("bound", [0.01, 0.1, 1 / 3, 1.0])
def test_clip_weights_is_passed_by_no_rounding(bound, dtype):
  """Not even by one unit in the last place, whatever the parameters were and the update is."""
  rng = np.random.default_rng(0)
  near, far = rng.uniform(-bound, bound, 20_000), rng.normal(size=18) * 10.0 ** np.arange(-9, 9)
  params = jnp.asarray([*near, *far, bound, -bound, 0, 1e30], dtype)
  optimizer = optax.chain(optax.sgd(1.0), clip_weights(bound))
  exactly = lambda x: np.asarray(x, np.float64)

  @jax.jit
  def step(params, gradient):
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    return optax.apply_updates(params, updates)

  for size in (bound / 100, bound, 100.0):
    gradient = jnp.asarray(rng.normal(size=params.shape) * size, dtype)
    after = step(params, gradient)
    assert np.abs(exactly(after)).max() <= bound
    want = np.clip(exactly(params) - exactly(gradient), -bound, bound)
    # The update, the sum, the bound and the step inside it may each round by one unit.
    atol = 4 * bound * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(exactly(after)[:20_000], want[:20_000], rtol=0, atol=atol)
    params = after


def test_scheduled_weight_and_memory_reach_the_game():
  schedule = lambda clock: jnp.where(clock.round < 2, 0.0, 1.0)
  game = make(
    regularizers={"r1": (schedule, regularizers.r1), "lecam": (0.1, regularizers.lecam())}
  )
  data = batch(1)
  state = init(game, jax.random.key(0), data)
  assert "discriminator.lecam" in state.carried
  step = jit_round(game)
  for t in range(3):
    before, (state, m) = state, step(state, data)
    expected = (t >= 2) * m["discriminator/r1"] + 0.1 * m["discriminator/lecam"]
    np.testing.assert_allclose(
      m["discriminator/loss"], m["discriminator/adversarial"] + expected, rtol=1e-5
    )
    assert moved(before.carried["discriminator.lecam"], state.carried["discriminator.lecam"])


def test_scan_plays_the_same_rounds_as_a_loop():
  game = make(losses.relativistic_average, regularizers={"lecam": (0.1, regularizers.lecam())})
  data = batch(2)
  state = init(game, jax.random.key(0), data)
  step = jit_round(game)
  scanned, history = jax.lax.scan(lambda s, _: step(s, data), state, length=5)
  for _ in range(5):
    state, last = step(state, data)
  assert state.round == scanned.round == 5
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    state.params,
    scanned.params,
  )
  np.testing.assert_allclose(history["margin"][-1], last["margin"], rtol=1e-4)


@pytest.mark.parametrize("name", ["minimax", "hinge", "wasserstein", "f_gan_reverse_kl"])
def test_what_is_shown_of_the_discriminator_means_something_for_the_loss(name):
  """Probabilities of log-odds alone; a distance where the discriminator's loss is minus one."""
  loss, p, q = losses.LOSSES[name], jnp.array([0.7, 0.3]), jnp.array([0.2, 0.8])
  a, b = (
    jnp.repeat(jnp.log(p / q), jnp.array(n), total_repeat_length=10) for n in ((7, 3), (2, 8))
  )
  shown = discriminator_metrics(loss, Match(None, None, a, b, *[None] * 6))
  log_odds = {"D_real", "D_fake", "accuracy", "V", "V_gap"}
  expected = log_odds if loss.probability else {"logits_real", "logits_fake", "margin"}
  assert set(shown) == expected | ({"distance"} if loss.distance else set())
  if loss.probability:
    d = p / (p + q)
    np.testing.assert_allclose([shown["D_real"], shown["D_fake"]], [p @ d, q @ d], rtol=1e-5)
  else:
    np.testing.assert_allclose(shown["margin"], (p - q) @ jnp.log(p / q), rtol=1e-5)
  if name == "f_gan_reverse_kl":  # at its best, which log-odds are, it is the divergence
    np.testing.assert_allclose(shown["distance"], q @ jnp.log(q / p), rtol=1e-5)
  if name == "wasserstein":
    np.testing.assert_allclose(shown["distance"], shown["margin"], rtol=1e-6)


def test_combinations_without_meaning_are_refused():
  with pytest.raises(ValueError, match="packing = 2.*conditional"):
    make(views=(packing(2),), conditional=True)
  with pytest.raises(ValueError, match="multiple of it, got 16"):
    play(make(views=(packing(3),)))
  with pytest.raises(ValueError, match="k >= 1"):
    alternating(0)
  with pytest.raises(ValueError, match=r"in \[0, 1\)"):
    decay(1.0)
  with pytest.raises(ValueError, match="bound > 0"):
    clip_weights(0)
  with pytest.raises(ValueError, match="at least 1 dimension, got dim = 0"):
    normal(0)
  with pytest.raises(ValueError, match="within ±bound with bound > 0, got 0"):
    truncated(2, bound=0)


class Pairs(nn.Module):
  """Makes two examples, of however many latents."""

  @nn.compact
  def __call__(self, z, y=None, *, train):
    return nn.Dense(2)(z)[:2]


def test_generator_of_another_shape_is_refused():
  with pytest.raises(ValueError, match=f"makes 2 examples of {BATCH} latents: expected one"):
    init(make(generator=Pairs()), jax.random.key(0), {"x": jnp.zeros((1, BATCH, 2))})
  game = make()
  data = {"x": jnp.zeros((1, BATCH, 5))}
  with pytest.raises(ValueError, match=r"makes examples \(2,\), the data has \(5,\)"):
    play_round(game, init(game, jax.random.key(0), data), data)
