"""A generator in stages: path length, truncated styles, mixed styles, on every layout."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from experiments.bench import layouts
from gan_jax import losses
from gan_jax.game.core import StepContext
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal, truncate_normal
from gan_jax.game.play import init, sample
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import every
from gan_jax.nets.layers import stream_keys

ROWS, DIM, B = 3, 4, 32


class Styles(nn.Module):
  """Styles w [B, 3, 4] by a linear layer, points by another; mixed while it trains."""

  mixed: bool = False
  cutoff: int = ROWS

  def setup(self):
    self.to_style, self.to_example = nn.Dense(DIM), nn.Dense(2, use_bias=False)
    self.average = self.variable("batch_stats", "average", jnp.zeros, DIM)

  def mapping(self, z, y=None, *, train):
    rows = lambda z: jnp.repeat(self.to_style(z)[:, None], ROWS, axis=1)
    w = rows(z)
    if train and not self.is_initializing():
      self.average.value = 0.9 * self.average.value + 0.1 * w.mean((0, 1))
    if train and self.mixed:
      keys = stream_keys(self, "mixing", len(z))
      other = rows(jax.vmap(lambda key: jax.random.normal(key, z.shape[1:]))(keys))
      first = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, 0), (), 1, ROWS))
      w = jnp.where((jnp.arange(ROWS)[None] < first(keys)[:, None])[..., None], w, other)
    return w

  def synthesis(self, w, *, train):
    return self.to_example(w.reshape(len(w), -1))

  def __call__(self, z, y=None, *, train, psi=None):
    w = self.mapping(z, y, train=train)
    if psi is not None:
      average = self.average.value[None, None]
      near = average + psi[:, None, None] * (w - average)
      w = jnp.where((jnp.arange(ROWS) < self.cutoff)[None, :, None], near, w)
    return self.synthesis(w, train=train)


def make(generator=None, **options):
  return two_player(
    generator or Styles(),
    layouts.Discriminator(),
    loss=losses.non_saturating,
    optimizers=dict.fromkeys(("discriminator", "generator"), optax.sgd(0.05)),
    latent=normal(DIM),
    **options,
  )


def start(game, rounds=1):
  data = layouts.batches(game, rounds)
  return init(game, jax.random.key(0), jax.tree.map(lambda x: x[0], data)), data


def match_of(game, state, data):
  """The match of a first move."""
  objective = game.players["generator"].objective
  context = StepContext(jax.random.key(3), state.clock, None)
  batch = jax.tree.map(lambda x: x[0, 0], data)
  return objective.forward(state.params, state.carried, batch, context)[0]


@pytest.mark.parametrize("mixed", [False, True])
def test_stages_make_the_fakes(mixed):
  game = make(Styles(mixed))
  match = match_of(game, *start(game))
  w = match.stages["mapping"](match.latents)
  np.testing.assert_allclose(match.stages["synthesis"](w), match.fake, rtol=1e-5, atol=1e-6)
  assert w.shape == (B, ROWS, DIM)
  same = (w[:, 0] == w[:, -1]).all(axis=1)
  assert not same.any() if mixed else same.all()


def test_path_length_of_a_linear_synthesis():
  """x = A w: the length is ‖Aᵀy‖ / √rows, and the average, which moves first, has a gradient."""
  game = make()
  state, data = start(game)
  match, term = match_of(game, state, data), regularizers.path_length(decay=0.75)
  kernel = np.asarray(state.params["generator"]["to_example"]["kernel"])
  y = np.asarray(jax.vmap(lambda key: jax.random.normal(key, (2,)))(match.keys))
  values, memory = term.value(match, {"average": jnp.asarray(2.0)})
  lengths = np.linalg.norm(y @ kernel.T, axis=1) / np.sqrt(ROWS)
  average = 0.75 * 2 + 0.25 * lengths.mean()
  np.testing.assert_allclose(values, (lengths - average) ** 2, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(memory["average"], average, rtol=1e-5)

  def loss(scale):
    stages = {**match.stages, "synthesis": lambda w: scale * match.stages["synthesis"](w)}
    return term.value(match._replace(stages=stages), {"average": jnp.asarray(2.0)})[0].mean()

  slope = 2 * ((lengths - average) * (lengths - 0.25 * lengths.mean())).mean()
  np.testing.assert_allclose(jax.grad(loss)(1.0), slope, rtol=1e-4)


def test_path_length_of_images_is_by_pixel():
  game = make()
  match = match_of(game, *start(game))
  image = lambda w: jnp.broadcast_to(w.reshape(B, -1)[:, :1, None, None], (B, 4, 6, 1))
  match = match._replace(stages={**match.stages, "synthesis": image})
  values = regularizers.path_length(decay=0.0).value(match, {"average": jnp.zeros(())})[0]
  y = np.asarray(jax.vmap(lambda key: jax.random.normal(key, (4, 6, 1)))(match.keys))
  lengths = abs(y.sum((1, 2, 3))) / np.sqrt(24) / np.sqrt(ROWS)
  np.testing.assert_allclose(values, (lengths - lengths.mean()) ** 2, rtol=1e-3, atol=1e-5)


def test_path_length_is_refused_without_stages():
  game = make(
    layouts.Generator(), generator_regularizers={"length": (1.0, regularizers.path_length())}
  )
  state, data = start(game)
  with pytest.raises(ValueError, match="is of a generator with methods mapping and synthesis"):
    layouts.one(game, state, data)
  with pytest.raises(ValueError, match="the decay of an average"):
    regularizers.path_length(decay=1.0)


@pytest.mark.parametrize("layout", ["data 8", "pmap"])
def test_every_layout_gives_the_same_numbers(layout):
  term = every(2, regularizers.path_length())
  game = make(Styles(mixed=True), generator_regularizers={"length": (1.0, term)})
  state, data = start(game, rounds=4)
  (want, metrics), (got, _) = (
    play(game, state, data) for play in (layouts.one, layouts.LAYOUTS[layout])
  )
  assert layouts.state_difference(want, got) < 1e-5
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
  jax.tree.map(close, got.carried, want.carried)
  assert (np.asarray(metrics["generator/length"]) > 0).all()
  # It goes on bit for bit.
  parts = [jax.tree.map(lambda x, half=half: x[half], data) for half in (slice(2), slice(2, 4))]
  resumed = layouts.one(game, jax.device_get(layouts.one(game, state, parts[0])[0]), parts[1])[0]
  jax.tree.map(np.testing.assert_array_equal, resumed.params, want.params)


def test_truncated_styles_are_near_their_mean():
  """psi = 1 changes nothing, 0 leaves the mean; rows from the cutoff on stay."""
  game = make(truncate=truncate_normal)
  state, data = start(game)
  state = layouts.one(game, state, data)[0]
  draw = lambda game, psi: sample(
    game, state, jax.random.key(1), 5, inputs=game.sampler().truncate(z, psi)
  )
  z = game.sampler().inputs(jax.random.key(1), 5)
  x = sample(game, state, jax.random.key(1), 5)
  np.testing.assert_allclose(draw(game, 1.0), x, rtol=1e-5, atol=1e-6)
  x, z, params = jax.device_get((x, z, state.params["generator"]))
  average = np.asarray(state.carried["generator"]["batch_stats"]["average"])
  kernel = params["to_example"]["kernel"].reshape(ROWS, DIM, 2)
  middle = np.einsum("d,rdx->x", average, kernel)
  np.testing.assert_allclose(draw(game, 0.0), np.tile(middle, (5, 1)), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(draw(game, 0.25), middle + 0.25 * (x - middle), rtol=1e-4, atol=1e-5)
  some = draw(make(Styles(cutoff=1)), 0.0)
  w = z @ params["to_style"]["kernel"] + params["to_style"]["bias"]
  rest = np.einsum("bd,rdx->bx", w, kernel[1:])
  np.testing.assert_allclose(some, average @ kernel[0] + rest, rtol=1e-4, atol=1e-5)
