"""ADA's transforms: the published code's images, gradients and matrices, and exact invariants."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case

from gan_jax.game.views import PIPES, Pipe
from gan_jax.game.views.pipe import matrices
from gan_jax.game.views.pipe.augment import COLORS, GEOMETRIC, augment, check_images
from gan_jax.game.views.pipe.colors import color_matrix
from gan_jax.game.views.pipe.draws import TRANSFORMS, active, draw_values, values_at, values_of
from gan_jax.game.views.pipe.filters import FILTER_BANK, amplify_bands
from gan_jax.game.views.pipe.geometry import LOWPASS, inverse_matrix
from gan_jax.game.views.pipe.options import parse_pipe

ALL = PIPES["bgcfnc"]
CLOSED = 2.0  # a uniform draw that no gate is open for
to_nchw = lambda x: np.moveaxis(np.asarray(x), 3, 1)
to_nhwc = lambda x: np.moveaxis(x, 1, 3)


def recorded(arrays, batch, channels, with_filter):
  """Draws and gates by transform, in the order in which the published code drew them."""
  names = active(ALL if with_filter else ALL._replace(imgfilter=0.0), channels)
  draws = {n: np.zeros((batch, *TRANSFORMS[n].shape), np.float32) for n in names}
  gates = {n: np.full((batch, *TRANSFORMS[n].gates), CLOSED, np.float32) for n in names}
  gates.pop("cutout_center", None)  # it has none
  left = [(key.split("-")[-1], arrays[key]) for key in sorted(arrays) if "/draw/" in key]
  for name in names:
    kind = TRANSFORMS[name].multiplier
    own = [array for other, array in left if other == kind]
    if name.startswith("rotate_"):
      own = own[:2] if name == "rotate_pre" else own[2:]
    if not own:
      continue
    if kind == "imgfilter":
      draws[name], gates[name] = np.stack(own[::2], 1), np.stack(own[1::2], 1)
    elif name == "cutout_size":
      gates[name] = own[0].reshape(batch)
    elif name == "cutout_center":
      draws[name] = own[1].reshape(batch, 2)
    else:
      draws[name] = own[0].reshape(draws[name].shape)
      gates[name] = own[1].reshape(batch)
  return draws, gates


@jax.jit
def computed(images, draws, gates, noise, p):
  """Images, matrices, and the gradient of sum(y cos(arange)), by all transforms at once."""
  values = values_of(ALL, p, draws, gates)

  def projection(x):
    y = augment(x, values, noise)
    return jnp.vdot(jnp.moveaxis(y, 3, 1), jnp.cos(jnp.arange(y.size)).reshape(-1)), y

  gradient, y = jax.grad(projection, has_aux=True)(images)
  found = {"out/images": jnp.moveaxis(y, 3, 1), "grad/images": jnp.moveaxis(gradient, 3, 1)}
  geometric = {name: values[name] for name in GEOMETRIC}
  colors = {name: values[name] for name in COLORS if name in values}
  found["out/G_inv"] = inverse_matrix(geometric, *images.shape[1:3])
  found["out/C"] = color_matrix(colors)
  return found | {f"param/{name}": value for name, value in values.items()}


SIXTEEN = "xflip rotate90 xint scale rotate aniso xfrac brightness contrast lumaflip hue saturation"
NAMES = [f"{name}_16px" for name in (*SIXTEEN.split(), "noise", "cutout")]


@pytest.mark.parametrize("name", [*NAMES, "bgc_16px_grey", "imgfilter_32px", "bgc_32px"])
def test_images_and_gradients_are_those_of_the_published_code(name):
  """All transforms at once, those that a case has not behind closed gates: one program."""
  arrays, case = load_case("ada", name)
  x = to_nhwc(arrays["in/images"])
  draws, gates = recorded(arrays, len(x), x.shape[-1], x.shape[1] > 21)
  noise = to_nhwc(arrays.get("in/draw/02-randn-noise", np.zeros_like(arrays["in/images"])))
  found = computed(x, draws, gates, noise, case["hyperparameters"]["p"])
  errors = case["tolerance"]["measured_float32_error_over_max_abs"]
  for key, expected in arrays.items():
    if key.startswith("in/"):
      continue
    expected = expected[:, 0] if key == "param/cutout_size" else expected
    value = np.asarray(found[key]).reshape(expected.shape)
    tolerance = max(1e-5, 8 * errors.get(key, 0)) * np.abs(expected).max()
    np.testing.assert_allclose(value, expected, rtol=0, atol=max(tolerance, 1e-6), err_msg=key)


def test_filters_matrices_and_percentiles_are_the_published_ones():
  filters, _ = load_case("ada", "filters")
  np.testing.assert_allclose(LOWPASS, filters["b/Hz_geom"], atol=1e-6)
  np.testing.assert_allclose(FILTER_BANK, filters["b/Hz_fbank"], atol=1e-6)
  arrays, _ = load_case("ada", "matrices")
  v = arrays["in/v"]
  given = {"translate2d_inv": (v, 2 * v), "scale2d_inv": (v, v / 2), "rotate2d_inv": (v,)}
  given |= dict.fromkeys(("translate3d", "scale3d"), (v, v, v))
  for name, arguments in (given | {"rotate3d": (np.ones(3) / np.sqrt(3), v)}).items():
    found = getattr(matrices, name)(*arguments)
    np.testing.assert_allclose(found, arrays[f"out/{name}"], atol=1e-6, err_msg=name)


def test_percentiles_are_the_published_ones():
  arrays, _ = load_case("ada", "percentile_bgc")
  x = to_nhwc(arrays["in/images"])
  at = jax.jit(lambda q: augment(x, values_at(PIPES["bgc"], q, len(x), 3)))
  for q in (0.2, 0.5, 0.8):
    expected = arrays[f"out/percentile {q}"]
    atol = 2e-5 * np.abs(expected).max()
    np.testing.assert_allclose(to_nchw(at(q)), expected, rtol=0, atol=atol)


def test_formulas_are_those_of_a_few_published_numbers():
  """Of the published code, as the file says: they need no other files."""
  few = dict(np.load(pathlib.Path(__file__).parent / "published.npz"))
  names = active(PIPES["bgc"], 1)
  sizes = [int(np.prod(TRANSFORMS[name].shape)) for name in names]
  parts = np.split(few["grey_draws"], np.cumsum(sizes)[:-1])
  draws = {n: part.reshape(1, *TRANSFORMS[n].shape) for n, part in zip(names, parts, strict=True)}
  x, y = few["grey"][:, None, :, :, None]
  found = jax.jit(lambda x, draws: augment(x, values_of(PIPES["bgc"], 1.0, draws, {})))(x, draws)
  np.testing.assert_allclose(found, y, rtol=0, atol=1.1e-5 * np.abs(y).max())

  draws, gates = (dict(zip(COLORS, few[f"color_{x}"], strict=True)) for x in ("draws", "gates"))
  found = color_matrix(values_of(PIPES["bgc"], 0.6, draws, gates))
  np.testing.assert_allclose(found, few["color_matrix"], atol=1e-5)

  draw, gate, gains = few["filter"]
  found = values_of(ALL, 0.7, {"imgfilter": draw}, {"imgfilter": gate})["imgfilter"]
  np.testing.assert_allclose(found, gains, rtol=1e-5)


IMAGES = jax.random.uniform(jax.random.key(0), (4, 6, 10, 2), minval=-1.0)
NEUTRAL = {n: np.full((4, *TRANSFORMS[n].shape), TRANSFORMS[n].neutral) for n in GEOMETRIC}
transformed = jax.jit(augment)


def geometric(images, values):
  """Transforms images by one program, whatever the values."""
  return transformed(images, {n: jnp.float32(v) for n, v in (NEUTRAL | values).items()})


def test_invariants_of_geometry():
  """Of images that are not square, and of two channels."""
  close = functools.partial(np.testing.assert_allclose, atol=1e-6)
  close(geometric(IMAGES, {}), IMAGES, atol=2e-7, rtol=0)
  shifted = geometric(IMAGES, {"xint": jnp.full((4, 2), 0.1)})  # a column right, .6 of a row down
  close(shifted[:, 1:, 1:], IMAGES[:, :-1, :-1])
  close(shifted[:, 0, 1:], IMAGES[:, 1, :-1])  # reflected at the border
  flip = inverse_matrix({"xflip": jnp.float32([0, 1])}, 6, 10)
  close(flip, [np.eye(3), np.diag([-1, 1, 1])])
  turn = inverse_matrix({"rotate90": jnp.arange(4.0)}, 6, 10)
  close(turn, [np.linalg.matrix_power(turn[1], i) for i in range(4)])
  close(turn[1] @ turn[3], np.eye(3))
  # The matrices are exact. Images are so up to the asymmetry of sym6, as in the published code.
  i, j = np.mgrid[:6, :10] / 10
  smooth = jnp.float32(np.cos(2 * i + 1) * np.cos(3 * j + 2) + j)[None, :, :, None]
  smooth = jnp.tile(smooth, (4, 1, 1, 2))
  flipped = geometric(smooth, {"xflip": jnp.ones(4)})
  close(flipped, smooth[:, :, ::-1], atol=0.05)
  turned = geometric(smooth, {"rotate90": jnp.full(4, 2.0)})
  close(turned, smooth[:, ::-1, ::-1], atol=0.05)


def test_beyond_the_reflected_image_there_is_nothing():
  far = geometric(IMAGES, {"xfrac": jnp.float32([[3.0, 0.0]] * 4)})
  np.testing.assert_array_equal(far, np.zeros_like(far))


def test_neutral_values_change_nothing_and_gates_open_with_probability_p():
  keys = jax.random.split(jax.random.key(1), 512)
  values = jax.jit(lambda p: draw_values(ALL, p, keys, 3))
  for name, value in values(0.0).items():
    neutral = TRANSFORMS[name].neutral
    assert name == "cutout_center" or (np.asarray(value) == neutral).all(), name
  drawn = values(0.5)
  for name, value in drawn.items():
    open_ = np.mean(np.asarray(value) != TRANSFORMS[name].neutral)
    expected = {"xflip": 0.25, "rotate90": 0.375, "lumaflip": 0.25, "cutout_center": 1.0}
    expected |= dict.fromkeys(("rotate_pre", "rotate_post"), 1 - 0.5**0.5)
    # A gain of the filter is moved by each of the four gates.
    expected["imgfilter"] = 1 - 0.5**4
    assert open_ == pytest.approx(expected.get(name, 0.5), abs=0.07), name
  deviations = {"brightness": 0.2, "xfrac": 0.125}
  for name, std in deviations.items():
    value = np.asarray(drawn[name])
    assert value[value != 0].std() == pytest.approx(std, rel=0.15), name


def test_pipes_are_the_published_ones_and_can_be_changed():
  assert parse_pipe("bgc") == PIPES["bgc"] and PIPES["bgcf"].imgfilter == 1
  assert [len(active(PIPES[name], 3)) for name in PIPES] == [
    3,
    5,
    5,
    1,
    1,
    2,
    8,
    13,
    14,
    15,
    17,
    15,
  ]
  assert parse_pipe("bgc, rotate=0, scale_std=.1") == PIPES["bgc"]._replace(rotate=0, scale_std=0.1)
  assert parse_pipe("xflip, xint=0.5") == Pipe(xflip=1, xint=0.5)
  assert "hue" not in active(PIPES["color"], 1)
  with pytest.raises(ValueError, match=r"no such transform, flip\): expected one of blit, geom"):
    parse_pipe("bgc, flip")
  with pytest.raises(ValueError, match="xflip of the pipe is -1.0: expected a number >= 0"):
    parse_pipe("xflip=-1")
  with pytest.raises(ValueError, match="the pipe has no transform: expected one with a multiplier"):
    parse_pipe("blit, xflip=0, rotate90=0, xint=0")


@pytest.mark.parametrize(
  ("shape", "pipe", "message"),
  [
    ((2, 8, 8, 1), "hue", "hue and saturation alone, which images of one channel have not: use"),
    ((2, 2), "bgc", r"ADA augments images \[B, H, W, C\], got \(2, 2\)"),
    ((2, 8, 8, 5), "bgc", "brightness, contrast, .* are of images of 1 or 3 channels, got 5: use"),
    (
      (2, 21, 32, 1),
      "filter",
      r"imgfilter reflects images by 21 pixels, and these have \(21, 32\)",
    ),
  ],
)
def test_images_that_a_pipe_does_not_take_are_refused(shape, pipe, message):
  images = jnp.zeros(shape)
  with pytest.raises(ValueError, match=message):
    check_images(images, parse_pipe(pipe))
    amplify_bands(images, jnp.ones((2, 4)))
