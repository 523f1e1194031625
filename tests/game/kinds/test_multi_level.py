"""GAT as a game: both players' published steps, its noise, its penalties, and what it refuses."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import load_case

from gan_jax.game.core import Clock, StepContext, gradients
from gan_jax.game.kinds import multi_level as module
from gan_jax.game.kinds.multi_level import multi_level
from gan_jax.game.kinds.sides.turns import simultaneous
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal
from gan_jax.game.play import init, sample
from gan_jax.game.random import draw_like, named_key
from gan_jax.losses import approximate, regularizers
from gan_jax.losses.adversarial import relativistic
from gan_jax.losses.approximate import r1_approximate, r2_approximate
from gan_jax.losses.one_step.levels import (
  Augmentation,
  augment,
  draw_augmentation,
  feature_target,
  noise_levels,
  noise_steps,
)
from gan_jax.nets import MLPDiscriminator, MLPGenerator, MultiLevelMLPGenerator
from gan_jax.run.config import complete, default_config, network, replaced
from gan_jax.run.experiment import build

SGD = dict.fromkeys(("discriminator", "generator"), optax.sgd(0.1))
CONTEXT = StepContext(jax.random.key(1), Clock(), None)
dot = functools.partial(jnp.matmul, precision="highest")


# --- the published steps --------------------------------------------------------------------------

nhwc = lambda x: jnp.moveaxis(jnp.asarray(x), -3, -1)


class Sums(nn.Module):
  """The published case's generator: image k is tanh(e[y] + the sum of z a_jᵀ, j <= k)."""

  w: dict
  num_classes: int = 3

  @nn.compact
  def levels(self, z, y=None, *, train):
    w = {k: self.param(k, lambda _, x=x: jnp.asarray(x)) for k, x in self.w.items() if k[0] == "G"}
    total, images = w["G.e"][y], []
    for k in range(4):
      total = total + dot(z, w[f"G.a.{k}"].T)
      images.append(jnp.tanh(total).reshape(-1, 4, 8, 8))
    return nhwc(jnp.stack(images))

  def __call__(self, z, y=None, *, train):
    return self.levels(z, y, train=train)[-1]


class Projection(nn.Module):
  """Its discriminator, whose logit is of h = tanh(softplus(x w1ᵀ) w2ᵀ) and the label."""

  w: dict
  num_classes: int = 3

  @nn.compact
  def __call__(self, x, y=None, *, train):
    w = {
      k: self.param(k, lambda _, x=x: jnp.asarray(x)).T for k, x in self.w.items() if k[0] == "D"
    }
    x = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)
    h = jnp.tanh(dot(nn.softplus(dot(x, w["D.w1"])), w["D.w2"]))
    outputs = {"logits": jnp.sum(h * w["D.y"].T[y], axis=1)}
    features = {k: dot(h, w[f"D.{k}"]) for k in "fg" if f"D.{k}" in w}
    return outputs | {k: x.reshape(len(x), -1, 5) for k, x in features.items()}


@pytest.mark.parametrize("name", ["d_step", "d_step_with_features", "g_step"])
def test_both_players_steps_are_the_published_ones(name, monkeypatch):
  """The game's own losses and gradients, at the draws that were recorded."""
  arrays, case = load_case("gat", name)
  draws = [jnp.asarray(arrays[key]) for key in sorted(arrays) if key.startswith("in/draw/")]
  z, fake_draws, real_draws = draws[0], draws[2:11], draws[11:20]
  # The chain begins with the final image.
  noise = {"fake": nhwc(jnp.stack(draws[20:24][::-1])), "real": nhwc(jnp.stack(draws[24:28][::-1]))}

  def parameters(u, v, w, mask, *places):
    *places, flip = places
    pair = lambda x, y: jnp.stack([x.ravel(), y.ravel()], axis=1)
    colours = (x.ravel() for x in (u - 0.5, 2 * v, w + 0.5))
    return Augmentation(*colours, mask < 0.5, pair(*places[:2]), pair(*places[2:]), flip < 0.4)

  recorded = iter(
    [(noise["real"], parameters(*real_draws)), (noise["fake"], parameters(*fake_draws))]
  )
  moved = (
    [jnp.moveaxis(nhwc(jnp.stack(x)), 0, 1) for x in (draws[28:29], draws[29:])]
    if draws[28:]
    else []
  )
  monkeypatch.setattr(approximate, "draw_like", lambda draw, keys, x: moved[x.shape[1] > 1])
  game = multi_level(
    Sums({k[2:]: x for k, x in arrays.items() if k.startswith("w/")}),
    Projection({k[2:]: x for k, x in arrays.items() if k.startswith("w/")}),
    optimizers=SGD,
    latent=lambda keys: z[: len(keys)],
    regularizers={
      "r1": (0.1, r1_approximate()),
      "r2": (0.1, r2_approximate()),
      **targets(arrays, case),
    },
    turns=simultaneous(),
    conditional=True,
  )
  batch = {"x": nhwc(arrays["in/images"]), "y": jnp.asarray(arrays["in/labels"])}
  state = init(game, jax.random.key(0), jax.tree.map(lambda x: x[None], batch))
  monkeypatch.setattr(module._Show, "draw", lambda *_: next(recorded))
  player = "generator" if name == "g_step" else "discriminator"
  players = {player: game.players[player]}
  grads, (_, metrics) = jax.jit(
    lambda params: gradients(players, params, state.carried, batch, CONTEXT)
  )(state.params)
  found = {f"grad/{key}": x for key, x in grads[player][player].items()}
  errors = case["tolerance"]["measured_float32_error_over_max_abs"]
  assert found.keys() == errors.keys()
  for key, error in errors.items():
    atol = max(1e-5, 8 * error) * np.abs(arrays[key]).max()  # the rule of cases.json
    np.testing.assert_allclose(found[key], arrays[key], rtol=0, atol=atol, err_msg=key)
  expected = case["numbers"]
  np.testing.assert_allclose(metrics[f"{player}/loss"], expected["loss"], rtol=1e-4)
  for term in ("r1", "r2") if player == "discriminator" else ():
    # Differences of close logits, over ε: 2% in float32, as cases.json says.
    value = np.mean(arrays[f"out/{term}_loss"])
    np.testing.assert_allclose(metrics[f"discriminator/{term}"], value / 2, rtol=2e-2)


def targets(arrays, case):
  """The terms of frozen features, which a game has of whoever has such features."""
  of = {"f": "in/target_cls", "g": "in/target_tokens"}
  term = lambda key, array: lambda match: feature_target(match.real_outputs[key], array)
  given = {key: jnp.asarray(arrays[x]) for key, x in of.items() if x in arrays}
  return {
    f"target_{key}": (1.0, term(key, x if x.ndim == 3 else x[:, None])) for key, x in given.items()
  }


# --- without the published numbers ----------------------------------------------------------------

X = jnp.asarray(np.random.default_rng(0).normal(size=(16, 2)), jnp.float32)
NETS = MultiLevelMLPGenerator(shape=(2,), hidden=(8,) * 4), MLPDiscriminator(hidden=(8,))


class Linear(nn.Module):
  """The logit w·x of all levels at once, and the input itself."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    w = self.param("w", lambda key: jnp.arange(1.0, 1 + x.shape[-1]))
    return {"logits": dot(x, w), "input": x}


def make(nets=NETS, **options):
  given = {"optimizers": SGD, "latent": normal(3), "turns": simultaneous()}
  return multi_level(*nets, **given | options)


def start(game, x=X):
  return jax.jit(functools.partial(init, game))(jax.random.key(0), {"x": x[None]})


def forward(game, state, x=X, look=lambda match: match.real_outputs):
  """What a function makes of one forward, compiled."""
  of = game.players["discriminator"].objective.forward
  return jax.jit(lambda params: look(of(params, state.carried, {"x": x}, CONTEXT)[0]))(state.params)


def both_gradients(game, state):
  return jax.jit(lambda params: gradients(game.players, params, state.carried, {"x": X}, CONTEXT))(
    state.params
  )


def test_penalties_of_a_linear_discriminator_are_those_of_its_weights():
  """w_k is shown through 1 - t_k: one noise for a real example's levels, one each for a fake's."""
  game, normals = make((NETS[0], Linear())), functools.partial(draw_like, jax.random.normal)
  terms = {
    "real": (regularizers.r1, r1_approximate(epsilon=0.5)),
    "fake": (
      regularizers.r2,
      lambda match: r2_approximate(epsilon=0.5).value(match, ())[0],
    ),
  }

  def look(match):
    draws = {kind: normals(match.keys, getattr(match, kind)) for kind in terms}
    return draws, {kind: [term(match) for term in pair] for kind, pair in terms.items()}

  draws, values = forward(game, start(game), look=look)
  w = (1 - noise_levels(4))[:, None] * np.arange(1.0, 9).reshape(4, 2)
  for kind, at in {"real": w.sum(axis=0, keepdims=True), "fake": w}.items():
    exact, approximated = values[kind]
    np.testing.assert_allclose(exact, np.full(16, (at**2).sum() / 2), rtol=1e-5)
    assert draws[kind].shape == (16, *at.shape)
    slopes = np.einsum("bkd,kd->b", draws[kind], at)
    # ε = 0.5: logits of about 30 are rounded to 2e-6, slopes of about 10 to 1e-5.
    np.testing.assert_allclose(approximated, slopes**2 / 2, rtol=1e-3, atol=1e-4)


def test_a_generators_gradient_reaches_every_level_as_far_as_it_is_clear():
  """Of a linear logit: -σ(a - b) (1 - t_k) w_k at image k, which output j <= k is part of."""
  game = make((NETS[0], Linear()))
  state = start(game)
  pick = lambda match: (match.real_logits, match.fake_logits, match.latents, match.fake)
  a, b, z, fakes = forward(game, state, look=pick)
  grads, (_, metrics) = both_gradients(game, state)
  slope = -np.mean(jax.nn.sigmoid(a - b))
  w = (1 - noise_levels(4))[:, None] * np.arange(1.0, 9).reshape(4, 2)
  for j in range(4):
    bias = grads["generator"]["generator"][f"Dense_{2 * j + 1}"]["bias"]
    np.testing.assert_allclose(bias, slope * w[j:].sum(axis=0), rtol=1e-4)
  # Samples are the last of the images, and the metric says how far the others are from these.
  samples = sample(game, state, jax.random.key(0), 16, inputs=np.asarray(z), ema=False)
  np.testing.assert_allclose(samples, fakes[:, -1], rtol=1e-5, atol=1e-6)
  expected = np.mean((fakes - fakes[:, -1:]) ** 2)
  np.testing.assert_allclose(metrics["generator/disagreement"], expected, rtol=1e-5)
  assert expected > 0


def test_noise_is_one_chain_of_each_example_and_kind():
  game = make((NETS[0], Linear()))
  zeros = jnp.zeros((4000, 2))
  state = start(game, zeros)
  silent = jax.tree.map(jnp.zeros_like, state.params["generator"])
  state = state.replace(params={**state.params, "generator": silent})
  pick = lambda match: (match.real_outputs["input"], match.fake_outputs["input"])
  sides, t = forward(game, state, zeros, pick), noise_levels(4)
  factor, expected = noise_steps(t)[0], np.diag(t**2)
  for i in range(4):
    for k in range(i):  # noise k is Π factor times noise i, and fresh
      expected[i, k] = expected[k, i] = np.prod(factor[k:i]) * t[i] ** 2
  for side in sides:
    for place in range(2):
      # 4000 draws: a covariance of unit noise is off by 1/√4000 = 0.016.
      np.testing.assert_allclose(np.cov(side[:, place::2].T), expected, atol=0.06)
  assert np.abs(np.mean(sides[0] * sides[1], axis=0)).max() < 0.06


def test_one_level_without_noise_is_the_game_of_two_players():
  z = jax.random.normal(jax.random.key(4), (16, 3))
  options = {"optimizers": SGD, "latent": lambda keys: z[: len(keys)], "turns": simultaneous()}
  penalties = {"r1": (0.5, regularizers.r1)}
  one = NETS[0].clone(num_levels=1)
  games = (
    multi_level(one, NETS[1], levels=np.zeros(1), regularizers=penalties, **options),
    two_player(one, NETS[1], loss=relativistic, regularizers=penalties, **options),
  )
  params = start(games[0]).params
  grads = []
  for game in games:
    grads.append(both_gradients(game, start(game).replace(params=params))[0])
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
  jax.tree.map(close, *grads)


def test_an_example_is_changed_alike_on_all_levels():
  """And alike wherever a penalty asks for its logit, by the colours of the clean image."""
  x = jax.random.uniform(jax.random.key(3), (8, 4, 4, 1))

  def draw(keys, shape=()):
    """Of all the changes colours alone are random: what others are is drawn in test_levels.py."""
    n, u = len(keys), draw_like(jax.random.uniform, keys, jnp.zeros((len(keys), 3)))
    places = [jnp.tile(jnp.array([place]), (n, 1)) for place in ([1, -1], [0, 3])]
    return Augmentation(*u.T, jnp.ones(n, bool), *places, jnp.ones(n, bool))

  game = multi_level(
    MultiLevelMLPGenerator(shape=(4, 4, 1), hidden=(4, 4), num_levels=2),
    Pixels(),
    latent=normal(3),
    optimizers=SGD,
    levels=np.zeros(2),
    augmentation=draw,
    turns=simultaneous(),
  )

  def look(match):
    keys = lambda kind: CONTEXT.example_keys(
      named_key(named_key(CONTEXT.key, kind), "augmentation"), 8
    )
    real, fake, images = draw(keys("real")), draw(keys("fake")), jnp.moveaxis(match.fake, 1, 0)
    expected = {
      "real": jnp.concatenate([augment(x, x, real)] * 2, axis=-1),
      "fake": jnp.concatenate([augment(x, images[1], fake) for x in images], axis=-1),
      "brighter": 2 * augment(x + 1, x, real).sum(axis=(1, 2, 3)),
      "logits": match.fake_logits,
    }
    return expected, {
      "real": match.real_outputs["input"],
      "fake": match.fake_outputs["input"],
      "brighter": match.discriminator(match.real + 1),
      "logits": match.discriminator(match.fake, "fake"),
    }

  expected, found = forward(game, start(game, x), x, look)
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
  jax.tree.map(close, found, expected)
  assert np.abs(expected["real"] - expected["fake"]).max() > 0.1


class Pixels(nn.Module):
  """The sum of all pixels of all levels, and these."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    self.param("unused", nn.initializers.zeros, (1,))
    return {"logits": x.sum(axis=(1, 2, 3)), "input": x}


def changed(**values):
  config = default_config("multi_level")
  config.data, config.generator = "ring8", network("multi_level_mlp_generator", hidden=(4, 4))
  return build(complete(replaced(config, {"levels.count": 2, **values})))


MISTAKES = {
  "no levels": (
    lambda: make((MLPGenerator(shape=(2,)), NETS[1])),
    r"MLPGenerator has no method levels.*nets\.MultiLevelMLPGenerator",
  ),
  "three levels": (
    lambda: start(make(levels=noise_levels(3))),
    r"\[4, 16, 2\]: expected \[3, 16, 2",
  ),
  "rising": (lambda: make(levels=noise_levels(4)[::-1]), "numbers in .0, 1. that do not rise"),
  "no noise level": (lambda: make(levels=[]), "that do not rise"),
  "all is noise": (lambda: make(levels=[1.0, 1.0]), "that do not rise"),
  "augmentation by name": (lambda: make(augmentation="ada"), "expected a function of keys and the"),
  "points": (
    lambda: start(make(augmentation=draw_augmentation)),
    r"of images \(H, W, C\), got \(2,",
  ),
  "config: base": (lambda: changed(**{"levels.base": 2.0}), "config.levels: noise levels are"),
  "config: depth": (
    lambda: start(make((NETS[0].clone(num_levels=3), NETS[1]), levels=noise_levels(3))),
    "4 hidden layers cannot emit 3 images: expected a multiple of 3",
  ),
  "config: points": (
    lambda: changed(**{"augmentation.name": "diffaugment"}),
    "of images, and 'ring8' has points: set it to 'none'",
  ),
  "config: a share": (lambda: changed(**{"augmentation.flip": 2.0}), "expected a share"),
  "config: another generator": (
    lambda: changed(generator=network("mlp_generator")),
    "generators of several levels num_levels",
  ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_pass(mistake):
  make_it, message = MISTAKES[mistake]
  with pytest.raises(ValueError, match=message):
    make_it()
