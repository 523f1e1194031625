"""ADA's view: its strength, its memory, its draws, and what a game refuses."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FOLDER, load_case

from gan_jax.game import views
from gan_jax.game.core import Clock
from gan_jax.game.random import WHOLE_BATCH, Microbatch

KEYS = jax.random.split(jax.random.key(0), 4)
IMAGES = jax.random.uniform(jax.random.key(1), (4, 8, 8, 3), minval=-1.0)


def match_of(signs, batch, microbatch=WHOLE_BATCH, axis_name=None):
  """What a view reads of a move: logits of real examples, and how many images they are of."""
  logits = jnp.float32(signs) * np.arange(1, len(signs) + 1)
  latents = np.zeros((batch, 1))
  return types.SimpleNamespace(
    real_scores=logits, latents=latents, axis_name=axis_name, microbatch=microbatch
  )


def signs_of(mean):
  """Two hundred signs of this mean."""
  positive = round(100 * (1 + mean))
  return [1] * positive + [-1] * (200 - positive)


def strengths(view, means, interval, batch):
  """The metrics p and r_t after each interval of moves of one mean sign."""
  memory, found = view.memory, []
  for mean in means:
    for _ in range(interval):
      memory = view.update(memory, match_of(signs_of(mean), batch))
    found.append({k: float(v) for k, v in view.metrics(Clock(), memory).items()})
  return found


PUBLISHED = {  # stylegan2-ada-pytorch, d72cc7d, training_loop.py: (mean sign, p after it)
  "default": (64, 500, [(0.9, 0.000512), (0.7, 0.001024), (0.6, 0.001024), (0.5, 0.000512)]),
  "resume": (32, 100, [(1, 0.00128), (1, 0.00256), (0.59, 0.00128), (-1, 0.0), (-1, 0.0)]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_strength_follows_the_signs_as_published(name):
  batch, kimg, rows = PUBLISHED[name]
  if (FOLDER / "ada").is_dir():
    numbers = load_case("ada", "adaptive_p")[1]["numbers"]
    rows = [(row["mean_sign"], row["p"]) for row in numbers[name]["rows"]]
  found = strengths(views.ada(kimg=kimg), [mean for mean, _ in rows], 4, batch)
  np.testing.assert_allclose([row["augmentation/p"] for row in found], [p for _, p in rows], 1e-6)
  np.testing.assert_allclose([row["augmentation/rt"] for row in found], [m for m, _ in rows], 1e-6)


def test_strength_has_a_ceiling_where_one_is_given():
  rise = lambda **options: strengths(
    views.ada(kimg=0.1, interval=1, p=0.5, **options), [1] * 3, 1, 64
  )[-1]["augmentation/p"]
  assert rise() == pytest.approx(0.5 + 3 * 0.64) and rise(ceiling=0.8) == pytest.approx(0.8)


def test_signs_of_devices_microbatches_and_packs_are_those_of_the_batch():
  view = views.ada(interval=1, kimg=0.1)
  halves = np.array([signs_of(0.9)[::2], signs_of(0.9)[1::2]])
  parts = [
    view.update(view.memory, match_of(signs, 100, Microbatch(i, 2)))
    for i, signs in enumerate(halves)
  ]
  joined = view.join(jax.tree.map(lambda *x: jnp.stack(x), *parts))
  whole = view.update(view.memory, match_of(signs_of(0.9), 200))
  jax.tree.map(np.testing.assert_array_equal, joined, whole)
  each = lambda signs: view.update(view.memory, match_of(signs, 100, axis_name="device"))
  for device in range(2):
    at = jax.tree.map(lambda x, i=device: x[i], jax.vmap(each, axis_name="device")(halves))
    jax.tree.map(np.testing.assert_array_equal, at, whole)
  packed = view.update(view.memory, match_of([1, 1, 1, -1], 8))
  assert (packed["signs"], packed["logits"], packed["images"]) == (2, 4, 8)


def test_a_pipe_without_noise_is_applied_at_its_strength():
  for p, moved in ((1.0, 4), (0.0, 0)):
    view = views.ada(pipe="brightness", p=p, adaptive=False)
    shift = np.asarray(view.apply(IMAGES, KEYS, Clock(), view.memory) - IMAGES)
    np.testing.assert_allclose(shift, shift[:, :1, :1, :1] + 0 * shift, atol=1e-6)
    assert (np.abs(shift).max((1, 2, 3)) > 1e-3).sum() == moved


@jax.jit
def applied(strength, images, keys):
  """Images by every draw but those of the filter, with p as a schedule of rounds."""
  pipe = "bgcfnc, imgfilter=0"
  view = views.ada(pipe=pipe, p=lambda clock: clock.round / 10, adaptive=False)
  assert not view.memory
  return view.apply(images, keys, Clock(10 * strength), ()), view.metrics(Clock(10 * strength), ())


def test_a_strength_of_a_schedule_and_draws_of_the_key_alone():
  drawn, metrics = applied(1.0, IMAGES, KEYS)
  assert metrics == {"augmentation/p": 1.0}
  np.testing.assert_allclose(applied(0.0, IMAGES, KEYS)[0], IMAGES, atol=3e-7)
  # Reversed with their keys, images are the same in reverse: nothing couples them.
  again, _ = applied(1.0, IMAGES[::-1], KEYS[::-1])
  np.testing.assert_allclose(again[::-1], drawn, atol=1e-5)
  assert not np.allclose(applied(1.0, IMAGES, KEYS[::-1])[0], drawn, atol=0.1)


def test_gradients_of_the_whole_pipe_are_finite():
  images = jnp.tile(IMAGES[:2], (1, 3, 3, 1))
  view = views.ada(pipe="bgcfnc", p=1.0, adaptive=False)
  total = lambda x: jnp.sum(view.apply(x, KEYS[:2], Clock(), ()) ** 2)
  gradient = jax.jit(jax.grad(total))(images)
  assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0.1


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"pipe": "abc"}, "pipe is 'abc'"),
    ({"pipe": 3}, "pipe is 3: expected a text such as 'bgc', or a Pipe"),
    (
      {"pipe": "bgc, noise_std=0.3"},
      "noise_std would change nothing, .* add these, such as noise=1",
    ),
    ({"p": -1}, "p is -1: expected a strength >= 0, or a schedule"),
    ({"p": lambda clock: clock.round}, "an adaptive p starts from a number: set adaptive=False"),
    ({"adaptive": 1}, "adaptive is 1: expected True or False"),
    ({"target": 2}, "target is 2: expected a mean of signs"),
    ({"interval": 0}, "interval is 0: expected a number of moves >= 1"),
    ({"kimg": 0}, "kimg is 0: expected thousands of images > 0"),
    ({"ceiling": -1}, "ceiling is -1: expected the largest p, or 0 for none"),
  ],
)
def test_other_options_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    views.ada(**options)
