"""What the moving average is for: samples that are no worse than those of the network itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import data
from gan_jax.data import RING8
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal
from gan_jax.game.play import init, networks, play_round
from gan_jax.game.schedules import decay
from gan_jax.game.standing import standing_statistics
from gan_jax.losses import regularizers
from gan_jax.losses.adversarial import non_saturating
from gan_jax.nets import MLPDiscriminator
from gan_jax.nets.layers import BatchNorm
from gan_jax.nets.maxout import PacGANGenerator

ROUNDS = 100  # between two looks
VARIANCE = 0.5 + RING8.std**2  # of each coordinate of the ring, whose mean is 0


def frechet_distance(x: np.ndarray) -> float:
  """Computes the distance of points [n, 2] from the ring in closed form, by their moments."""
  covariance = np.cov(x.T)
  root = np.sqrt(np.linalg.eigvalsh(covariance) * VARIANCE).sum()
  return float(np.sum(x.mean(0) ** 2) + np.trace(covariance) + 2 * VARIANCE - 2 * root)


def test_the_average_is_never_worse_than_the_network_from_round_100_on():
  """A generator with batch norm, averaged over some 20 moves: fewer than in which it learns."""
  adam = lambda: optax.adam(1e-3, b1=0.0, b2=0.99)
  game = two_player(
    PacGANGenerator(shape=(2,), hidden=(64, 64), std=0.1),
    MLPDiscriminator(hidden=(64, 64), activation="leaky_relu"),
    loss=non_saturating,
    regularizers={"r1": (0.1, regularizers.r1)},
    optimizers={"discriminator": adam(), "generator": adam()},
    latent=normal(8),
    averages={"generator": decay(0.95)},
  )
  batches = data.Batches(data.load("ring8"), batch_size=128, seed=0).iterate()
  take = lambda n: jax.tree.map(
    lambda *x: jnp.stack(x)[:, None], *(next(batches) for _ in range(n))
  )
  play = jax.jit(lambda state, some: jax.lax.scan(lambda s, x: play_round(game, s, x), state, some))
  draw = jax.jit(lambda params, carried, z: game.sampler().generate(params, carried, z, None))
  latents = [game.sampler().inputs(jax.random.key(seed), 2000) for seed in range(4)]

  def scores(state, ema):
    drawn = [np.asarray(draw(*networks(state, ema), z), np.float64) for z in latents]
    return np.array([frechet_distance(x) for x in drawn])

  state = init(game, jax.random.key(0), jax.tree.map(lambda x: x[0], take(1)))
  for _ in range(6):
    state, _ = play(state, take(ROUNDS))
    averaged, raw = scores(state, True), scores(state, False)
    error = np.std(averaged - raw, ddof=1) / 2  # of the mean over the same four draws of latents
    assert np.mean(averaged - raw) < 3 * error, (int(state.round), averaged.mean(), raw.mean())
  assert averaged.mean() < 0.01  # and it has learned the ring


class Normalised(nn.Module):
  """Generates latents, normalised over the batch."""

  @nn.compact
  def __call__(self, z, y=None, *, train):
    return BatchNorm(unbiased=True, name="norm")(z, train=train)


def test_an_average_that_starts_later_and_standing_statistics():
  """A copy in rounds 1 and 2, averaged in round 3; then statistics of three batches of latents.

  Those are means of what each batch was normalised by, though running variances are unbiased.
  """
  game = two_player(
    Normalised(),
    MLPDiscriminator(hidden=(4,)),
    loss=non_saturating,
    optimizers={"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)},
    latent=normal(2),
    averages={"generator": decay(0.75, start=3)},
  )
  batch = {"x": jnp.ones((1, 8, 2))}
  play = jax.jit(lambda state: play_round(game, state, batch)[0])
  states = [play(init(game, jax.random.key(0), batch))]
  for _ in range(2):
    states.append(play(states[-1]))
  weight = lambda state: state.params["generator"]["norm"]["scale"]
  averaged = [state.ema["generator"].params["norm"]["scale"] for state in states]
  np.testing.assert_array_equal(averaged[:2], [weight(state) for state in states[:2]])
  expected = 0.75 * weight(states[1]) + 0.25 * weight(states[2])
  np.testing.assert_allclose(averaged[2], expected, rtol=1e-6)
  assert (averaged[2] != weight(states[2])).all()

  key, (*_, last) = jax.random.key(1), states
  how, traced = game.sampler(), []

  def accumulate(*arguments):
    traced.append(arguments)
    return how.accumulate(*arguments)

  game = game._replace(samplers={"generator": how._replace(accumulate=accumulate)})
  z = jnp.stack([game.sampler().inputs(jax.random.fold_in(key, i), 16) for i in range(3)])
  for ema in (True, False):
    standing = standing_statistics(game, last, key, batches=3, batch_size=16, ema=ema)
    statistics = networks(standing, ema)[1]["generator"]["batch_stats"]["norm"]
    np.testing.assert_allclose(statistics["mean"], z.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(statistics["var"], z.var(1).mean(0), rtol=1e-5)
    jax.tree.map(
      np.testing.assert_array_equal, networks(standing, not ema)[1], networks(last, not ema)[1]
    )
  assert len(traced) == 1  # of another state nothing is compiled
