"""Projections, directions, walks and pages, of generators whose answers are known."""

import base64
import io
import pathlib
import re
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_jax import losses
from gan_jax.data.example import Example
from gan_jax.game import core
from gan_jax.game.core import Game, State
from gan_jax.game.forward import sample_network, split_variables
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import Styled, normal, truncate_normal, truncate_styles
from gan_jax.game.random import example_keys
from gan_jax.metrics import lerp, slerp
from gan_jax.metrics.features.pixels import pixels
from gan_jax.nets import MLPDiscriminator, MLPGenerator, StyleGAN2Generator
from gan_jax.nets.layers import ClassShares, labels_for
from gan_jax.nets.stylegan2.mapping import conditions
from gan_jax.plots.images import film, grid, save_film, sheet, strips
from gan_jax.run.config import default_config
from gan_jax.run.latents import directions, pages, project, sliders, walk
from gan_jax.run.latents.space import LatentSpace, prior_bound

SHAPE, DIM = (4, 4, 1), 3
PLAIN = Example(SHAPE, None, (-1.0, 1.0))
MATRIX = np.random.default_rng(0).normal(size=(16, DIM)).astype(np.float32) / 16


def run(generate, example=PLAIN, config=None, **sampler):
  """What `load` returns, of a game that is nothing but a sampler."""
  draw = lambda key, n: normal(DIM)(example_keys(key, n))
  how = core.Sampler(generate, draw, sampler.pop("truncate", truncate_normal), **sampler)
  game = Game(lambda key, batch: ({}, {}), {"only": how}, {}, ())
  zero = jnp.zeros((), jnp.int32)
  state = State(zero, zero, jax.random.key(0), {"net": jnp.asarray(MATRIX)}, {}, {}, {})
  return types.SimpleNamespace(
    game=game,
    example=example,
    state=state,
    config=config or default_config(),
    folder=types.SimpleNamespace(workdir=pathlib.Path("a_run")),
    labels=lambda n: None,
  )


def linear(params, carried, z, labels):
  """G(z) = A z, and a constant image for each class."""
  x = (z @ params["net"].T).reshape(-1, *SHAPE)
  if isinstance(labels, ClassShares):
    labels = labels.shares @ jnp.arange(labels.shares.shape[1], dtype=jnp.float32)
  return x if labels is None else x + 0.2 * labels.reshape(-1, 1, 1, 1)


def mapping(params, carried, z, labels):
  z, psi = (z.z, z.psi[:, None]) if isinstance(z, Styled) else (z, 1.0)
  return jnp.repeat((psi * 2 * z)[:, None], 2, axis=1)


def synthesis(params, carried, w, labels):
  """The upper half of an image is of the first row, the lower one of the second."""
  x = jnp.einsum("nrd,kd->nrk", w, params["net"])
  return jnp.concatenate([x[:, 0, :8], x[:, 1, 8:]], axis=1).reshape(-1, *SHAPE)


def staged(params, carried, z, labels):
  return synthesis(params, carried, mapping(params, carried, z, labels), labels)


STAGES = {"mapping": mapping, "synthesis": synthesis, "truncate": truncate_styles}
CLASSES = Example(SHAPE, 3, (-1.0, 1.0))


# --- directions -----------------------------------------------------------------------------------


def test_sefa_of_a_known_matrix():
  rng = np.random.default_rng(0)
  u, v = (np.linalg.qr(rng.normal(size=(n, 4)))[0] for n in (9, 4))
  sizes = np.array([5.0, 3.0, 2.0, 1.0])
  vectors, shares = directions.sefa(u * sizes @ v.T, 3)
  np.testing.assert_allclose(abs(vectors @ v), np.eye(4)[:3], atol=1e-12)  # of float64
  np.testing.assert_allclose(shares, sizes[:3] ** 2 / (sizes**2).sum(), rtol=1e-12)
  assert (np.abs(vectors).max(axis=1) == vectors.max(axis=1)).all()


@pytest.mark.parametrize("width", [12, 300])
def test_principal_components_of_a_linear_layer_are_those_of_sefa(width):
  """Of latents that are white in the sample; with more activations than latents as with fewer."""
  rng = np.random.default_rng(1)
  z = rng.normal(size=(200, 4))
  z = np.linalg.qr(z - z.mean(axis=0))[0]
  a = rng.normal(size=(width, 4)) * [4, 3, 2, 1]
  for found, wanted in zip(directions.principal(z, z @ a.T, 4), directions.sefa(a, 4), strict=True):
    np.testing.assert_allclose(found, wanted, atol=1e-9)  # roots of the Gram matrix's 1e-16


def test_principal_components_of_latents_themselves():
  rng = np.random.default_rng(2)
  w = rng.normal(size=(5000, 3)) * [0.5, 3.0, 1.0] + 7
  vectors, shares = directions.principal(w, w, 3)
  np.testing.assert_allclose(abs(vectors), np.eye(3)[[1, 2, 0]], atol=0.03)  # 5000 draws
  np.testing.assert_allclose(shares, np.array([9, 1, 0.25]) / 10.25, rtol=0.05)
  np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-12)


@pytest.fixture(scope="module")
def mlp():
  """A space of a network with labels, whose first layer alone is linear in z."""
  net = MLPGenerator(SHAPE, hidden=(6, 5), num_classes=3)
  y = jnp.zeros(2, jnp.int32)
  variables = net.init(jax.random.key(0), jnp.zeros((2, DIM)), y, train=False)
  params, carried = split_variables({"generator": variables})

  def generate(params, carried, z, labels):
    return sample_network(net, "generator", params, carried, z, labels)

  made = run(generate, CLASSES)
  made.state = made.state.replace(params=params, carried=carried)
  return LatentSpace(made), params["generator"]["Dense_0"]["kernel"][:DIM].T


def test_the_layer_that_reads_latents_is_found_and_factorised(mlp):
  space, kernel = mlp
  label = np.array([1])
  assert directions.layers(space, space.sampler.latents(2), label) == (
    ("Dense_0",),
    ("Dense_1", "Dense_2"),
  )
  found = directions.directions_of(space, "sefa", 2, labels=label)
  vectors, values = directions.sefa(kernel, 2)
  np.testing.assert_allclose(found.vectors, vectors, atol=1e-5)  # float32 weights
  np.testing.assert_allclose(found.values, values, rtol=1e-5)
  np.testing.assert_allclose(found.spread, 1, atol=0.1)  # 2,000 normal latents
  of_activations = directions.directions_of(space, "pca", 3, labels=label).vectors
  np.testing.assert_allclose(of_activations @ of_activations.T, np.eye(3), atol=1e-9)
  with pytest.raises(ValueError, match="at most 3 directions"):
    directions.directions_of(space, "sefa", 4, labels=label)


def test_directions_that_there_are_not_are_refused():
  z = np.random.default_rng(0).normal(size=(50, 4))
  flat = z @ np.random.default_rng(1).normal(size=(4, 2)) @ np.ones((2, 6))
  with pytest.raises(ValueError, match="num is 2: expected at most 1, as activations vary"):
    directions.principal(z, flat, 2)
  net = MLPGenerator(SHAPE, hidden=())
  variables = net.init(jax.random.key(0), jnp.zeros((2, DIM)), train=False)
  params, carried = split_variables({"generator": variables})
  generate = lambda p, c, z, y: sample_network(net, "generator", p, c, z, y)
  made = run(generate)
  made.state = made.state.replace(params=params, carried=carried)
  with pytest.raises(ValueError, match="every layer .* is linear in z.*--method=sefa"):
    directions.directions_of(LatentSpace(made), "pca", 1)


def test_the_sampler_that_is_named_draws():
  made = run(linear)
  other = made.game.samplers["only"]._replace(generate=lambda p, c, z, y: -linear(p, c, z, y))
  made.game = made.game._replace(samplers={**made.game.samplers, "other": other})
  of = lambda **how: LatentSpace(made, **how).sampler.generate(made.state, np.ones((1, DIM), "f"))
  assert (of(sampler="other") < of()).any() and (of(sampler="only") == of()).all()


def test_path_length_of_a_linear_generator_is_the_length_of_its_slope():
  space = LatentSpace(run(linear))
  with pytest.raises(ValueError, match="--method=pca"):  # it has no layers at all
    directions.directions_of(space, "sefa", 1)
  found = directions.Directions(np.eye(DIM)[:2], np.ones(2), np.array([1.0, 2.0]))
  lengths = directions.path_lengths(space, found, 1.5, features=pixels())
  wanted = (MATRIX[:, :2] ** 2).sum(axis=0) / 4 * found.spread**2  # [-1, 1] is [0, 1] of pixels
  np.testing.assert_allclose(lengths, wanted, rtol=0.02)  # a step of 1e-3 in float32
  latents = space.of_prior([4])
  moved = directions.along(space, found, latents, 2.0, 5)
  assert moved.shape == (2, 1, 5, DIM)
  np.testing.assert_array_equal(moved[:, 0, 2], latents.repeat(2, axis=0))
  np.testing.assert_allclose(moved[1, 0, 4] - latents[0], [0, 4, 0], atol=1e-6)


def test_pictures_along_a_direction_are_of_the_moved_latents():
  space = LatentSpace(run(linear, CLASSES))
  found = directions.Directions(np.eye(DIM)[:2], np.ones(2), np.array([1.0, 2.0]))
  label = np.array([2])
  images = directions.pictures_along(space, found, [3, 5], 2.0, 3, label)
  assert images.shape == (2, 2, 3, *SHAPE)
  z = space.of_prior([3, 5])
  draw = lambda z: space.shown(space.examples(z, np.repeat(label, 2), np.array([3, 5])))
  for i in range(2):
    np.testing.assert_array_equal(images[i, :, 1], draw(z))
    np.testing.assert_array_equal(images[i, :, 2], draw(z + 2 * (1 + i) * np.eye(DIM)[i]))


def test_a_page_of_sliders_holds_the_pictures_and_shows_the_unmoved_ones():
  images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4, 4, 1)).astype(np.uint8)
  text = sliders.page(images, 2.0, ["<1>", "2"], "Directions", "about")
  sources = re.findall(r'src="data:image/png;base64,([^"]*)" alt="([^"]*)"', text)
  assert [alt for _, alt in sources[:5]] == [
    f"Direction 0, {step} standard deviations" for step in ("-2", "-1", "0", "+1", "+2")
  ]
  for (source, _), moved in zip(
    sources, images.swapaxes(1, 2).reshape(-1, 3, 4, 4, 1), strict=True
  ):
    with Image.open(io.BytesIO(base64.b64decode(source))) as picture:
      np.testing.assert_array_equal(np.asarray(picture), grid(moved)[..., 0])
  frames = re.findall(r'class="frame"( data-off)?', text)
  assert frames == [" data-off", " data-off", "", " data-off", " data-off"] * 2
  assert "&lt;1&gt;" in text and text.count('type="range" min="0" max="4" value="2"') == 2
  sliders.check(8, 4, (256, 256, 3))
  with pytest.raises(ValueError, match="give fewer by --num or --seeds"):
    sliders.check(8, 8, (256, 256, 3))


def test_the_command_writes_a_page_of_sliders(tmp_path, monkeypatch, mlp):
  from absl.testing import flagsaver

  from gan_jax.run.cli import latents as command

  monkeypatch.setattr(command, "_space", lambda folders: mlp[0])
  command.FLAGS.mark_as_parsed()
  out = tmp_path / "page.html"
  with flagsaver.flagsaver(out=str(out), num=2, seeds=["0-1"], method="sefa"):
    command.directions("a_run")
  text = out.read_text(encoding="utf-8")
  assert text.count("data:image/png") == 2 * sliders.STEPS and text.count("<input") == 2
  assert "SeFa of z after 0 rounds. Each slider moves 2 examples" in text


def test_styles_are_moved_in_all_their_rows():
  space = LatentSpace(run(staged, **STAGES))
  assert space.name == "w" and space.rows == 2
  found = directions.directions_of(space, "pca", 3)
  np.testing.assert_allclose(found.spread, 2, atol=0.15)  # w is 2 z
  moved = directions.along(space, found, space.of_z(space.of_prior([1, 2])), 1.0, 3)
  assert moved.shape == (3, 2, 3, 2, DIM)
  np.testing.assert_array_equal(moved[:, :, :, 0], moved[:, :, :, 1])


def test_stylegan2_is_its_stages_and_its_affine_layers_are_linear_in_w():
  size = {"channel_base": 16, "channel_max": 4}
  net = StyleGAN2Generator((8, 8, 1), w_dim=DIM, mapping_layers=2, noise="const", **size)
  game = two_player(
    net,
    MLPDiscriminator(hidden=(4,)),
    loss=losses.non_saturating,
    optimizers=dict.fromkeys(("generator", "discriminator"), optax.sgd(1.0)),
    latent=normal(DIM),
  )
  variables = net.init(jax.random.key(0), jnp.zeros((1, DIM)), train=False)
  params, carried = split_variables({"generator": variables})
  made = run(linear)
  made.game = game
  made.state = made.state.replace(params=params, carried=carried)
  made.example = Example((8, 8, 1), None, (-1.0, 1.0))
  space = LatentSpace(made)
  z = space.of_prior([0, 1])
  whole = space.sampler.generate(made.state, z)
  np.testing.assert_array_equal(space.examples(space.of_z(z), None, [0, 1]), whole)
  linear_layers, others = directions.layers(space, space.of_z(z)[:, 0], None)
  # Two convolutions of 8 x 8 and one of 4 x 4, and an image of each.
  assert len(linear_layers) == 5 and all(path.endswith("affine") for path in linear_layers)
  assert not any("affine" in path for path in others)


# --- projections ----------------------------------------------------------------------------------


def test_psnr_by_hand():
  x = np.array([[0.0, 0.0], [255.0, 255.0], [10.0, 10.0]])
  found = project.psnr(x, np.array([[0.0, 0.0], [0.0, 0.0], [10.0, 35.5]]))
  np.testing.assert_allclose(found, [np.inf, 0.0, -10 * np.log10(0.005)])


def test_adam_finds_a_minimum_and_keeps_within_bounds():
  goal = np.array([[0.3, -2.0], [1.5, 0.1]], np.float32)
  losses = lambda z, goal: jnp.sum((z - goal) ** 2, axis=1)
  zero = np.zeros_like(goal)
  for bound, wanted in ((None, goal), (1.0, goal.clip(-1, 1))):
    traced = []
    seen = lambda z, goal, traced=traced: traced.append(z) or losses(z, goal)
    found, least = project.minimiser(seen, steps=200, rate=0.1, bound=bound)(zero, goal)
    assert len(traced) == 1  # all steps are of one program
    np.testing.assert_allclose(found, wanted, atol=1e-3)  # the rate has fallen to 0
    np.testing.assert_allclose(least, losses(found, goal), atol=1e-9)


@pytest.mark.parametrize(
  ("name", "made", "features"),
  [
    ("z", run(linear), None),
    ("z", run(linear, CLASSES), None),
    ("w", run(staged, **STAGES), pixels()),
    ("w+", run(staged, **STAGES), None),
  ],
  ids=["z", "classes", "w", "w+"],
)
def test_a_linear_generators_latents_are_found_again(name, made, features):
  space = LatentSpace(made, name)
  labels = space.labels(2)
  wanted = space.of_z(space.of_prior([8, 9]), labels)
  x = space.examples(wanted, labels, [0, 1])
  found = project.project(space, x, features=features, starts=2, steps=150)
  # Rounded to 256 levels, of which a half is 0.002 of ±1, divided by the least slope.
  half = 1 / 255 / np.linalg.svd(MATRIX)[1].min() * 4
  np.testing.assert_allclose(found.latents, wanted, atol=half)
  assert found.psnr.min() > 50 and found.images.dtype == np.uint8
  assert (found.labels is None) == (labels is None)
  if labels is not None:
    assert found.labels.tolist() == labels.tolist()  # by the start that ends best
    given = project.project(space, x, labels=np.array([2, 2]), starts=2, steps=2)
    assert given.labels.tolist() == [2, 2]


def test_images_come_in_the_shape_of_the_runs(tmp_path):
  made = run(linear)
  Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "one.png")
  x, y, changed = project.load_targets(made, str(tmp_path / "one.png"))
  assert x.shape == (1, *SHAPE) and x.dtype == np.uint8 and y is None
  assert "one.png: of 8 x 8 pixels; resized to 4 x 4, which" in changed
  several = np.zeros((5, *SHAPE), np.uint8)
  np.savez(tmp_path / "some.npz", x=several, y=[0, 1, 2, 0, 1])
  x, y, changed = project.load_targets(run(linear, CLASSES), str(tmp_path / "some.npz"), n=9)
  assert y.tolist() == [0, 1, 2, 0, 1] and not changed
  np.savez(tmp_path / "wide.npz", x=np.zeros((2, 8, 9, 1), np.uint8))
  wide = project.load_targets(made, str(tmp_path / "wide.npz"))
  assert wide.x.shape == (2, *SHAPE)
  assert "wide.npz: of 9 x 8 pixels; cropped to the middle, and resized" in wide.changed
  Image.new("L", (5, 4)).save(tmp_path / "two.png")
  assert ": of several sizes; " in project.load_targets(made, f"{tmp_path}/").changed
  assert len(project.load_targets(made, str(tmp_path / "some.npz"), n=2)[0]) == 2
  np.savez(tmp_path / "floats.npz", x=np.linspace(0, 1, 48, dtype=np.float32).reshape(3, *SHAPE))
  with pytest.raises(ValueError, match="the generator makes uint8"):
    project.load_targets(made, f"{tmp_path}/floats.npz")
  with pytest.raises(FileNotFoundError, match="there is no file"):
    project.load_targets(made, f"{tmp_path}/none.png")


def test_spaces_that_there_are_not():
  for name in ("w", "w+"):
    with pytest.raises(ValueError, match="has no styles"):
      LatentSpace(run(linear), name)
  with pytest.raises(ValueError, match="makes points"):
    LatentSpace(run(linear, Example((2,), None, None)))
  with pytest.raises(ValueError, match="--space=w"):
    LatentSpace(run(staged, **STAGES), "z").of_z(np.zeros((1, DIM), np.float32), None, 0.5)
  config = default_config()
  assert prior_bound(run(linear)) is None
  config.latent.name, config.latent.scale = "uniform", 0.5
  assert prior_bound(run(linear, config=config)) == 0.5


# --- walks ----------------------------------------------------------------------------------------


def test_a_loop_keeps_norms_passes_its_stops_and_closes():
  stops = np.random.default_rng(0).normal(size=(3, 2, 50))
  stops /= np.linalg.norm(stops, axis=2, keepdims=True)
  found = walk.loop(stops, 8, slerp)
  assert found.shape == (24, 2, 50)
  np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, rtol=1e-6)  # float32
  np.testing.assert_allclose(found[::8], stops, atol=1e-7)
  steps = np.linalg.norm(np.roll(found, -1, axis=0) - found, axis=2).reshape(3, 8, 2)
  np.testing.assert_allclose(steps, steps[:, :1].repeat(8, axis=1), rtol=1e-4)  # the last as well
  straight = walk.loop(stops[:2], 2, lerp)
  np.testing.assert_allclose(straight[1], stops[:2].mean(axis=0), atol=1e-7)
  np.testing.assert_array_equal(straight[1], straight[3])  # there and back


def test_walks_through_truncations_come_back():
  for space, scale in ((LatentSpace(run(staged, **STAGES)), 2), (LatentSpace(run(linear)), None)):
    z = space.of_prior([0, 1])
    frames = list(walk.of_truncation(space, z, None, 2, [1.0, 0.5, 0.1]))
    bounds = [1.0, 0.75, 0.5, 0.3, 0.1, 0.3, 0.5, 0.75]
    assert len(frames) == len(bounds)
    for bound, (latents, _) in zip(bounds, frames, strict=True):
      wanted = truncate_normal(z, bound) if scale is None else (scale * bound * z)[:, None]
      np.testing.assert_allclose(latents, np.broadcast_to(wanted, latents.shape), rtol=1e-5)


def test_walks_from_class_to_class_keep_their_latents():
  space = LatentSpace(run(linear, CLASSES))
  z = space.of_prior([3])
  frames = list(walk.of_labels(space, z, np.array([2, 0]), 2))
  shares = [labels.shares[0].tolist() for _, labels in frames]
  assert shares == [[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0], [0.5, 0, 0.5]]
  assert all((latents == z).all() for latents, _ in frames)
  pictures = list(walk.film(space, iter(frames)))
  assert pictures[0].shape == (256, 256, 1)  # enlarged
  at_stop = space.examples(z, np.array([2]), [0])[0]
  np.testing.assert_array_equal(pictures[0][::64, ::64], at_stop)
  np.testing.assert_array_equal(pictures[1], pictures[3])


def test_walks_from_class_to_class_may_be_truncated():
  for space, wanted in (
    (LatentSpace(run(linear, CLASSES)), None),
    (LatentSpace(run(staged, CLASSES, **STAGES)), 3.0),
  ):
    z = np.full((1, DIM), 3.0, np.float32)
    for latents, _ in walk.of_labels(space, z, np.array([2, 0]), 2, 0.5):
      expected = truncate_normal(z, 0.5) if wanted is None else np.full_like(latents, wanted)
      np.testing.assert_allclose(latents, expected, rtol=1e-6)  # of float32


def test_shares_of_one_class_are_that_class():
  y = jnp.array([2, 0])
  shares = ClassShares(jax.nn.one_hot(y, 3))
  for see in (labels_for, conditions):
    np.testing.assert_array_equal(see(3, shares), see(3, y))


def test_a_film_is_a_gif_that_goes_on_for_ever(tmp_path):
  frames = [np.full((6, 4, 1), 17 * i, np.uint8) for i in range(5)]
  save_film(tmp_path / "film.gif", frames, fps=10)
  with Image.open(tmp_path / "film.gif") as gif:
    assert (gif.n_frames, gif.info["loop"], gif.info["duration"]) == (5, 0, 100)
    for i, frame in enumerate(frames):
      gif.seek(i)
      np.testing.assert_array_equal(np.asarray(gif.convert("L")), frame[..., 0])
  colours = [np.full((4, 4, 3), (250 * i, 0, 9), np.uint8) for i in range(2)]
  assert film(colours).gif[:4] == b"GIF8"


def test_a_film_is_an_mp4_where_ffmpeg_is(tmp_path, monkeypatch):
  with pytest.raises(ValueError, match=r"expected a name in .gif or .mp4"):
    save_film(tmp_path / "film.avi", [])
  monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
  with pytest.raises(ImportError, match=r"pip install imageio-ffmpeg, or write a .gif"):
    save_film(tmp_path / "film.mp4", [])
  sent = []

  def write_frames(path, size, *, fps, macro_block_size, output_params):
    sent.extend([size, fps, macro_block_size, output_params])
    try:
      while True:
        sent.append((yield))
    finally:
      pathlib.Path(path).write_bytes(b"film")

  stand_in = types.ModuleType("imageio_ffmpeg")
  stand_in.write_frames, stand_in.get_ffmpeg_exe = write_frames, lambda: "ffmpeg"
  monkeypatch.setitem(sys.modules, "imageio_ffmpeg", stand_in)
  save_film(tmp_path / "film.mp4", [np.full((5, 4, 1), i, np.uint8) for i in (1, 2)], fps=12)
  assert sent[:4] == [(4, 4), 12, 2, ["-f", "mp4"]]
  assert [x.shape for x in sent[4:]] == [(4, 4, 3)] * 2 and sent[5].max() == 2
  assert (tmp_path / "film.mp4").read_bytes() == b"film"


# --- pages ----------------------------------------------------------------------------------------


def test_a_sheet_has_its_images_where_they_belong():
  images = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1) * np.ones((2, 3, 8, 8, 1), np.uint8)
  bare = sheet(images)
  assert bare.shape == (3 + 2 * 51, 3 + 3 * 51, 1)  # enlarged to 48, with 3 between
  np.testing.assert_array_equal(bare[3::51, 3::51, 0], [[0, 1, 2], [3, 4, 5]])
  named = sheet(images, ["a", "b"], ["1", "2", "3"])
  assert named.shape[0] == 14 + 2 * 51 and named.shape[1] > bare.shape[1]
  np.testing.assert_array_equal(named[14:, -3 * 51 :], bare[3:, 3:])
  assert (named[:14] < 128).any() and (named[:, : -3 * 51] < 128).any()  # their names
  assert strips(images, (), list("abc"), 2).shape == (2 * (14 + 2 * 51), 3 + 2 * 51, 1)


def tiles(page, rows, columns):
  """The first pixel column of each image of a page, [rows, columns, 4]."""
  cells = page[-51 * rows :, -51 * columns :].reshape(rows, 51, columns, 51)
  return cells[:, 6:48:12, :, 6].swapaxes(1, 2)


def test_a_page_of_seeds_shows_what_each_draws():
  space = LatentSpace(run(linear))
  x = space.examples(space.of_prior([5, 2, 5]), None, [5, 2, 5])
  np.testing.assert_array_equal(tiles(pages.seeds(space, [5, 2, 5]), 1, 3)[0], x[:, :, 0, 0])
  np.testing.assert_array_equal(x[1], space.sampler(space.run.state, 3, seed=2)[0])
  by_bound = tiles(pages.seeds(space, [5, 2], None, [9.0, 0.01]), 2, 2)
  assert (abs(by_bound[1].astype(int) - 128) <= 2).all()  # 0.01 of 1 is 1.3 of 127.5
  # A bound of 9 leaves float32 latents as they are, to half a level.
  np.testing.assert_allclose(by_bound[0], x[:2, :, 0, 0].astype(int), atol=1)


def test_mixed_styles_are_the_rows_but_for_the_layers_of_the_column():
  space = LatentSpace(run(staged, **STAGES), "w")
  table = tiles(pages.mixing(space, [0, 1], [2, 3, 4], [0]), 3, 4)
  x = space.examples(space.of_z(space.of_prior(range(5))), None, np.zeros(5, int))[:, :, 0, 0]
  np.testing.assert_array_equal(table[0, 1:], x[2:])
  np.testing.assert_array_equal(table[1:, 0], x[:2])
  np.testing.assert_array_equal(table[1:, 1:, :2], x[2:, :2][None].repeat(2, axis=0))
  np.testing.assert_array_equal(table[1:, 1:, 2:], x[:2, 2:][:, None].repeat(3, axis=1))
  with pytest.raises(ValueError, match="expected some from 0 to 1"):
    pages.mixing(space, [0], [1], [2])
