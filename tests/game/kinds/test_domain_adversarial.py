"""DANN: losses by hand, and the published gradient reversal."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax.game.core import Clock
from gan_jax.game.kinds.domain_adversarial import domain_adversarial
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.schedules import by_rounds
from gan_jax.run.config import complete, default_config
from gan_jax.run.config.sections.kinds.domain_adversarial import _rising
from gan_jax.run.experiment import build

B, WEIGHT, RATE = 8, 0.3, 0.1


class Linear(nn.Module):
  """A linear map, to logits [B] where it has no features."""

  features: int = 0

  @nn.compact
  def __call__(self, x, y=None, *, train):
    out = nn.Dense(self.features or 1)(x)
    return out if self.features else out[:, 0]


def make(adaptation=WEIGHT):
  optimizers = dict.fromkeys(("classifier", "domain_classifier"), optax.sgd(RATE))
  nets = Linear(4), Linear(3), Linear()
  return domain_adversarial(*nets, optimizers=optimizers, adaptation=adaptation)


def data():
  rng = np.random.default_rng(0)
  x = {k: jnp.asarray(rng.normal(size=(1, B, 5)), jnp.float32) for k in ("source", "target")}
  return {**x, "y": jnp.asarray(rng.integers(3, size=(1, B)), jnp.int32)}


def play(game, state):
  return jax.jit(functools.partial(play_round, game))(state, data())


def published(params):
  """One loss of all networks, whose gradient is reversed between features and domains."""

  @jax.custom_vjp
  def reversed_(x):
    return x

  reversed_.defvjp(lambda x: (x, ()), lambda _, g: (-WEIGHT * g,))
  apply = lambda net, name, x: net.apply({"params": params[name]}, x, train=True)
  x = data()
  source, target = (apply(Linear(4), "feature_extractor", x[k][0]) for k in ("source", "target"))
  classes = apply(Linear(3), "label_predictor", source)
  a, b = (apply(Linear(), "domain_classifier", reversed_(x)) for x in (source, target))
  labels = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(classes, data()["y"][0]))
  domains = jnp.mean(optax.sigmoid_binary_cross_entropy(a, jnp.ones(B)))
  domains += jnp.mean(optax.sigmoid_binary_cross_entropy(b, jnp.zeros(B)))
  return labels + domains, (labels, domains)


def test_a_round_is_the_published_step_of_gradient_reversal():
  state = init(make(), jax.random.key(0), data())
  after, metrics = play(make(), state)
  gradient, (labels, domains) = jax.jit(jax.grad(published, has_aux=True))(state.params)
  expected = jax.tree.map(lambda x, g: x - RATE * g, state.params, gradient)
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
  jax.tree.map(close, after.params, expected)
  close(metrics["classifier/classification"], labels)
  close(metrics["domain_classifier/domain"], domains)
  close(metrics["classifier/confusion"], -domains)


def test_without_adaptation_features_are_of_the_source_alone():
  state = init(make(0.0), jax.random.key(0), data())
  batch = {**data(), "target": 2 * data()["target"]}
  step = jax.jit(functools.partial(play_round, make(0.0)))
  (one, _), (other, _) = step(state, data()), step(state, batch)
  for net in ("feature_extractor", "label_predictor"):
    jax.tree.map(np.testing.assert_array_equal, one.params[net], other.params[net])


def test_there_is_nothing_to_sample():
  state = init(make(), jax.random.key(0), data())
  with pytest.raises(ValueError, match="no sampler and makes no examples: evaluate it"):
    sample(make(), state, jax.random.key(1), 2)


def test_the_weight_rises_as_published():
  at = _rising(2.0, 100)
  expected = [2 * (2 / (1 + np.exp(-10 * p)) - 1) for p in (0, 0.1, 1, 1)]
  np.testing.assert_allclose(
    [at(Clock(jnp.int32(r))) for r in (0, 10, 100, 300)], expected, rtol=1e-5
  )
  falling = by_rounds(optax.linear_schedule(1.0, 0.0, 100))
  np.testing.assert_allclose(_rising(falling, 100)(Clock(jnp.int32(50))), 0.5, rtol=0.02)


def test_wrong_arguments_are_refused():
  with pytest.raises(ValueError, match="expected them by name, classifier, domain_classifier"):
    domain_adversarial(Linear(4), Linear(3), Linear(), optimizers={"generator": optax.sgd(0.1)})
  batch = {k: v for k, v in data().items() if k != "y"}
  with pytest.raises(ValueError, match="expected 'y' too"):
    init(make(), jax.random.key(0), batch)


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("conditional", False, "learns the labels of its source"),
    ("data", "mnist10k", "data of 2 kinds"),
    ("data", "mnist10k|coloured:mnist10k", "expected one shape"),  # of 1 and 3 channels
    ("data", "mnist10k|coloured:ring8", "colours images that are in memory"),
  ],
)
def test_configs_that_cannot_be_are_refused(key, value, message):
  config = default_config("domain_adversarial")
  config[key] = value
  with pytest.raises(ValueError, match=message):
    build(config)


def test_labels_of_fakes_are_refused():
  config = default_config("domain_adversarial")
  config.condition.fakes = "shares"
  with pytest.raises(ValueError, match="condition.fakes is of generated examples"):
    complete(config)
