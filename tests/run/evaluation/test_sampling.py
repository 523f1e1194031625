"""Drawing examples: sizes, seeds, classes, walks, and what a saved picture holds."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

from gan_jax.data.example import Example
from gan_jax.data.pixels import Scale, stored_levels, to_float, to_levels, to_picture, to_stored
from gan_jax.game import core
from gan_jax.game.core import Ema, Game, State
from gan_jax.game.forward import sample_network
from gan_jax.game.latents import Styled, normal, truncate_normal, truncate_styles
from gan_jax.game.play import sample
from gan_jax.game.random import example_keys
from gan_jax.nets.layers import stream_keys
from gan_jax.plots import traces
from gan_jax.run.config import default_config, network
from gan_jax.run.evaluation import draws
from gan_jax.run.evaluation.draws import SamplingOptions, drawn_from
from gan_jax.run.evaluation.sampling import CHUNK, CompiledSampler, by_class, row_of_class
from gan_jax.run.experiment import build

IMAGES = Example((1, 1, 2), None, (-1.0, 1.0))


def make(example=IMAGES, scale=1.0, truncate=truncate_normal):
  """A game whose generator shows its latents, times a parameter, plus the label."""

  def generate(params, carried, z, labels):
    z = z.psi[:, None] * z.z if isinstance(z, Styled) else z  # towards the mean, 0
    x = params["generator"] * z.reshape(-1, *example.shape)
    return x if labels is None else x + labels.reshape(-1, *(1,) * len(example.shape))

  draw = lambda key, n: normal(2)(example_keys(key, n))
  game = Game(
    init=lambda key, batch: ({}, {}),
    samplers={"only": core.Sampler(generate, draw, truncate)},
    players={},
    turns=(),
  )
  state = State(
    round=jnp.zeros((), jnp.int32),
    images=jnp.zeros((), jnp.uint32),
    key=jax.random.key(0),
    params={"generator": jnp.asarray(scale)},
    carried={},
    opt={},
    ema={"generator": Ema(jnp.asarray(2 * scale), {}, jnp.ones(()))},
  )
  return CompiledSampler(game, example), state


@pytest.mark.parametrize("n", [1, 7, CHUNK, CHUNK + 1])
def test_any_number_is_drawn_and_begins_alike(n):
  sampler, state = make()
  x = sampler(state, n)
  assert x.shape == (n, 1, 1, 2) and x.dtype == np.uint8
  np.testing.assert_array_equal(x, sampler(state, CHUNK + 5)[:n])
  assert (sampler(state, 7, seed=1) != sampler(state, 7)).any()


class Noise(nn.Module):
  """A generator of noise alone, by `stream_keys` or one draw for its whole batch."""

  by_example: bool = True

  @nn.compact
  def __call__(self, z, y=None, *, train):
    draw = lambda key, *shape: jax.random.normal(key, shape)
    if not self.by_example:
      return draw(self.make_rng("noise"), *z.shape)
    return jax.vmap(lambda key: draw(key, 2))(stream_keys(self, "noise", len(z)))


def noisy(**fields):
  net = Noise(**fields)
  generate = lambda params, carried, z, labels: sample_network(net, "net", params, carried, z)
  sampler = core.Sampler(generate, lambda key, n: normal(2)(example_keys(key, n)))
  game = Game(lambda key, batch: ({}, {}), {"only": sampler}, {}, ())
  state = make()[1].replace(params={"net": {}}, carried={"net": {}}, ema={})
  return game, CompiledSampler(game, Example((2,), None, None)), state


def test_noise_is_of_the_seed_and_the_place():
  """Whatever the number and the chunk; latents have other draws, walks one draw each."""
  game, sampler, state = noisy()
  x = sampler(state, CHUNK + 9)
  assert len(np.unique(x)) == x.size
  np.testing.assert_array_equal(sampler(state, 7), x[:7])
  np.testing.assert_array_equal(sample(game, state, jax.random.key(0), CHUNK + 3), x[: CHUNK + 3])
  assert not np.isin(sampler(state, 7, seed=1), x).any()
  assert not np.isin(sampler.latents(7), x).any()
  np.testing.assert_array_equal(
    sampler.interpolate(state, rows=2, steps=3), np.repeat(x[:2], 3, axis=0)
  )


def test_a_network_without_keys_of_examples_is_sampled():
  _, sampler, state = noisy(by_example=False)
  x = sampler(state, 5)
  assert len(np.unique(x)) == x.size
  np.testing.assert_array_equal(sampler(state, 7)[:5], x)


def test_one_program_serves_every_number():
  sampler, state = make()
  for n in (1, 5, CHUNK + 3):
    sampler(state, n)
  assert sampler._generate._cache_size() == 1


def test_images_are_quantised_as_a_png_would_be():
  sampler, state = make(scale=1e-9)
  assert (sampler(state, 4) == 128).all()  # 0 lies between 127 and 128; rounds to even
  sampler, state = make(scale=1e9)
  assert set(np.unique(sampler(state, 50))) == {0, 255}


@pytest.mark.parametrize(("dtype", "lo", "hi"), [("uint16", 100, 4000), ("float32", -2.5, 7.5)])
def test_images_come_back_in_the_type_and_range_of_the_data(dtype, lo, hi):
  scale = Scale(dtype, lo, hi)
  example = IMAGES._replace(scale=scale)
  sampler, state = make(example, scale=1e9)
  x = sampler(state, 50)
  assert x.dtype == dtype and set(np.unique(x)) == {lo, hi}
  sampler, state = make(example, scale=0.3)
  x, levels = sampler(state, 50), sampler.generate(state, sampler.latents(50), rounded=False)
  inside = (levels > 0) & (levels < 255)
  # Half a unit of the data is lost by rounding, and 2**-22 of the range in float32.
  bound = (0.5 if dtype == "uint16" else 0) + (hi - lo) * 2.0**-22
  assert abs(x - (lo + levels * (hi - lo) / 255))[inside].max() <= bound
  back = to_float(jnp.asarray(x), (-1.0, 1.0), scale)
  again = to_stored(np.asarray(back), (-1.0, 1.0), scale)
  np.testing.assert_allclose(again, x, atol=0 if dtype == "uint16" else (hi - lo) * 2.0**-22)
  # Again half a unit, of 255 levels.
  np.testing.assert_allclose(
    stored_levels(x, scale), np.clip(levels, 0, 255), atol=0.5 * 255 / 3900
  )


def test_pictures_show_what_they_can_and_say_so(caplog):
  every = Scale("uint16", 0, 510)
  x = np.array([0, 2, 510, 300, 600], np.uint16).reshape(1, 1, 1, 5)
  assert to_picture(x, every).tolist() == [[[[0, 1, 255]]]]
  assert to_picture(x[..., :2], every).tolist() == [[[[0]]]]
  assert to_picture(x[..., 4:], every).tolist() == [[[[255]]]]
  sampler, state = make(Example((1, 1, 2), None, (-1.0, 1.0), scale=every))
  assert sampler.shown(sampler(state, 3)).shape == (3, 1, 1, 1)
  assert (
    "pictures show the first 1 of 2 channels of uint16, 0 as black, 510 as white" in caplog.text
  )
  gray, state = make(Example((1, 2, 1), None, (-1.0, 1.0)))
  assert gray.example.not_shown == "" and gray.shown(gray(state, 3)).dtype == np.uint8


def test_volumes_are_shown_by_their_middle_slice(caplog):
  example = Example((3, 1, 2, 1), None, (-1.0, 1.0), scale=Scale("float32", 0, 1))
  sampler = make(example)[0]
  x = np.arange(6, dtype=np.float32).reshape(1, 3, 1, 2, 1) / 5
  assert sampler.shown(x).tolist() == [[[[102], [153]]]]
  assert "pictures show slice 1 of 3, all of 1 channels of float32, 0 as black" in caplog.text


def test_series_are_shown_as_traces(caplog):
  example = Example((48, 1), None, (-1.0, 1.0), scale=Scale("uint16", 0, 47))
  x = np.arange(48, dtype=np.uint16).reshape(1, 48, 1)
  (drawn,) = make(example)[0].shown(x)
  assert drawn.shape == (48, 96, 3) and drawn.dtype == np.uint8
  dark = (drawn != 255).any(axis=-1)
  assert dark[47, 0] and dark[0, 95] and not dark[0, 0]  # it rises
  assert dark.any(axis=0).all() and dark.sum() < 3 * 96  # without gaps, and thin
  assert "pictures show traces of all of 1 channels of uint16, 0 at the bottom" in caplog.text
  many = traces(np.zeros((2, 1, 9)), -1, 1)  # one step, more channels than colors
  assert many.shape == (2, 48, 96, 3) and len(np.unique(many.reshape(-1, 3), axis=0)) == 2


def test_points_stay_as_they_are():
  sampler, state = make(Example((2,), None, None))
  x = sampler(state, 3, ema=False)
  assert x.dtype == np.float32
  np.testing.assert_allclose(x, sampler.latents(3))
  np.testing.assert_allclose(sampler(state, 3), 2 * x)  # the average, here twice as large


def test_labels_reach_the_generator():
  sampler, state = make(Example((2,), 3, None), scale=0.0)
  x = sampler(state, 3, labels=np.array([0, 2, 1]))
  np.testing.assert_array_equal(x, [[0, 0], [2, 2], [1, 1]])


@pytest.mark.parametrize(
  ("n", "classes", "expected"),
  [(6, 3, [0, 0, 1, 1, 2, 2]), (4, 3, [0, 0, 1, 2]), (2, 5, [0, 1])],
)
def test_examples_are_shared_out_class_by_class(n, classes, expected):
  assert by_class(n, classes).tolist() == expected


@pytest.mark.parametrize(
  ("n", "classes", "expected"), [(100, 10, 10), (64, 2, 8), (200, 2, 10), (64, 10, 6), (3, 5, 1)]
)
def test_a_sheet_of_classes_is_near_a_square(n, classes, expected):
  """Of two classes, 64 examples made two rows of 32."""
  assert row_of_class(n, classes) == expected


def test_walk_has_its_ends_and_keeps_one_class():
  sampler, state = make(Example((2,), 2, None), scale=0.5)  # the average shows z + label
  walk = sampler.interpolate(state, rows=3, steps=5).reshape(3, 5, 2)
  ends = sampler.latents(6)
  label = np.array([0, 1, 0])[:, None]
  np.testing.assert_allclose(walk[:, 0], ends[:3] + label, rtol=1e-5)
  np.testing.assert_allclose(walk[:, -1], ends[3:] + label, rtol=1e-5)


@pytest.mark.parametrize(
  ("names", "asked", "places"),
  [
    (("cat", "dog"), ["dog", "0", "dog"], [1, 0, 1]),  # a place, where no name is a number
    (("1", "2", "7"), ["7", "1"], [2, 0]),
    (None, ["2", "0"], [2, 0]),
  ],
)
def test_classes_are_found_by_name(names, asked, places):
  example = Example((2,), len(names or "abc"), None, names)
  assert example.labels(asked).tolist() == places
  with pytest.raises(ValueError, match="there is no class '3': expected some of classes"):
    example.labels(["3"])
  with pytest.raises(ValueError, match="and this run has none"):
    IMAGES.labels(asked)


@pytest.mark.parametrize(
  ("names", "written"),
  [
    (None, {"y": [1, 0]}),
    (("1", "2", "7"), {"y": [2, 1]}),
    (("cat", "1"), {"y": [1, 0], "class_names": ["cat", "1"]}),
    (("01", "1"), {"y": [1, 0], "class_names": ["01", "1"]}),
  ],
)
def test_labels_are_written_as_the_data_have_them(names, written):
  example = Example((2,), len(names or "ab"), None, names)
  found = example.written(np.array([1, 0]))
  assert {key: array.tolist() for key, array in found.items()} == written


def test_walks_are_of_the_classes_asked_for():
  sampler, state = make(Example((2,), 5, None), scale=0.0)
  walk = sampler.interpolate(state, rows=2, steps=3, labels=np.array([4, 1]))
  assert walk[:, 0].tolist() == [4, 4, 4, 1, 1, 1]


def test_batch_describes_shapes():
  spec = Example((4, 4, 3), 10, (-1.0, 1.0)).batch(2, 8)
  assert spec["x"].shape == (2, 8, 4, 4, 3) and spec["y"].shape == (2, 8)
  assert "y" not in IMAGES.batch(8)


@pytest.mark.parametrize("bound", [0.1, 1.0, 3.0])
def test_truncated_latents_are_those_of_the_truncated_normal(bound):
  z = np.random.default_rng(0).normal(size=(200, 50)).astype(np.float32)
  found = truncate_normal(z, bound)
  assert found.dtype == np.float32 and abs(found).max() <= bound
  assert stats.kstest(found.ravel(), stats.truncnorm(-bound, bound).cdf).pvalue > 0.01  # seeded
  np.testing.assert_array_equal(np.argsort(found.ravel()), np.argsort(z.ravel()))  # ranks are kept


def test_a_wide_bound_changes_nothing_and_a_wrong_one_is_refused():
  z = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
  np.testing.assert_allclose(truncate_normal(z, 30.0), z, rtol=1e-5)
  for bound in (0.0, -1.0, float("nan")):
    with pytest.raises(ValueError, match="at a bound > 0"):
      truncate_normal(z, bound)
  sampler, state = make()
  with pytest.raises(ValueError, match="at a bound > 0"):
    sampler.check_truncation(0.5, -1.0)
  with pytest.raises(ValueError, match="neither"):
    make(truncate=None)[0].check_truncation(0.5)
  with pytest.raises(ValueError, match="a finite psi, got nan"):
    truncate_styles(z, float("nan"))
  make(truncate=truncate_styles)[0].check_truncation(None, 0.0, -1.0)
  few = sampler(state, 100, truncation=0.01)
  assert (np.abs(few.astype(int) - 128) <= 4).all()  # 2 x 0.01 of 1 is 2.5 of 127.5


@pytest.mark.parametrize("truncate", [truncate_styles, truncate_normal])
def test_paths_of_truncated_samples(truncate):
  """Styles are truncated at each step of a path between latents; latents at the ends alone."""
  sampler, state = make(truncate=truncate)
  experiment = types.SimpleNamespace(
    classified={},
    batches=types.SimpleNamespace(source=None),
    config={},
    game=None,
    _replace=lambda game: types.SimpleNamespace(sampler=lambda: sampler),
    targets=None,
  )
  walks = [
    drawn_from(experiment, sampler, state, how=SamplingOptions(False, bound))[1](3, 0)
    for bound in (None, 0.5)
  ]
  start, styled = walks[0].start, truncate is truncate_styles
  free, bounded = (walk.generate(0.1 * start).reshape(3, 2) for walk in walks)
  np.testing.assert_array_equal(walks[1].start, start if styled else truncate_normal(start, 0.5))
  np.testing.assert_allclose(free, to_levels(0.1 * start), rtol=1e-6)
  np.testing.assert_allclose(bounded, to_levels((0.05 if styled else 0.1) * start), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_paths_of_all_evaluations_are_of_one_sampler_in_float32(dtype):
  config = default_config()
  config.data = "digits8x8"
  config.generator = network("mlp_generator", hidden=(4,), dtype=dtype)
  experiment = build(config)
  sampler = experiment.sampler()
  exact = draws._exact(experiment, sampler)
  assert (exact is sampler) == (dtype == "float32")
  assert draws._exact(experiment, sampler) is exact
