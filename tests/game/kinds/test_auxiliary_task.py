"""Discriminators with a task: terms by hand, the same on eight devices, and names of errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from kinds import auxiliary_task as small_config

from gan_jax import losses
from gan_jax.game.core import Clock
from gan_jax.game.kinds.auxiliary_task import (
  TASKS,
  auxiliary_task,
  contra_gan,
  info_max_gan,
  reac_gan,
  ss_gan,
  task_term,
)
from gan_jax.game.kinds.info import Codes, continuous, normal_nll
from gan_jax.game.latents import normal
from gan_jax.game.play import init, play_round
from gan_jax.game.random import Microbatch
from gan_jax.losses.conditional import conditional_contrastive
from gan_jax.losses.generator_terms import feature_matching, top_k
from gan_jax.losses.objectives import Match
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.nets.heads import MinibatchDiscrimination
from gan_jax.run.config.sections.kinds.auxiliary_task import task as task_section
from gan_jax.run.experiment import build

START = Clock()
BATCH = {"x": jnp.zeros((2, 4, 4, 4, 1)), "y": jnp.tile(jnp.arange(4) % 3, (2, 1))}


def make(task, discriminator=None, **options):
  return auxiliary_task(
    MLPGenerator(shape=(4, 4, 1), hidden=(8,), num_classes=3),
    discriminator or MLPDiscriminator(num_classes=3),
    task=task,
    loss=losses.hinge,
    optimizers={name: optax.sgd(0.1) for name in ("discriminator", "generator")},
    latent=normal(3),
    **options,
  )


def match(fake_logits=(3.0, 1.0, 2.0, 0.0), clock=START, **outputs):
  fake, nothing = jnp.array(fake_logits), jnp.zeros(len(fake_logits))
  return Match(nothing, nothing, nothing, fake, None, None, nothing, {}, nothing, clock, **outputs)


def value(term, match):
  return term.value(match, ())[0]


def test_the_task_is_of_real_examples_for_one_and_of_fakes_for_the_other():
  rows = {which: jax.random.normal(jax.random.key(i), (2, 4, 3)) for i, which in enumerate("rf")}
  outputs = {which: {"embedding": x[0], "proxy": x[1]} for which, x in rows.items()}
  labels, fake_labels = jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 2])
  of = match(
    real_outputs=outputs["r"], fake_outputs=outputs["f"], labels=labels, fake_labels=fake_labels
  )
  for which, given, classes in (("real", rows["r"], labels), ("fake", rows["f"], fake_labels)):
    term = task_term(contra_gan(temperature=0.7), which)
    expected = conditional_contrastive(*given, classes, temperature=0.7)
    np.testing.assert_array_equal(value(term, of), expected)
    assert term.couples and term.uses_real == (which == "real")


SHAPES = {"embedding": (4,), "proxy": (4,), "local": (2, 4), "global": (4,), "features": (4,)}


def gradients(leaves, axis_name=None):
  """Returns the mean of all terms of fakes, and its gradients by the outputs of a discriminator."""

  def total(leaves):
    outputs, labels = {name: leaves[name] for name in SHAPES}, leaves["labels"].astype(jnp.int32)
    close = MinibatchDiscrimination(2, 2, axis_name).apply(
      {"params": {"kernels": {"kernel": jnp.eye(4)}}}, leaves["features"]
    )
    logits = leaves["logits"] * jnp.sum(close, axis=1)
    of = match(logits, fake_outputs={**outputs, "rotation": logits})
    of = of._replace(
      fake=leaves["fake"],
      axis_name=axis_name,
      fake_labels=labels,
      real_outputs={"features": leaves["features"] ** 2},
      discriminator_outputs=lambda x, which: {"rotation": x[:, :, 0, 0]},
    )
    terms = [task_term(make_task(), "fake") for make_task in TASKS.values()]
    terms += [top_k(losses.hinge, 0.5), feature_matching()]
    return jnp.stack([jnp.mean(value(term, of)) for term in terms])

  values, pullback = jax.vjp(total, leaves)
  return values, pullback(jnp.ones_like(values))[0]


def test_terms_and_gradients_are_the_same_on_eight_devices():
  shapes = {**SHAPES, "logits": (), "fake": (4, 4, 1)}
  keys = jax.random.split(jax.random.key(0), len(shapes))
  draw = lambda key, name: jax.random.normal(key, (16, *shapes[name]))
  leaves = dict(zip(shapes, map(draw, keys, shapes), strict=True))
  leaves["labels"] = jnp.arange(16.0) % 3
  values, slopes = jax.jit(gradients)(leaves)
  mesh = Mesh(np.array(jax.devices()), "batch")

  def on_device(leaves):
    values, slopes = gradients(leaves, "batch")
    # A move averages gradients over devices, of which each has those by its own examples.
    return jax.lax.pmean(values, "batch"), jax.tree.map(lambda x: x / 8, slopes)

  split = jax.shard_map(
    on_device, mesh=mesh, in_specs=P("batch"), out_specs=(P(), P("batch")), check_vma=False
  )
  found = jax.jit(split)(leaves)
  close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
  jax.tree.map(close, found, (values, slopes))
  del slopes["labels"]
  assert all(np.abs(slope).max() > 1e-3 for slope in slopes.values())


def test_top_k_is_the_mean_over_the_best_fakes():
  """Of logits 3, 1, 2, 0 half are 3 and 2; the loss is -logit."""
  assert value(top_k(losses.hinge, 0.5), match()).tolist() == [-6, 0, -4, 0]
  annealed = top_k(losses.hinge, lambda clock: 0.99**clock.round)
  shares = [value(annealed, match(clock=Clock(t))).tolist() for t in (0, 1, 29)]
  assert shares[0] == [-3, -1, -2, 0]
  np.testing.assert_allclose(shares[1], [-4, -4 / 3, -8 / 3, 0], rtol=1e-6)
  np.testing.assert_allclose(shares[2], [-6, 0, -4, 0], rtol=1e-6)  # .747 of 4: floor
  assert value(top_k(losses.hinge, lambda clock: 2.0), match()).tolist() == shares[0]
  # Of equal logits the first; of a share below one fake, one.
  assert value(top_k(losses.hinge, 0.5), match((1.0,) * 4)).tolist() == [-2, -2, 0, 0]
  assert value(top_k(losses.hinge, 0.01), match()).tolist() == [-12, 0, 0, 0]


def test_feature_matching_by_hand():
  real, fake = jnp.array([[1.0, 0.0]] * 4), jnp.array([[0.0, 3.0], [0.0, 1.0]] * 2)
  of = match(real_outputs={"features": real}, fake_outputs={"features": fake})
  assert value(feature_matching(), of).tolist() == [1 + 4] * 4
  assert value(feature_matching(norm="l1"), of).tolist() == [1.5] * 4
  with pytest.raises(ValueError, match="returns 'features'"):
    value(feature_matching(), match())


def test_codes_with_a_learned_variance():
  """Q's outputs are logits of 2 classes, a mean, and the logarithm of a variance."""
  codes = Codes(1, (2,), 1, learned_variance=True)
  latents = jnp.array([[9.0, 1.0, 0.0, 0.5]] * 4)
  read = jnp.array([[0.0, 0.0, -0.5, 1.0]] * 4)
  of = match(fake_outputs={"q": read})._replace(latents=latents)
  expected = normal_nll(jnp.array([[0.5]]), jnp.array([[-0.5]]), jnp.array([[1.0]]))
  np.testing.assert_allclose(value(continuous(codes), of), [expected[0]] * 4)
  np.testing.assert_allclose(expected, 0.5 * np.log(2 * np.pi * np.e) + 1 / (2 * np.e), rtol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_built_from_a_config_with_its_head(name):
  config = small_config()
  config.task = task_section(name)
  config.conditional = name in ("contra_gan", "reac_gan")
  if name == "info_max_gan":
    config.discriminator = {"name": "auxiliary_dcgan_discriminator", "width": 1}
  experiment = build(config)
  game, batches = experiment.game, experiment.batches
  state = jax.eval_shape(lambda key: init(game, key, batches.spec(2)), jax.random.key(0))
  assert "head" in state.params["discriminator"]
  config.conditional = not config.conditional
  with pytest.raises(ValueError, match="set config.conditional="):
    build(config)


def test_wrong_arguments_are_refused():
  for task, wrong in (
    (contra_gan, {"temperature": 0}),
    (reac_gan, {"margin": 1.5}),
  ):
    with pytest.raises(ValueError, match="expected a number"):
      task(**wrong)
  for share in (0, 1.5, "half"):
    with pytest.raises(ValueError, match="expected a number in"):
      make(reac_gan(), top_k=share)
  for task, size in ((reac_gan(), 1), (ss_gan(), 3), (info_max_gan(), 1)):
    of = match([0.0] * size)
    with pytest.raises(ValueError, match=f"a batch of {size}, and .* at least {task.least}"):
      value(task_term(task, "fake"), of)
  with pytest.raises(ValueError, match="data with one class"):
    make(contra_gan(), MLPDiscriminator(num_classes=1))
  with pytest.raises(ValueError, match="expected a Task"):
    make("reac_gan")
  with pytest.raises(ValueError, match="returns no 'embedding'"):
    game = make(reac_gan())
    jax.eval_shape(functools.partial(play_round, game), init(game, jax.random.key(0), BATCH), BATCH)
  with pytest.raises(ValueError, match="set microbatches = 1"):
    of = match(fake_outputs={"local": jnp.ones((4, 1, 1)), "global": jnp.ones((4, 1))})
    value(task_term(info_max_gan(), "fake"), of._replace(microbatch=Microbatch(0, 2)))
