"""CycleGAN: the losses by hand, the pool as published, ownership, layouts."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import load_case
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from kinds import KINDS
from layouts import on_every_layout
from published import in_our_layout

from gan_jax import losses
from gan_jax.game.core import Clock, StepContext, Turn, gradients
from gan_jax.game.kinds.cycle import cycle_gan
from gan_jax.game.kinds.sides.pool import draw_from_pool, new_pool
from gan_jax.game.play import init, play_round, sample
from gan_jax.losses import regularizers
from gan_jax.nets.layers import BatchNorm
from gan_jax.nets.published.translation import leaf_paths
from gan_jax.nets.translation import PatchDiscriminator, ResnetTranslator
from gan_jax.run.config import replaced
from gan_jax.run.experiment import build

SHAPE = (4, 4, 1)
B = 8
SEMANTIC = {"conditional": True, "weights.semantic": 1.0}
CASES = json.loads(pathlib.Path(__file__).with_name("cyclegan.json").read_text())


class Scale(nn.Module):
  """A translator: one factor."""

  factor: float

  @nn.compact
  def __call__(self, x, y=None, *, train):
    return x * self.param("factor", nn.initializers.constant(self.factor), ())


class Patches(nn.Module):
  """A discriminator: a logit of each row of pixels."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    weight = self.param("weight", nn.initializers.constant(0.5), ())
    return weight * jnp.mean(x, axis=(2, 3)) + self.param("bias", nn.initializers.zeros, ())


def make(**options):
  given = {
    "loss": losses.least_squares,
    "optimizers": {"translators": optax.sgd(0.1), "discriminators": optax.sgd(0.1)},
    "shape": SHAPE,
    "pool": 0,
  }
  translators = {"a_to_b": Scale(2.0), "b_to_a": Scale(0.25)}
  return cycle_gan(translators, {"a": Patches(), "b": Patches()}, **{**given, **options})


def data(batch=B):
  rng = np.random.default_rng(0)
  return {k: jnp.asarray(rng.normal(size=(1, batch, *SHAPE)), jnp.float32) for k in "ab"}


@functools.cache
def start(pool=0):
  return init(make(pool=pool), jax.random.key(0), data())


def play(game, state, batch):
  return jax.jit(functools.partial(play_round, game))(state, batch)


def test_losses_by_hand():
  """With G(a) = 2 a, F(b) = b / 4: the published sums, of mean squares and absolute values."""
  _, metrics = play(make(), start(), data())
  a, b = (np.asarray(data()[k][0], np.float64) for k in "ab")
  logits = lambda x: 0.5 * x.mean((2, 3))
  for k, real, fake, own in (("a", a, b / 4, 0.25), ("b", b, 2 * a, 2)):
    expected = {
      "discriminators/adversarial": 0.5 * ((logits(real) - 1) ** 2 + logits(fake) ** 2),
      "translators/adversarial": 0.5 * (logits(fake) - 1) ** 2,
      "translators/cycle": np.abs(real / 2 - real),
      "translators/identity": np.abs(own * real - real),
    }
    for name, values in expected.items():  # float32 sums of 128 terms
      np.testing.assert_allclose(metrics[f"{name}_{k}"], values.mean(), rtol=1e-5, err_msg=name)
  total = sum(
    weight * float(metrics[f"translators/{name}_{k}"])
    for name, weight in (("adversarial", 2), ("cycle", 10), ("identity", 5))
    for k in "ab"
  )
  np.testing.assert_allclose(metrics["translators/loss"], total, rtol=1e-5)


def test_a_game_without_identity_has_no_such_term():
  _, metrics = play(make(identity=0.0), start(), data())
  assert not any("identity" in name for name in metrics)


def test_both_sides_move_from_the_same_place():
  """The discriminators see fakes of before the translators' update, as published."""
  game = make()
  together, _ = play(game, start(), data())
  for player in game.players:
    alone, _ = play(make(turns=(Turn((player,)),)), start(), data())
    for net, params in alone.params.items():
      moved = together if net in game.players[player].owns else start()
      jax.tree.map(np.testing.assert_array_equal, params, moved.params[net])


def test_samplers_translate_what_they_are_given():
  x = data()["a"][0]
  draw = functools.partial(sample, make(), start(), jax.random.key(1), B)
  np.testing.assert_array_equal(draw(inputs=x), 2 * x)
  np.testing.assert_array_equal(draw(inputs=x, sampler="b_to_a"), x / 4)
  with pytest.raises(ValueError, match="starts from 'a': give inputs"):
    draw()
  with pytest.raises(ValueError, match="expected one of a_to_b, b_to_a"):
    draw(inputs=x, sampler="c")


@pytest.mark.parametrize("case", CASES["pools"])
def test_the_pool_is_the_published_one(case):
  """A trace of the published pool, given its draws."""
  size = case["pool_size"]
  pool = new_pool(size, ())
  for row in case["rows"]:
    # The published code draws only what it needs, in the order of the images.
    draws, places = iter(row["uniform_draws"]), iter(row["index_draws"])
    room = size - int(pool["count"])
    swap = [i >= room and next(draws) > 0.5 for i in range(len(row["query"]))]
    place = [next(places) if yes else 0 for yes in swap]
    images = jnp.asarray(row["query"], jnp.float32)
    shown, pool = draw_from_pool(pool, images, jnp.asarray(swap), jnp.asarray(place))
    assert shown.tolist() == row["returned"]
    assert pool["images"][: int(pool["count"])].tolist() == row["pool_after"]


def test_the_pool_fills_with_fakes():
  state, _ = play(make(pool=3), start(pool=3), data())
  pool, fakes = state.carried["discriminators.pool_b"], np.asarray(2 * data()["a"][0])
  assert int(pool["count"]) == 3
  assert all(any((kept == fake).all() for fake in fakes) for kept in np.asarray(pool["images"]))


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic_average", "hinge"])
def test_every_loss_and_penalty_plays(loss):
  terms = {name: (1.0, regularizers.REGULARIZERS[name]()) for name in ("r1", "gradient_penalty")}
  game = make(loss=losses.LOSSES[loss], regularizers=terms)
  state, metrics = play(game, start(), data())
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.params, metrics)))
  assert float(metrics["discriminators/r1_a"]) > 0
  assert float(metrics["discriminators/gradient_penalty_b"]) > 0


def test_every_layout_gives_the_same_numbers():
  """With the pool, which all devices see alike."""
  game, batch = make(pool=5), data(16)
  state = init(game, jax.random.key(0), batch)
  state, _ = play(game, state, batch)  # so that the pool is full
  expected, _ = play(game, state, batch)
  for layout, after, _ in on_every_layout(game, state, batch):
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6, err_msg=layout)
    jax.tree.map(close, (after.params, after.carried), (expected.params, expected.carried))


def test_a_step_is_that_of_the_published_model():
  """Losses of the translators and the discriminators, and their gradients."""
  arrays, case = load_case("cyclegan", "model_lsgan")
  errors = case["tolerance"]["measured_float32_error_over_max_abs"]
  # Theirs: G_A translates A to B, and D_A judges B.
  ours = {"G_A": "a_to_b", "G_B": "b_to_a", "D_A": "discriminator_b", "D_B": "discriminator_a"}
  translator = ResnetTranslator(width=4, blocks=6)
  discriminator = PatchDiscriminator(width=4, layers=2)
  game = cycle_gan(
    {"a_to_b": translator, "b_to_a": translator},
    {"a": discriminator, "b": discriminator},
    loss=losses.least_squares,
    optimizers={"translators": optax.sgd(0.0), "discriminators": optax.sgd(0.0)},
    shape=(16, 16, 3),
    pool=0,
  )
  batch = {k: jnp.asarray(arrays[f"in/{k.upper()}/0"].transpose(0, 2, 3, 1)) for k in "ab"}
  params, paths = {}, {}
  for theirs, name in ours.items():
    net = translator if theirs[0] == "G" else discriminator
    prefix = f"w/{theirs}."
    names = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    leaves = leaf_paths(net, (1, 16, 16, 3), names)
    paths[theirs] = {name: path[1:] for name, path in leaves.items()}
    leaves = {path: in_our_layout(arrays[prefix + n], path) for n, path in paths[theirs].items()}
    params[name] = unflatten_dict(leaves)
  context = StepContext(jax.random.key(0), Clock(), None)
  step = jax.jit(functools.partial(gradients, game.players))
  grads, (_, metrics) = step(params, {name: {} for name in params}, batch, context)

  weights = {"G": 2, "cycle": 10, "idt": 5, "D": 1}
  terms = {"G": "translators/adversarial", "cycle": "translators/cycle"}
  terms |= {"idt": "translators/identity", "D": "discriminators/adversarial"}
  # cycle_A and idt_A are of what starts as A and as B; G_A and D_A of what looks like B.
  kinds = {"cycle": {"A": "a", "B": "b"}}
  found = {"out/step0/loss_G": metrics["translators/loss"]}
  for term in terms:
    for theirs in "AB":
      kind = kinds.get(term, {"A": "b", "B": "a"})[theirs]
      found[f"out/step0/loss_{term}_{theirs}"] = weights[term] * metrics[f"{terms[term]}_{kind}"]
  expected = {key: arrays[key] for key in found}
  for key in (key for key in errors if key.startswith("grad/")):
    theirs, _, leaf = key.rpartition("/")[2].partition(".")
    path, player = paths[theirs][leaf], "translators" if theirs[0] == "G" else "discriminators"
    found[key] = flatten_dict(grads[player][ours[theirs]])[path]
    expected[key] = in_our_layout(arrays[key], path)
  for key, value in found.items():
    tolerance = max(1e-5, 8 * errors.get(key, 0)) * np.abs(expected[key]).max()
    np.testing.assert_allclose(value, expected[key], rtol=0, atol=tolerance, err_msg=key)


def test_wrong_arguments_are_refused():
  with pytest.raises(ValueError, match="optimizers are .*translators, discriminators"):
    make(optimizers={"generator": optax.sgd(0.1)})
  with pytest.raises(ValueError, match="pool is -1"):
    make(pool=-1)
  batch = {"a": jnp.zeros((1, 2, 4, 4, 1)), "b": jnp.zeros((1, 2, 8, 8, 1))}
  with pytest.raises(ValueError, match="expected one shape"):
    init(make(), jax.random.key(0), batch)


class Classes(nn.Module):
  """A classifier of two classes: the logit of the second is the mean of the image."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    mean = jnp.mean(x, axis=(1, 2, 3))
    scale = self.param("scale", nn.initializers.constant(3.0), ())
    return jnp.stack([jnp.zeros_like(mean), scale * mean], axis=1)


def labelled():
  y = jnp.asarray([[0, 1] * (B // 2)])
  return {**data(), "y": y, "y_b": 1 - y}


def classified(**options):
  rates = {name: optax.sgd(0.1) for name in ("translators", "discriminators", "classifier")}
  return make(classifier=Classes(), optimizers=rates, **options)


@pytest.mark.parametrize("kinds", ["a", "ab"])
def test_semantic_consistency_by_hand(kinds):
  """Images keep their labels, or where they have none what is read in them (CyCADA)."""
  game = classified(semantic=0.5, classified=tuple(kinds))
  batch = {name: x for name, x in labelled().items() if name != "y_b" or kinds == "ab"}
  state = init(game, jax.random.key(0), batch)
  _, metrics = play(game, state, batch)
  a, b, y, y_b = (np.asarray(labelled()[k][0], np.float64) for k in ("a", "b", "y", "y_b"))
  logits = lambda x: 3 * x.mean((1, 2, 3))
  # -log softmax of two classes whose logits are 0 and x: log(1 + e^x) - y x
  entropy = lambda x, y: np.mean(np.logaddexp(0, x) - y * x)
  expected = {
    "classifier/classification_a": entropy(logits(a), y),
    "translators/semantic_b": entropy(logits(2 * a), y),
    "translators/semantic_a": entropy(logits(b / 4), y_b if kinds == "ab" else logits(b) > 0),
  }
  if kinds == "ab":
    expected["classifier/classification_b"] = entropy(logits(b), y_b)
  for name, value in expected.items():  # float32 sums of 128 terms
    np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
  _, plain = play(make(), start(), data())
  both = expected["translators/semantic_a"] + expected["translators/semantic_b"]
  np.testing.assert_allclose(
    metrics["translators/loss"], plain["translators/loss"] + 0.5 * both, rtol=1e-5
  )


def test_each_player_moves_by_its_own_terms_alone():
  """The translators do not move the classifier, which does not move them."""
  game = classified()
  state = init(game, jax.random.key(0), labelled())
  together, _ = play(game, state, labelled())
  for player in game.players:
    alone, _ = play(classified(turns=(Turn((player,)),)), state, labelled())
    for net, params in alone.params.items():
      moved = together if net in game.players[player].owns else state
      jax.tree.map(np.testing.assert_array_equal, params, moved.params[net])


def test_a_classifier_needs_labels():
  with pytest.raises(ValueError, match="expected 'y' too; it has images a and b"):
    init(classified(), jax.random.key(0), data())
  with pytest.raises(ValueError, match="optimizers"):
    make(classifier=Classes())
  with pytest.raises(ValueError, match="classified is 'c': expected kinds"):
    classified(classified="c")


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"conditional": True}, "expected both, for labels that a classifier learns, or neither"),
    ({"weights.semantic": 1.0}, "expected both, for labels that a classifier learns, or neither"),
    (SEMANTIC | {"classified": "b"}, "config.classified is 'b': expected 'both' or 'a'"),
    (SEMANTIC | {"condition.name": "vector"}, "translators take no labels"),
    (SEMANTIC | {"data": "mnist10k|class:3:digits8x8"}, "has not the classes of mnist10k"),
    (SEMANTIC | {"data": "class:3:digits8x8|digits8x8", "classified": "a"}, "has no labels"),
  ],
)
def test_choices_that_contradict_each_other_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    build(replaced(KINDS["cycle_gan"](), changes))


class Normed(nn.Module):
  """A classifier of two classes behind batch norm of the image's mean."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    mean = BatchNorm()(jnp.mean(x, axis=(1, 2, 3))[:, None], train=train)
    return jnp.concatenate([jnp.zeros_like(mean), mean], axis=1)


def test_statistics_of_the_classifier_are_of_real_images():
  rates = {name: optax.sgd(0.1) for name in ("translators", "discriminators", "classifier")}
  game = make(classifier=Normed(), classified=("a", "b"), optimizers=rates)
  state, _ = play(game, init(game, jax.random.key(0), labelled()), labelled())
  a, b = (float(labelled()[k].mean()) for k in "ab")
  moved = state.carried["classifier"]["batch_stats"]["BatchNorm_0"]["mean"]
  # From 0, by a tenth towards each: real a, then real b. Means are of 128 float32.
  np.testing.assert_allclose(moved, [0.9 * 0.1 * a + 0.1 * b], rtol=1e-4, atol=1e-7)
