"""Evaluators: perfect, collapsed and foreign samplers on each kind of data, and the score card."""

import functools
import json
import math
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import MIXTURES, Source, load, table, take
from gan_jax.data.sources.endless import stack
from gan_jax.metrics import frechet_distance, moments
from gan_jax.metrics.features import classifier, extractor
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.run.config.sections.evaluation import evaluation_spec
from gan_jax.run.evaluation.evaluators import build, features, suite
from gan_jax.run.evaluation.evaluators.accuracy import accuracy_of
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator, Walk
from gan_jax.run.evaluation.evaluators.features import FEATURES, ExtractorFactory, name_of
from gan_jax.run.evaluation.evaluators.suite import METRICS
from gan_jax.run.evaluation.evaluators.suited import EvaluationSpec, extractor_for, suited

CLASSES = 10


def stripes(n: int, seed: int, name: str = "stripes", labelled: bool = True) -> Source:
  """Noisy 8 x 30 gray images: the class is the place of a bright stripe 3 pixels wide."""
  rng = np.random.default_rng(seed)
  y = rng.integers(CLASSES, size=n).astype(np.int32)
  stripe = 150 * np.repeat(np.eye(CLASSES, dtype=int), 3, axis=1)[y]  # [n, 30]
  x = rng.integers(0, 100, size=(n, 8, 30, 1)) + stripe[:, None, :, None]
  return table(name, x.astype(np.uint8), y if labelled else None, range(CLASSES))


def bright(images):
  """Sees every stripe: features and logits are where it is bright."""
  found = images.astype(jnp.float32).reshape(-1, 8, CLASSES, 3).mean(axis=(1, 3))
  return {"features": found, "logits": found}


class Judge(NamedTuple):
  """Stands in for the classifier."""

  shape: tuple[int, ...] = (8, 30, 1)

  @property
  def extractor(self) -> Extractor:
    return Extractor({"name": "stripes", "version": 1, "sha256": "0"}, bright)

  def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert images.dtype == np.uint8 and images.shape[1:] == self.shape
    found = np.asarray(bright(images)["features"])
    return found, found


def named(source: Source) -> Source:
  """The same with names of classes."""
  return source._replace(class_names=tuple(f"stripe {i}" for i in range(CLASSES)))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
  monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
  for module in (build, features):
    monkeypatch.setattr(module, "classifier_for", lambda *_, **__: Judge())


def sampler(source: Source):
  """Samples like a source that was learned by heart."""
  return lambda n, seed: take(source, n, seed)


def own(drawn):
  """Samples what was drawn before."""
  return lambda n, seed: drawn


def images_of(y: np.ndarray) -> np.ndarray:
  """Makes one image of each class asked for."""
  found = stripes(1000, 9).arrays
  return found["x"][[int(np.argmax(found["y"] == label)) for label in y]]


# --- mixtures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "modes"), [("ring8", 8), ("grid25", 25)])
def test_mixtures(name: str, modes: int):
  source = load(name)
  judge = evaluator_for(source, source, num_fake=2500, seed=3)
  perfect = judge(sampler(source))
  assert perfect["modes"] == modes
  assert perfect["high_quality"] == pytest.approx(0.9889, abs=0.01)
  assert perfect["kl"] < 0.02
  collapsed = judge(lambda n, seed: {"x": np.tile(take(source, 1)["x"], (n, 1))})
  assert collapsed["modes"] == 1 and collapsed["kl"] == pytest.approx(math.log(modes))
  lost = judge(lambda n, seed: {"x": np.full((n, 2), np.nan, np.float32)})
  assert lost == {"modes": 0, "high_quality": 0, "kl": math.inf}
  assert judge.improves(perfect, collapsed) and not judge.improves(collapsed, perfect)
  assert judge.card["fake"] == {"count": 2500, "seed": 3}
  assert judge.card["real"] == {"data": name, "modes": modes, "std": MIXTURES[name].std}


# --- what data lack -------------------------------------------------------------------------------

NO_TEST = "scores are against the training split: there is no test split; hold some out by"
NO_CLASSIFIER = "images are looked at by a random projection of their pixels: "


def arrays(*shape):
  """Returns labelled series or volumes uint8 of a shape."""
  x = np.random.default_rng(0).integers(0, 256, (20, *shape), np.uint8)
  return table("arrays", x, np.arange(20) % 2)


def one_class(n: int, seed: int) -> Source:
  return table("alike", stripes(n, seed).arrays["x"], np.zeros(n, np.int32))


@pytest.mark.parametrize(
  ("train", "test", "features", "metrics", "real", "notes"),
  [
    (stripes(20, 0), stripes(20, 1), "classifier", ("frechet", "classes"), "test", []),
    (stripes(20, 0), None, "classifier", ("frechet", "classes"), "train", [NO_TEST]),
    (
      stripes(20, 0, labelled=False),
      None,
      "random_projection",
      ("frechet",),
      "train",
      [NO_TEST, NO_CLASSIFIER + "there are no labels"],
    ),
    (
      stripes(20, 0),
      stripes(20, 1, labelled=False),
      "random_projection",
      ("frechet",),
      "test",
      [NO_CLASSIFIER + "there are 10 classes, and in the test split None"],
    ),
    (
      one_class(20, 0),
      one_class(20, 1),
      "random_projection",
      ("frechet",),
      "test",
      [NO_CLASSIFIER + "there is but one class"],
    ),
    (
      stripes(20, 0),
      table("small", np.zeros((20, 4, 4, 1), np.uint8), np.zeros(20, np.int32)),
      "classifier",
      ("frechet", "classes"),
      "train",
      ["scores are against the training split: the test split has examples (4, 4, 1), and"],
    ),
    (load("dirac"), None, "points", ("sliced_wasserstein", "frechet"), "train", []),
    *(
      (arrays(*shape), None, features, ("frechet", "sliced_wasserstein"), "train", [NO_TEST])
      for shape, features in (((32, 2), "pixels"), ((9, 8, 8, 1), "random_projection"))
    ),
    (
      table("points", np.zeros((20, 3), np.float32), None),
      None,
      "points",
      ("sliced_wasserstein", "frechet"),
      "train",
      [NO_TEST],
    ),
  ],
)
def test_what_data_lack_is_done_without_and_said(
  judged, train, test, features, metrics, real, notes
):
  how = suited(train, test)
  assert (name_of(how.features), tuple(how.metrics), how.real) == (features, metrics, real)
  assert len(how.notes) == len(notes)
  assert all(found.startswith(note) for found, note in zip(how.notes, notes, strict=True))
  judge = evaluator_for(train, test, num_fake=12)
  found = judge(sampler(train))
  assert judge.headline and all(math.isfinite(value) for value in found.values())
  assert judge.card["real"]["split"] == real and judge.card.get("notes", []) == list(how.notes)


def test_stacked_digits_need_no_test_split(judged):
  judge = evaluator_for(stack("stacked:a", stripes(50, 0)), None, num_fake=100)
  assert judge(sampler(stack("stacked:a", stripes(50, 0))))["modes"] > 50


@pytest.mark.parametrize(
  ("train", "test", "features", "metrics", "real", "why"),
  [
    (stripes(9, 0), None, "auto", ("auto",), "test", "no test split.*hold_out=0.1, or.*real=train"),
    (
      stripes(9, 0, labelled=False),
      None,
      "classifier",
      ("auto",),
      "auto",
      "no labels.*--config.evaluation.features=random_projection",
    ),
    (stripes(9, 0), None, "auto", ("memorisation",), "auto", "held-out.*hold_out=0.1"),
    (load("dirac"), None, "pixels", ("auto",), "auto", "dirac has points.*leave out --features"),
    (load("dirac"), None, "auto", ("ms_ssim",), "auto", "'ms_ssim' is of images, and these are po"),
    (
      arrays(8, 3),
      None,
      "inception",
      ("auto",),
      "auto",
      "has series, .*inception sees imag",
    ),
    (arrays(4, 4, 4, 1), None, "classifier", ("auto",), "auto", "volumes are not for the classif"),
    (arrays(4, 4, 4, 1), None, "pixels", ("ms_ssim",), "auto", "is of images, and these are vol"),
    (load("ring8"), None, "pixels", ("auto",), "auto", "ring8 is scored by its modes"),
    (stripes(9, 0), None, "pixels", ("ms_ssim",), "auto", "at least 11 pixels a side, and .* 8 x"),
    (
      stripes(9, 0),
      None,
      "pixels",
      ("inception_score",),
      "auto",
      "10 generated .*are 8: .*num_fake=10",
    ),
    (stripes(5, 0), None, "pixels", ("prdc",), "auto", "6 real examples, .*are 5: score ag"),
    (stripes(9, 0), stripes(5, 1), "pixels", ("prdc",), "auto", "more, such as .*real=train, or"),
    (
      named(stripes(11, 0)),
      None,
      "pixels",
      ("class_frechet",),
      "auto",
      "at least 2 real images of every class, and of stripe 1 there is 1",
    ),
  ],
)
def test_what_cannot_be_had_is_refused_with_what_to_do(
  judged, train, test, features, metrics, real, why
):
  with pytest.raises(ValueError, match=why):
    evaluator_for(train, test, num_fake=8, spec=evaluation_spec(features, metrics, real))


def test_classes_that_have_names_are_named_in_the_card(judged):
  """With their shares of the training images, so that the rarest can be told."""
  source = named(stripes(40, 0))
  card = evaluator_for(source, stripes(20, 1), num_fake=20).card
  counts = np.bincount(source.arrays["y"], minlength=CLASSES)
  assert card["classes"] == {f"stripe {i}": n / 40 for i, n in enumerate(counts)}
  assert "classes" not in evaluator_for(stripes(40, 0), stripes(20, 1), num_fake=20).card


# --- order, and examples that are alike -----------------------------------------------------------


def test_no_score_depends_on_the_order_of_images(judged, monkeypatch: pytest.MonkeyPatch):
  """Real images and fakes that are sorted by class, and the same shuffled."""
  first = lambda real, fake, classes: float(fake["x"][:40].mean() + real["x"][:40].mean())
  monkeypatch.setattr(suite, "classification_accuracy_score", first)  # it trains for seconds
  tall = [
    table("tall", np.repeat(stripes(150, seed).arrays["x"], 2, axis=1), None) for seed in (0, 1)
  ]
  for train, test, network, metrics in (
    (stripes(300, 0), stripes(300, 1), "classifier", without("spatial_frechet", "ms_ssim")),
    (*tall, "pixels", ("ms_ssim",)),
  ):
    spec, fakes = evaluation_spec(network, metrics, "test"), take(train, 150)
    judge = functools.partial(evaluator_for, train, num_fake=150, spec=spec)
    ranked = by_class(test.arrays)
    ranked = table("sorted", ranked["x"], ranked.get("y"), test.classes or None)
    assert judge(ranked)(own(by_class(fakes))) == judge(test)(own(fakes))  # to the last bit


def by_class(examples):
  """Sorts examples by class, or by brightness."""
  order = np.argsort(examples.get("y", examples["x"].sum(axis=(1, 2, 3))), kind="stable")
  return {name: values[order] for name, values in examples.items()}


def constant(n: int, labelled: bool = True) -> Source:
  y = np.arange(n, dtype=np.int32) % 2
  return table("alike", np.full((n, 16, 16, 1), 7, np.uint8), y if labelled else None)


@pytest.mark.parametrize("count", [2, 3, 30])
def test_images_that_are_alike_cost_no_more_than_a_score(
  count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys
):
  monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
  monkeypatch.setattr(classifier, "STEPS", 2)
  train = constant(30)
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (count, 16, 16, 1)).astype(np.uint8)
  fakes = {"x": noise, "y": np.arange(count, dtype=np.int32) % 2}
  for name in without("spatial_frechet"):
    if count >= METRICS[name].least[1]:
      judge = evaluator_for(
        train, train, num_fake=count, spec=evaluation_spec("classifier", (name,), "test")
      )
      for drawn in (take(train, count), fakes):
        capsys.readouterr()
        found = judge(own(drawn))
        assert set(found) == set(METRICS[name].better)
        lost = [score for score, value in found.items() if math.isnan(value)]
        assert bool(lost) == ("no " in capsys.readouterr().err), name
        assert not lost or name in ("diversity", "class_frechet")
        assert not lost or not judge.improves(found, None)


def test_the_sampler_is_called_once_with_count_and_seed():
  calls = []

  def sample(n: int, seed: int):
    calls.append((n, seed))
    return {"x": np.zeros((n, 2), np.float32)}

  evaluator_for(load("ring8"), load("ring8"), num_fake=10, seed=7)(sample)
  assert calls == [(10, 7)]


# --- labelled images ------------------------------------------------------------------------------


def test_labelled_images(judged):
  train, test = stripes(1000, 0), stripes(800, 1)
  judge = evaluator_for(train, test, num_fake=600)
  perfect = judge(sampler(stripes(2000, 2)))
  assert perfect["frechet_distance"] < 3 * judge.card["floor"]["frechet_distance"]
  assert perfect["classes"] == CLASSES and perfect["class_kl"] < 0.02
  assert perfect["class_accuracy"] == 1
  one_class = judge(lambda n, seed: {"x": images_of(np.zeros(n, int))})
  assert one_class["classes"] == 1
  assert one_class["class_kl"] == pytest.approx(math.log(10), abs=0.15)
  assert one_class["frechet_distance"] > 100 * perfect["frechet_distance"]
  assert "class_accuracy" not in one_class  # no classes were asked for
  assert judge.improves(perfect, one_class) and not judge.improves(one_class, perfect)


def test_large_splits_are_looked_at_in_part(judged, monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(features, "REAL_LIMIT", 150)
  judge = evaluator_for(stripes(300, 0), stripes(200, 1), num_fake=200)
  assert judge.card["real"]["count"] == 150 and judge.card["floor"]["count"] == 200


def test_class_accuracy_compares_with_what_was_asked(judged):
  judge = evaluator_for(stripes(100, 0), stripes(100, 1), num_fake=100)
  spec = np.arange(100, dtype=np.int32) % CLASSES
  made = np.where(spec < 3, 0, spec)  # asked for 1 or 2 it makes 0
  assert judge(lambda n, seed: {"x": images_of(made), "y": spec})["class_accuracy"] == 0.8


def test_the_test_split_is_what_counts_and_the_floor_has_as_many_images(judged):
  train, test = stripes(300, 0), stripes(200, 1)
  judge = evaluator_for(train, test, num_fake=120)
  real = judge.card["real"]
  assert (real["data"], real["split"], real["count"]) == ("stripes", "test", 200)
  assert len(real["sha256"]) == 16
  assert judge.card["floor"]["count"] == 120
  look = lambda x: moments(Judge()(x)[0])
  real = look(test.arrays["x"])
  floor = frechet_distance(real, look(take(train, 120)["x"]))
  assert judge.card["floor"]["frechet_distance"] == pytest.approx(
    floor, rel=1e-6
  )  # a compiled mean rounds otherwise
  scores = judge(lambda n, seed: {"x": test.arrays["x"][:n]})
  fake = frechet_distance(real, look(test.arrays["x"][:120]))
  assert scores["frechet_distance"] == pytest.approx(fake, rel=1e-6)
  few = evaluator_for(train, test, num_fake=1000)
  assert few.card["floor"]["count"] == 300  # there are no more: the card says so


def test_with_a_real_classifier(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(classifier, "STEPS", 60)
  monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
  train, test = stripes(200, 0), stripes(100, 1)
  judge = evaluator_for(train, test, num_fake=100)
  scores = judge(sampler(stripes(200, 2)))
  assert set(scores) == set(judge.better)
  assert scores["frechet_distance"] < 20 * judge.card["floor"]["frechet_distance"]
  assert judge.card["backbone"]["accuracy"] > 0.9 and scores["class_accuracy"] > 0.9
  assert len(judge.card["backbone"]["sha256"]) == 64
  assert json.loads(json.dumps(judge.card)) == judge.card
  noise = np.random.default_rng(0).integers(256, size=(100, 8, 30, 1)).astype(np.uint8)
  assert judge(lambda n, seed: {"x": noise})["frechet_distance"] > scores["frechet_distance"]


# --- what else may be asked for -------------------------------------------------------------------


def without(*names: str) -> tuple[str, ...]:
  return tuple(name for name, metric in METRICS.items() if name not in names and not metric.walks)


def test_every_metric_is_at_its_best_for_samples_of_the_data(judged):
  """Ten classes of stripes, all of them or one alone; what each needs is there."""
  train, test = stripes(300, 0), stripes(300, 1)
  spec = evaluation_spec(
    "classifier", without("spatial_frechet", "accuracy_score", "ms_ssim"), "test"
  )
  judge = evaluator_for(train, test, num_fake=300, spec=spec)
  perfect = judge(sampler(stripes(600, 2)))
  assert set(perfect) == set(judge.better)
  assert "note" not in judge.card  # 300 images, 10 features
  assert set(judge.card["metrics"]) == set(spec.metrics) and judge.headline == ("frechet_distance",)
  few = stripes(600, 3).arrays
  two = few["y"] < 2  # both in every class that is asked for, so that each has examples
  drawn = {"x": few["x"][two][np.arange(300) % two.sum()], "y": np.arange(300) % CLASSES}
  collapsed = judge(lambda n, seed: drawn)
  for name, better in judge.better.items():
    if better != "none" and name not in ("precision", "density"):  # these do not ask for variety
      assert (perfect[name] > collapsed[name]) == (better == "max"), name
  assert perfect["copying"] == pytest.approx(0.5, abs=0.1)  # sd 0.024: Mann-Whitney of 300 and 300
  copies = judge(sampler(train))
  assert copies["copying"] > 0.9
  part = table("part", train.arrays["x"][:50], train.arrays["y"][:50])
  spec = evaluation_spec("classifier", ("memorisation",), "test")
  judge = evaluator_for(train, test, num_fake=50, spec=spec, learned=part)
  assert judge.card["metrics"]["memorisation"]["learned"] == 50
  copying = lambda first: judge(lambda n, seed: {"x": train.arrays["x"][first:][:n]})["copying"]
  assert copying(0) == 1 and copying(50) < 0.7  # others it has not learned from


def test_the_note_counts_the_images_of_the_rarest_class(judged):
  spec = evaluation_spec("classifier", ("class_frechet",), "test")
  test = stripes(80, 1)
  judge = evaluator_for(stripes(300, 0), test, num_fake=300, spec=spec)
  fewest = np.bincount(test.arrays["y"]).min()
  assert judge.card["note"] == f"{fewest} images do not fill the covariance of {CLASSES} features"


def test_a_metric_of_paths_walks_them(judged):
  """Of a generator that is linear in z, and features that are pixels: |A (end - start)|."""
  train = stripes(50, 0)
  spec = evaluation_spec("pixels", ("frechet", "path_length"), "test")
  judge = evaluator_for(train, train, num_fake=40, spec=spec)
  draw = sampler(train)
  with pytest.raises(
    ValueError, match="'path_length' is of a generator, and here are images alone"
  ):
    judge(draw)
  ends = np.random.default_rng(0).normal(size=(2, 40, 3))

  def length(generate, labels=None):
    walk = Walk(generate, *ends, positions=np.full(40, 0.5), labels=labels)
    return judge(draw, lambda n, seed: walk)["path_length"]

  assert length(lambda z: np.full((len(z), 8, 30, 1), 7.0)) == 0
  image = lambda z: np.full((len(z), 8, 30, 1), 100.0) + np.asarray(z)[:, :1, None, None]
  labelled = lambda z, y: image(z) * (1 + y[:, None, None, None])
  once, twice = length(image), length(labelled, np.ones(40, int))
  assert once > 0
  assert twice == pytest.approx(4 * once, rel=1e-3)  # float32 pixels of a small step


def test_the_split_that_is_asked_for_is_the_one_that_counts(judged):
  train, test = stripes(120, 0), stripes(100, 1)
  judge = evaluator_for(
    train, test, num_fake=120, spec=evaluation_spec("pixels", ("frechet",), "train")
  )
  assert judge.card["real"]["split"] == "train" and judge.card["real"]["count"] == 120
  assert judge.card["floor"]["split"] == "test" and judge.card["floor"]["count"] == 100
  assert judge.card["backbone"]["name"] == "pixels"
  assert judge.card["note"] == "120 images do not fill the covariance of 240 features"
  same = judge(lambda n, seed: {"x": train.arrays["x"]})["frechet_distance"]
  assert same < 1e-6 * judge.card["floor"]["frechet_distance"]


def test_data_without_labels_or_held_out_images_are_scored_by_other_features(judged):
  source = stripes(100, 0, "folder:cats", labelled=False)
  spec = evaluation_spec("random_projection", ("frechet", "kernel", "prdc"), "train")
  assert suited(source, None, spec).notes == ()
  judge = evaluator_for(source, None, num_fake=50, spec=spec)
  assert "floor" not in judge.card and set(judge(sampler(source))) == set(judge.better)


def test_a_metric_without_what_it_needs_is_refused(judged):
  train = stripes(50, 0)
  for network, name, why in (
    ("pixels", "inception_score", "'inception_score' needs logits, which pixels of this data"),
    ("classifier", "spatial_frechet", "needs spatial, which stripes of .*features=inception alone"),
  ):
    with pytest.raises(ValueError, match=why):
      evaluator_for(train, train, num_fake=10, spec=evaluation_spec(network, (name,), "test"))
  unlabelled = stripes(50, 0, labelled=False)
  for spec, why in (
    (evaluation_spec("pixels", ("class_frechet",), "test"), "'class_frechet' needs labels"),
    (
      EvaluationSpec(
        ExtractorFactory(lambda given: Judge().extractor), {"classes": METRICS["classes"]}
      ),
      "needs logits of the data's own classes, of which",
    ),
    (
      evaluation_spec("pixels", ("frechet", "memorisation"), "train"),
      "'memorisation' needs held-out images",
    ),
  ):
    with pytest.raises(ValueError, match=why):
      evaluator_for(unlabelled, unlabelled, num_fake=10, spec=spec)
  with pytest.raises(ValueError, match="no labels to train a classifier with"):
    extractor_for(unlabelled, unlabelled, EvaluationSpec(FEATURES["classifier"]))


def test_real_images_are_looked_at_once(judged, monkeypatch: pytest.MonkeyPatch):
  train, test = stripes(100, 0), stripes(100, 1)
  first = evaluator_for(train, test, num_fake=50)(sampler(train))
  seen = []
  monkeypatch.setattr(extractor, "extract", lambda *_, **__: seen.append(1))
  assert evaluator_for(train, test, num_fake=50)(sampler(train)) == first and not seen


# --- stacked digits -------------------------------------------------------------------------------


def test_stacked_digits(judged):
  train, test = stack("stacked:a", stripes(500, 0)), stack("stacked:a", stripes(500, 1))
  judge = evaluator_for(train, test, num_fake=4000)
  perfect = judge(sampler(train))
  assert perfect["modes"] == pytest.approx(1000 * (1 - math.exp(-4)), abs=25)
  assert perfect["kl"] == pytest.approx(999 / 8000, rel=0.2)
  assert judge.card["floor"]["kl"] == 999 / 8000
  grays = np.repeat(images_of(np.arange(4000) % 10), 3, axis=-1)  # thrice the same digit
  collapsed = judge(lambda n, seed: {"x": grays})
  assert collapsed == {"modes": 10, "kl": pytest.approx(math.log(100), abs=0.15)}
  assert judge.improves(perfect, collapsed) and not judge.improves(collapsed, perfect)


def test_channels_are_read_in_the_order_of_the_labels(judged, monkeypatch: pytest.MonkeyPatch):
  seen = []
  monkeypatch.setattr(build, "class_kl", lambda labels, shares: seen.append(labels) or 0.0)
  source = stack("stacked:a", stripes(500, 0))
  drawn = take(source, 50)
  evaluator_for(source, source, num_fake=50)(lambda n, seed: drawn)
  np.testing.assert_array_equal(seen[0], drawn["y"])


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
  ("new", "best", "expected"),
  [
    ({"a": 2.0, "b": 1.0}, None, True),
    ({"a": 2.0, "b": 1.0}, {"a": 1.0, "b": 0.0}, True),
    ({"a": 1.0, "b": 0.0}, {"a": 2.0, "b": 9.0}, False),  # the first decides
    ({"a": 2.0, "b": 1.0}, {"a": 2.0, "b": 2.0}, True),  # a tie: b is better lower
    ({"a": 2.0, "b": 2.0}, {"a": 2.0, "b": 2.0}, False),  # equal is not better
    ({"a": math.nan, "b": 0.0}, None, False),
    ({"a": 3.0, "b": math.inf}, {"a": 2.0, "b": 0.0}, True),
  ],
)
def test_improves(new: dict, best: dict | None, expected: bool):
  judge = Evaluator("test", {"a": "max", "b": "min"}, ("a", "b"), {}, lambda *_: {})
  assert judge.improves(new, best) is expected


def test_every_score_and_headline_has_a_direction(judged):
  makers = {
    "mixture": (load("ring8"), load("ring8")),
    "labelled": (stripes(50, 0), stripes(50, 1)),
    "stacked": (stack("stacked:a", stripes(50, 0)), stack("stacked:a", stripes(50, 1))),
  }
  for train, test in makers.values():
    judge = evaluator_for(train, test, num_fake=20)
    assert set(judge(sampler(train))) == set(judge.better)
    assert set(judge.headline) <= set(judge.better) and judge.headline
    assert set(judge.better.values()) <= {"min", "max"}
    assert {"evaluator", "backbone", "real", "fake"} <= set(judge.card)


def test_what_does_not_fit_is_refused(judged):
  ring, train = load("ring8"), stripes(50, 0)
  with pytest.raises(ValueError, match="num_fake is 1: a score needs at least 2"):
    evaluator_for(ring, ring, num_fake=1)
  judge = evaluator_for(train, train, num_fake=10)
  x = train.arrays["x"]
  for bad in (x[:9], x[:10].astype(np.float32), x[:10, :4]):
    with pytest.raises(ValueError, match=r"expected uint8 \[10, 8, 30, 1\]"):
      judge(lambda n, seed, bad=bad: {"x": bad})


def test_the_card_of_an_accuracy_says_of_which_examples_it_is():
  a, b, c = (accuracy_of({"target": stripes(20, seed)}).card["real"] for seed in (0, 0, 1))
  assert a == b and a["target"].items() - c["target"].items() == {("sha256", a["target"]["sha256"])}
