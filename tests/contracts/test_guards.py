"""Mistakes in Python: each ends, where it is made, in one line that says what to pass."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import data, losses
from gan_jax.game import rules, validation, views
from gan_jax.game.core import Turn
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal, truncated, uniform
from gan_jax.game.optimizers import clip_weights, lookahead
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.schedules import decay, half_life
from gan_jax.losses import objectives, regularizers
from gan_jax.nets import NETWORKS, MLPDiscriminator, MLPGenerator

ADAM = optax.adam(1e-3)
GOOD = {
  "generator": MLPGenerator(shape=(2,), hidden=(4,)),
  "discriminator": MLPDiscriminator(hidden=(4,)),
  "loss": losses.non_saturating,
  "optimizers": {"discriminator": ADAM, "generator": ADAM},
  "latent": normal(2),
}


class NoTrain(nn.Module):
  def __call__(self, x, y=None):
    return x


class OneColumn(nn.Module):
  """Logits [B, 1], as a last dense layer leaves them."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    return nn.Dense(1)(x)


EXCHANGED = {"generator": GOOD["discriminator"], "discriminator": GOOD["generator"]}


def my_penalty(scale=1.0):
  """Makes a term; by its signature it could be one."""
  return lambda match: scale * match.real_logits


def make(**changes):
  given = {**GOOD, **changes}
  return two_player(given.pop("generator"), given.pop("discriminator"), **given)


def batch(*shape, **more):
  return {"x": jnp.zeros(shape), **more}


key = jax.random.key(0)
start = lambda given, key=key, **options: init(make(**options), key, given)
LABELLED = {
  "generator": MLPGenerator(shape=(2,), hidden=(4,), num_classes=3),
  "discriminator": MLPDiscriminator(hidden=(4,), num_classes=3),
}
labelled = functools.partial(start, conditional=True, **LABELLED)


weighted = lambda weight: make(regularizers={"r1": (weight, regularizers.r1)})


def played(given, **options):
  game = make(**options)
  state = jax.eval_shape(lambda: init(game, key, batch(1, 8, 2)))
  return jax.eval_shape(functools.partial(play_round, game), state, given)


def played_by(changes, given=None, **state):
  """A round of another game than the state's."""
  began = jax.eval_shape(lambda: init(make(), key, batch(1, 8, 2))).replace(**state)
  after = functools.partial(play_round, make(**changes))
  return jax.eval_shape(after, began, given or batch(1, 8, 2))


def drawn(n=4, labels=None, key=key, **changed):
  game = make()
  given = {"state": jax.eval_shape(lambda: init(game, jax.random.key(0), batch(1, 8, 2)))} | changed
  return jax.eval_shape(lambda state: sample(game, state, key, n, labels), *given.values())


source = data.load("ring8")

MISTAKES = {
  # networks
  "a class": (lambda: make(generator=MLPGenerator), r"class MLPGenerator.*MLPGenerator\(\.\.\.\)"),
  "a name": (lambda: make(discriminator="mlp"), "discriminator is 'mlp': expected a module"),
  "no train": (lambda: make(discriminator=NoTrain()), r"called as net\(x, y, train=.*NoTrain"),
  "logits [B, 1]": (
    lambda: start(batch(1, 8, 2), discriminator=OneColumn()),
    r"returns float32\[8, 1\] for 8 examples.*take \[:, 0\]",
  ),
  "no classes": (
    lambda: make(conditional=True),
    "conditional is set, and the generator has num_classes = None and would ignore labels",
  ),
  "exchanged": (
    lambda: start(batch(1, 8, 2), **EXCHANGED),
    r"networks look exchanged.*two_player\(generator, discriminator",
  ),
  "exchanged, packed": (
    lambda: start(batch(1, 8, 2), views=(views.packing(2),), **EXCHANGED),
    "look exchanged",
  ),
  "exchanged, of images": (
    lambda: start(
      batch(1, 2, 32, 32, 1),
      generator=NETWORKS["dcgan_discriminator"](),
      discriminator=NETWORKS["dcgan_generator"](shape=(32, 32, 1)),
    ),
    "look exchanged",
  ),
  "another shape": (lambda: start(batch(1, 8, 5)), r"makes examples \(2,\), the data has \(5,\)"),
  # losses
  "loss by name": (lambda: make(loss="hinge"), "loss is 'hinge'.*losses.hinge"),
  "loss not called": (lambda: make(loss=losses.f_gan), "the function f_gan: expected an Adv"),
  "one side": (lambda: make(loss=losses.hinge.generator), "expected an AdversarialLoss"),
  "a side of one": (
    lambda: make(loss=losses.AdversarialLoss(lambda a: a, lambda a, b: b)),
    r"discriminator's side.*real_logits \[B\], fake_logits",
  ),
  "divergence by name": (lambda: losses.f_gan("kl"), r"expected a Divergence.*DIVERGENCES"),
  "smoothing by name": (lambda: losses.smooth("minimax", 0.9), "losses.minimax"),
  # optimizers
  "one player": (lambda: make(optimizers={"generator": ADAM}), r"are \['generator'\]: expected"),
  "other names": (lambda: make(optimizers={"d": ADAM, "g": ADAM}), r"\['d', 'g'\]: expected"),
  "one for both": (lambda: make(optimizers=ADAM), "optimizers are .*: expected {.discriminator"),
  "optimizer not called": (
    lambda: make(optimizers={"discriminator": optax.adam, "generator": ADAM}),
    r"optimizer of the discriminator is the function adam.*optax.adam\(2e-4",
  ),
  "clipped to NaN": (lambda: clip_weights(np.nan), "bound > 0, got nan"),
  "lookahead of a name": (
    lambda: lookahead("adam", every=5),
    "optimizer is 'adam': expected",
  ),
  "lookahead of NaN": (lambda: lookahead(ADAM, every=np.nan), "got nan and 0.5"),
  # latents
  "latent=64": (lambda: make(latent=64), r"latent is 64.*latents.normal\(64\)"),
  "latent not called": (lambda: make(latent=normal), r"function normal.*latents.normal\(64\)"),
  "latent by name": (lambda: make(latent="normal"), r"latent is 'normal'"),
  "latent of a half": (lambda: normal(2.5), "dim = 2.5"),
  "latent of NaN": (lambda: normal(2, np.nan), "scale of a latent .*, got nan"),
  "bound of a word": (lambda: truncated(2, "2"), "bound > 0, got '2'"),
  "latent of a word": (lambda: uniform("64"), "dim = '64'"),
  # terms
  "no weight": (
    lambda: make(regularizers={"r1": regularizers.r1}),
    r"discriminator/r1 is the function r1: expected \(weight, term\)",
  ),
  "no weight, memory": (
    lambda: make(generator_regularizers={"mine": regularizers.lecam()}),
    r"generator/mine is .*: expected \(weight, term\)",
  ),
  "no names": (lambda: make(regularizers=(1.0, regularizers.r1)), "expected {.name.: .weight"),
  "term not called": (
    lambda: make(regularizers={"gp": (1.0, regularizers.gradient_penalty)}),
    r"discriminator/gp: .*call it, gradient_penalty\(\.\.\.\)",
  ),
  "own term not called": (
    lambda: played(batch(1, 8, 2), regularizers={"mine": (1.0, my_penalty)}),
    "discriminator/mine returned the function .*call what makes a term",
  ),
  "term by name": (lambda: make(regularizers={"r1": (1.0, "r1")}), "expected a term.*got 'r1'"),
  "other way round": (
    lambda: make(regularizers={"r1": (regularizers.r1, 1.0)}),
    "weight of discriminator/r1 is the function r1: expected a number",
  ),
  "weight by name": (lambda: make(regularizers={"r1": ("1", regularizers.r1)}), "weight of .* '1'"),
  "schedule not called": (
    lambda: make(regularizers={"r1": (optax.linear_schedule, regularizers.r1)}),
    "weight of discriminator/r1 is the function linear_schedule.*or a schedule, such as",
  ),
  "name taken": (
    lambda: make(regularizers={"adversarial": (1.0, regularizers.r1)}),
    "'adversarial', a name that is taken",
  ),
  "lazy, swapped": (lambda: objectives.every(regularizers.r1, 16), "k = the function r1"),
  "lazy, not called": (lambda: objectives.every(16, regularizers.gradient_penalty), "call it"),
  "weight of NaN": (lambda: weighted(np.nan), "r1 is nan: expected a number, or a schedule"),
  "weight of infinity": (lambda: weighted(jnp.inf), "r1 is inf: expected a number, or"),
  "weight below 0": (
    lambda: weighted(np.float32(-1)),
    "regularizers is -1.0: expected a number >= 0",
  ),
  "weight of each": (lambda: weighted(np.ones(3)), r"r1 is float64\[3\]: expected a number, or"),
  "size of NaN": (lambda: losses.jitter(scale=np.nan), "must be >= 0, got nan"),
  "size by name": (lambda: regularizers.gradient_penalty(target="1"), "got target = '1'"),
  "transform": (
    lambda: regularizers.consistency(transform="flip"),
    "transform is 'flip': expected",
  ),
  "noise": (lambda: views.gaussian_noise(-0.1), "std is -0.1: expected a standard deviation"),
  "noise by name": (lambda: views.gaussian_noise("0.1"), "std is '0.1'"),
  "noise below 0": (lambda: views.gaussian_noise(np.float32(-1)), "std is -1.0"),
  "packing": (lambda: views.packing(1.5), "packing = 1.5"),
  "augmentation": (lambda: views.augmentation(1), "function is 1: expected a function of"),
  "signs of no meaning": (
    lambda: make(loss=losses.wasserstein, views=(views.ada(),)),
    "adaptive p follows the signs of logits.*not under this one: set adaptive=False and p=0.2",
  ),
  "one view": (lambda: make(views=views.View), "views are the class View: expected a tuple"),
  # turns and averages
  "unknown player": (
    lambda: make(turns=(Turn(("critic",)),)),
    "'critic', who does not play; the players are 'discriminator', 'generator'",
  ),
  "players by name": (lambda: make(turns=(Turn("generator"),)), r"Turn\(\('generator',\)\)"),
  "one turn": (lambda: make(turns=Turn(("generator",))), r"turns.alternating\(k=1\)"),
  "no turns": (lambda: make(turns=()), r"turns is \(\): expected turns"),
  "turns not called": (lambda: make(turns=alternating), "turns is the function alternating"),
  "k of a half": (lambda: alternating(2.5), "k = 2.5"),
  "repeat": (lambda: make(turns=(Turn(("generator",), 0),)), "repeated 0 times"),
  "rule of a function": (lambda: rules.extragradient(simultaneous), "expected turns"),
  "steps": (lambda: rules.unrolled(alternating(), steps=2.5), "got 2.5"),
  "parts": (lambda: rules.microbatches(alternating(), "2"), "microbatches = '2'"),
  "consensus of NaN": (lambda: rules.consensus(simultaneous(), weight=np.nan), "got nan"),
  "weight of consensus": (lambda: rules.consensus(simultaneous(), weight="1"), "got '1'"),
  "unknown network": (
    lambda: make(averages={"gen": decay(0.9)}),
    "averages of 'gen', which no player owns; the networks are 'discriminator', 'generator'",
  ),
  "a number": (lambda: make(averages={"generator": 0.999}), r"0.999: expected a decay"),
  "average not called": (lambda: make(averages={"generator": decay}), "expected a decay"),
  "average of none": (lambda: make(averages=decay(0.9)), "expected them by network"),
  "decay by name": (lambda: decay("0.9"), r"in \[0, 1\), got '0.9'"),
  "half-life of NaN": (lambda: half_life(np.nan), "are >= 0, got nan and 0.0"),
  # batches of a game
  "no examples": (lambda: start(batch(1, 0, 2)), "no examples: expected .* B >= 1, got B = 0"),
  "no examples, played": (lambda: played(batch(1, 0, 2)), "no examples"),
  "words": (lambda: start({"x": np.zeros((1, 8, 2), "U3")}), r"<U3\[1, 8, 2\]: expected an array"),
  "nested": (lambda: start({"x": batch(1, 8, 2)}), r"batch\['x'\] is {'x': .*: expected one array"),
  "unstacked": (lambda: start(batch(8, 2)), r"must be \[1, B.*x \[8, 2\]; .*x\[None\]"),
  "unstacked, played": (lambda: played(batch(8, 2)), r"consumes 1 minibatches.*x \[8, 2\]"),
  "too few": (lambda: start(batch(1, 8, 2), turns=alternating(3)), r"be \[3, B.*\[1, 8, 2\]"),
  "labels of others": (
    lambda: labelled(batch(2, 8, 2, y=jnp.zeros((2, 4), int))),
    r"all of one B; they are x \[2, 8, 2\], y \[2, 4\]",
  ),
  "no x": (lambda: start({"image": jnp.zeros((1, 8, 2))}), r"has \['image'\]: expected 'x' too"),
  "no y": (lambda: labelled(batch(2, 8, 2)), "expected 'y' too, the labels of a conditional game"),
  "one-hot": (lambda: labelled(batch(2, 8, 2, y=jnp.zeros((2, 8, 4), int))), "expected classes as"),
  "levels": (lambda: start({"x": jnp.zeros((1, 8, 2), jnp.uint8)}), r"uint8.*data.to_float\(x\)"),
  "levels, played": (lambda: played({"x": jnp.zeros((1, 8, 2), jnp.uint8)}), "expected floats"),
  "an array": (lambda: start(jnp.zeros((1, 8, 2))), r"float32\[1, 8, 2\]: expected a dict"),
  "a list": (lambda: start({"x": [[0.0, 0.0]]}), r"batch\['x'\] is \[\[0.0.*expected an array"),
  # keys, states, numbers
  "a seed": (lambda: start(batch(1, 8, 2), key=0), r"key is 0: .*jax.random.key\(0\)"),
  "an old key": (
    lambda: start(batch(1, 8, 2), key=jax.random.PRNGKey(0)),
    r"uint32\[2\].*wrap_key_data\(key\)",
  ),
  "two keys": (lambda: start(batch(1, 8, 2), key=jax.random.split(key)), "expected one typed key"),
  "a seed, drawn": (lambda: drawn(key=0), "key is 0: expected one typed key"),
  "n": (lambda: drawn(n=4.0), "n is 4.0: expected how many"),
  "no n": (lambda: drawn(n=0), "n is 0: expected how many"),
  "one-hot drawn": (lambda: drawn(labels=jnp.zeros((4, 3), int)), r"int32\[4, 3\]: expected int32"),
  "too few labels": (lambda: drawn(labels=jnp.zeros(3, int)), r"int32\[3\]: expected int32 \[4\]"),
  "labels to none": (lambda: drawn(labels=jnp.zeros(4, int)), "not conditional.*leave them out"),
  "no state": (lambda: drawn(state={"params": {}}), r"state is .*the State that init\(game"),
  "other order": (
    lambda: play_round(make(), batch(1, 8, 2), None),
    "state is .*expected the State",
  ),
  "a population's": (
    lambda: played_by({}, round=jnp.zeros(2, int)),
    r"of 2 members of a population: expected that of one, population.member\(state, i\)",
  ),
  "of another network": (
    lambda: played_by({"generator": MLPGenerator(shape=(2,), hidden=(5,))}),
    "another game, whose generator has other parameters.*expected the State",
  ),
  "of another latent": (
    lambda: played_by({"latent": normal(3)}),
    "another game, whose gener",
  ),
  "of other terms": (
    lambda: played_by({"regularizers": {"lecam": (1.0, regularizers.lecam())}}),
    "state.carried has no 'discriminator.lecam'.*expected the State",
  ),
  "of no average": (
    lambda: played_by({"averages": {"generator": decay(0.9)}}),
    "state.ema has no 'generator'",
  ),
  # data
  "source by name": (lambda: data.Batches("ring8", 64, 0), r"data.load\('mnist10k'\)"),
  "batch size": (lambda: data.Batches(source, 64.0, 0), "batch_size is 64.0: expected an int"),
  "seed is a key": (lambda: data.Batches(source, 64, key), "seed is key.*: expected an int"),
  "range": (lambda: data.Batches(source, 64, 0, pixel_range=1.0), r"1.0: expected \(lo, hi\)"),
  "placement": (lambda: data.Batches(source, 64, 0, resident="device"), "resident is 'device'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_pass(mistake):
  wrong, told = MISTAKES[mistake]
  with pytest.raises(ValueError) as error:
    wrong()
  assert re.search(told, str(error.value)), str(error.value)
  assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_what_is_right_passes():
  """Numbers of NumPy, traced ones, lists of turns, terms as lists, networks under `vmap`."""
  game = make(
    regularizers={
      "r1": [np.float32(1.0), regularizers.r1],
      "gp": (lambda clock: 0.1 * clock.round, my_penalty()),
    },
    turns=list(alternating(np.int64(1))),
    averages={"generator": decay(0.9)},
  )
  keys = jax.random.split(key, 2)
  states = jax.eval_shape(jax.vmap(lambda key: init(game, key, batch(1, 8, 2))), keys)
  assert states.round.shape == (2,)
  jax.eval_shape(jax.vmap(lambda state: play_round(game, state, batch(1, 8, 2))), states)
  validation.check_key(jax.random.key(0, impl="rbg"))
