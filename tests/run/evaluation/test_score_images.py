"""Images that were made by anything are scored by the same suite."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import NoSplitError, load
from gan_jax.metrics import frechet_distance, moments
from gan_jax.run.config.sections.evaluation import evaluation_spec
from gan_jax.run.evaluation.cards.card import format_card
from gan_jax.run.evaluation.cards.comparing import compare, differences
from gan_jax.run.evaluation.cards.files import read_card, write_card
from gan_jax.run.evaluation.score_images import (
  _take,
  data_name,
  save_statistics,
  score_images,
)

PIXELS = evaluation_spec("pixels", ("frechet",), "train")


def images(n: int, seed: int, shift: int = 0) -> np.ndarray:
  drawn = np.random.default_rng(seed).integers(0, 200, size=(n, 4, 4, 3)) + shift
  return drawn.astype(np.uint8)


@pytest.fixture
def files(tmp_path):
  np.savez(tmp_path / "real.npz", x=images(90, 0), x_test=images(80, 1))
  np.savez(tmp_path / "a.npz", x=images(70, 2, 9))
  folder = tmp_path / "b"
  folder.mkdir()
  for i, image in enumerate(images(60, 3, 9)):
    Image.fromarray(image).save(folder / f"{i:03}.png")
  return tmp_path


def direct(real: np.ndarray, fake: np.ndarray) -> float:
  flat = lambda x: moments(x.reshape(len(x), -1).astype(np.float32) / 255)
  return frechet_distance(flat(real), flat(fake))


def test_the_number_is_that_of_the_metric_on_these_arrays(files):
  card = score_images(str(files / "real.npz"), [str(files / "a.npz")], PIXELS)
  expected = direct(images(90, 0), images(70, 2, 9))
  assert card.scores["frechet_distance"] == pytest.approx([expected], rel=1e-5)
  card = score_images(str(files / "real.npz"), [str(files / "b")], PIXELS)  # a folder of files
  expected = direct(images(90, 0), images(60, 3, 9))
  assert card.scores["frechet_distance"] == pytest.approx([expected], rel=1e-5)
  for split in ("auto", "test"):
    test = evaluation_spec("pixels", ("frechet",), split)
    card = score_images(str(files / "real.npz"), [str(files / "a.npz")], test)
    assert card.protocol["real"]["split"] == "test"
  expected = direct(images(80, 1), images(70, 2, 9))
  assert card.scores["frechet_distance"] == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("split", ["train", "test"])
def test_statistics_that_were_saved_stand_in_the_place_of_their_images(files, split):
  """The same features and moments: what differs is the rounding of a symmetric half sum."""
  spec = evaluation_spec("pixels", ("frechet",), split)
  real, fake, path = str(files / "real.npz"), str(files / "a.npz"), files / "statistics.npz"
  count = save_statistics(path, real, spec)
  assert count == {"train": 90, "test": 80}[split]
  expected = score_images(real, [fake], spec).scores["frechet_distance"]
  for name in (str(path), f"stats:{path}"):
    card = score_images(name, [fake], spec)
    assert card.scores["frechet_distance"] == pytest.approx(expected, rel=1e-12)
    assert card.protocol["real"]["count"] == count and "notes" not in card.run
  with np.load(path) as arrays:  # as pytorch-fid and clean-fid read them
    assert arrays["mu"].dtype == arrays["sigma"].dtype == np.float64 and arrays["n"] == count
    x = load(f"npz:{real}", split).arrays["x"].reshape(count, -1).astype(np.float32) / 255
    np.testing.assert_allclose(arrays["sigma"], np.cov(x, rowvar=False), atol=1e-7)
  with pytest.raises(ValueError, match="has no statistics: expected an .npz file with mu"):
    score_images(f"stats:{real}", [fake], spec)
  with pytest.raises(ValueError, match="there is no file .*nowhere.npz"):
    score_images(f"stats:{files / 'nowhere.npz'}", [fake], spec)
  for name in ("stats:", f"stats:{files}"):
    with pytest.raises(ValueError, match=f"'{name}' names no file .*: expected stats:FILE.npz"):
      score_images(name, [fake], spec)
  with pytest.raises(ValueError, match="--save_stats.*not of one data set, as a classifier"):
    save_statistics(path, real, evaluation_spec("classifier", ("frechet",), split))
  with pytest.raises(ValueError, match="'spatial_frechet' needs spatial features"):
    save_statistics(path, real, evaluation_spec("pixels", ("frechet", "sfid"), split))


def test_statistics_say_which_network_saw_which_images_and_others_are_refused(files, capsys):
  """Both sizes have 48 numbers, so that the width of the features tells nothing."""
  real, fake = str(files / "real.npz"), str(files / "a.npz")
  np.savez(files / "flat.npz", x=images(70, 2, 9).reshape(70, 2, 8, 3))
  of_pixels, of_projections, of_flat = (str(files / f"of_{i}.npz") for i in range(3))
  projection = evaluation_spec("random_projection", ("frechet",), "train")
  save_statistics(of_pixels, real, PIXELS)
  save_statistics(of_projections, real, projection)
  save_statistics(of_flat, str(files / "flat.npz"), PIXELS)
  others = "backbone.name: pixels there, random projection here\n.*backbone.sha256: None there, "
  size = r"images: \[4, 4, 3\] there, \[2, 8, 3\] here\n.*--image_size; or .*--save_stats"
  for one, other, spec, why in (
    (of_pixels, fake, projection, others),
    (of_pixels, of_projections, PIXELS, others),
    (of_pixels, str(files / "flat.npz"), PIXELS, size),
    (of_pixels, of_flat, PIXELS, size),
  ):
    with pytest.raises(ValueError, match=f"(?s)are others:.*{why}"):
      score_images(one, [other], spec)
  assert not capsys.readouterr().err
  card = score_images(of_pixels, [of_pixels], PIXELS)
  assert card.protocol["backbone"]["name"] == "pixels" and "notes" not in card.run
  unsaid = statistics(files / "theirs.npz", images(90, 0))
  card = score_images(of_pixels, [unsaid], PIXELS)
  assert card.protocol["backbone"] is None and "theirs.npz, and at which" in card.run["notes"][0]


def test_arrays_of_any_type_are_compared_in_the_range_of_the_real_ones(tmp_path):
  real, fake = (
    np.random.default_rng(i).integers(100, 4000, (60, 4, 5, 2), np.uint16) for i in (1, 2)
  )
  np.save(tmp_path / "real.npy", real)
  np.savez(tmp_path / "fake.npz", x=fake)
  names = str(tmp_path / "real.npy"), [str(tmp_path / "fake.npz")]
  card = score_images(*names, PIXELS, axes="NHWC")
  levels = lambda x: (x.astype(np.float64) - real.min()) * 255 / (real.max() - real.min())
  expected = direct(levels(real), levels(fake))
  assert card.scores["frechet_distance"] == pytest.approx([expected], rel=1e-4)
  assert card.protocol["quantised"] == "uint16"
  with pytest.raises(ValueError, match="axes=NHWC or NCHW"):
    score_images(*names, PIXELS)
  with pytest.raises(ValueError, match="axes is for arrays, npy, npz, hdf5"):
    score_images(f"folder:{tmp_path}", [f"folder:{tmp_path}"], PIXELS, axes="NHWC")


def test_several_sets_are_draws(files):
  card = score_images(str(files / "real.npz"), [str(files / "a.npz"), str(files / "b")], PIXELS)
  assert len(card.scores["frechet_distance"]) == 2 and card.protocol["fake"]["count"] == 60
  assert (
    "60 fakes x 2" in format_card(card)
    and "±" in format_card(card)
    and "made elsewhere" in format_card(card)
  )
  write_card(files / "card.json", card)
  assert read_card(files / "card.json") == card
  few = score_images(str(files / "real.npz"), [str(files / "a.npz")], PIXELS, count=20)
  assert list(differences(card, few)) == ["fake.count"]
  assert "frechet_distance" in compare([card], [card], names=("a", "b"))


@pytest.mark.parametrize(("shape", "axes"), [((2,), ""), ((6, 2), "NTC"), ((4, 3, 2), "NDHW")])
def test_points_series_and_volumes_are_scored_alike(tmp_path, shape, axes):
  rng, spec = np.random.default_rng(0), evaluation_spec("auto", ("frechet", "prdc"), "train")
  for name, mean in (("real", 0), ("near", 0), ("far", 3)):
    x = rng.normal(size=(50, *shape)) + mean
    np.save(tmp_path / f"{name}.npy", x.clip(-3, 6).astype(np.float32))
  score = lambda name: score_images(
    f"npy:{tmp_path}/real.npy", [f"npy:{tmp_path}/{name}.npy"], spec, axes=axes
  )
  near, far = (score(name) for name in ("near", "far"))
  assert near.mean("frechet_distance") < far.mean("frechet_distance")
  assert near.mean("recall") > far.mean("recall")


def test_what_cannot_be_scored_is_refused(files):
  np.savez(files / "large.npz", x=np.zeros((5, 8, 8, 3), np.uint8))
  np.savez(files / "points.npz", x=np.zeros((5, 2), np.float32))
  np.savez(files / "floats.npz", x=np.linspace(-1, 1, 48 * 5).reshape(5, 4, 4, 3).astype("float32"))
  real = str(files / "real.npz")
  for fake, error, why in (
    (files / "nowhere.npz", FileNotFoundError, "there is no file"),
    (
      files / "large.npz",
      ValueError,
      r"images \[8, 8, 3\], and npz.* \[4, 4, 3\]: make them alike",
    ),
    (files / "points.npz", ValueError, r"has points \[2\], and npz.* images \[4, 4, 3\]"),
    (files / "floats.npz", ValueError, "has images of float32, and npz.* of uint8: store both"),
  ):
    with pytest.raises(error, match=why):
      score_images(real, [str(fake)], PIXELS)
  card = score_images(real, [str(files / "large.npz")], PIXELS, image_size=4)
  assert card.protocol["options"] == {"image_size": 4}
  with pytest.raises(ValueError, match="has 70 examples, and 99 were asked.*num_fake=70"):
    score_images(real, [str(files / "a.npz")], PIXELS, count=99)
  with pytest.raises(NoSplitError, match="has no test split"):
    spec = evaluation_spec("pixels", ("frechet",), "test")
    score_images(str(files / "a.npz"), [str(files / "b")], spec)
  with pytest.raises(ValueError, match="no labels to train a classifier"):
    spec = evaluation_spec("classifier", ("frechet",), "train")
    score_images(real, [str(files / "a.npz")], spec)
  with pytest.raises(ValueError, match="'path_length' is of a generator"):
    spec = evaluation_spec("pixels", ("path_length",), "train")
    score_images(real, [str(files / "a.npz")], spec)


def test_fakes_without_labels_cost_the_scores_that_need_them(files, capsys):
  np.savez(files / "labelled.npz", x=images(40, 0), y=np.arange(40) % 2)
  spec = evaluation_spec("pixels", ("frechet", "class_frechet"), "train")
  card = score_images(str(files / "labelled.npz"), [str(files / "a.npz")], spec)
  assert np.isfinite(card.scores["frechet_distance"]).all()
  assert np.isnan(card.scores["class_frechet_distance"]).all()
  assert (
    "no class_frechet_distance: the generated examples have no labels" in capsys.readouterr().err
  )


def test_bare_paths_are_folders_and_files(files, monkeypatch):
  monkeypatch.chdir(files)
  assert data_name("a.npz") == "npz:a.npz" and data_name("b") == "folder:b"
  assert data_name("x/y") == "folder:x/y" and data_name("mnist10k") == "mnist10k"
  assert data_name("x/a.zip") == "zip:x/a.zip"
  assert data_name("tfds:cifar10") == "tfds:cifar10"


def statistics(path, images: np.ndarray, **more: np.ndarray) -> str:
  """Writes statistics of pixels, as pytorch-fid would."""
  flat = images.reshape(len(images), -1).astype(np.float32) / 255
  np.savez(path, mu=flat.mean(axis=0), sigma=np.cov(flat, rowvar=False), **more)
  return str(path)


def test_statistics_stand_in_the_place_of_images(files):
  real, a = str(files / "real.npz"), str(files / "a.npz")
  expected = score_images(real, [a], PIXELS).scores["frechet_distance"]
  of_real = statistics(files / "mu_sigma.npz", images(90, 0), n=np.array(90))
  of_fake = statistics(files / "fake.npz", images(70, 2, 9))
  for one, other, counts in (
    (of_real, a, (90, 70)),
    (real, of_fake, (90, "n unknown")),
    (of_real, of_fake, (90, "n unknown")),
  ):
    card = score_images(one, [other], PIXELS)
    assert card.scores["frechet_distance"] == pytest.approx(expected, rel=1e-4)  # a float32 mean
    assert (card.protocol["real"]["count"], card.protocol["fake"]["count"]) == counts
    assert "which network looked at" in card.run["notes"][0]
  assert "n unknown fakes x 1" in format_card(card) and card.protocol["backbone"] is None
  write_card(files / "card.json", card)
  assert read_card(files / "card.json") == card


def test_statistics_that_do_not_fit_are_refused(files):
  a, few = str(files / "a.npz"), statistics(files / "few.npz", images(9, 0)[..., :1])
  for spec, fakes, why in (
    (PIXELS, [a], "few.npz has features of width 16, and .*a.npz of width 48"),
    (
      evaluation_spec("pixels", ("frechet", "prdc"), "train"),
      [a],
      "'prdc' needs images, and .*few",
    ),
    (
      evaluation_spec("pixels", ("spatial_frechet",), "train"),
      [a],
      "'spatial_frechet' needs spatial.*=inception",
    ),
    (evaluation_spec("classifier", ("frechet",), "train"), [a], "such as --features=inception"),
    (PIXELS, [a, few], "--fake has statistics and images"),
  ):
    with pytest.raises(ValueError, match=why):
      score_images(few, fakes, spec)
  both = statistics(files / "both.npz", images(20, 0), x=images(20, 0))
  alone = evaluation_spec("pixels", ("prdc",), "train")
  assert score_images(both, [a], alone).protocol["real"]["count"] == 20  # of the images beside them
  (files / "stats.pkl").write_bytes(b"")
  with pytest.raises(ValueError, match=r"stats.pkl is a pickle.*np.savez"):
    score_images(str(files / "stats.pkl"), [a], PIXELS)


@pytest.mark.parametrize(
  ("shape", "what"), [((4, 4, 3), "images of float32"), ((48,), "points of float32")]
)
def test_statistics_are_of_images_whose_range_is_known(files, shape, what):
  """Those of floats would be in units of their own: of any range in the place of 255."""
  floats, real = str(files / "floats.npz"), statistics(files / "stats.npz", images(90, 0))
  np.savez(floats, x=np.linspace(-1, 1, 48 * 90, dtype=np.float32).reshape(90, *shape))
  with pytest.raises(ValueError, match=f"--save_stats=.*floats.npz has {what}.*images of uint8"):
    save_statistics(files / "new.npz", floats, PIXELS)
  assert not (files / "new.npz").exists()
  with pytest.raises(ValueError, match=f"floats.npz has {what}.*images of uint8"):
    score_images(real, [floats], PIXELS)


def test_labels_are_those_of_classes_of_the_same_name(tmp_path, caplog):
  """Fakes of classes 7 and 2 alone, where the real images are also of 5."""
  np.savez(tmp_path / "real.npz", x=images(90, 0), y=np.array([5, 2, 7] * 30))
  np.savez(tmp_path / "fake.npz", images(6, 2), np.array([7, 2, 2, 7, 7, 2]))
  real, fake = (load(f"npz:{tmp_path}/{name}.npz") for name in ("real", "fake"))
  assert _take(fake, 6, real.classes)["y"].tolist() == [2, 0, 0, 2, 2, 0]
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert "y" not in _take(real, 90, fake.classes)
  assert "scored without its labels: 5 of it is no class of the real" in caplog.text
