"""A small convolutional classifier, trained here on the data set of the generators that it scores.

It needs no download and suits digits and clothes better than a network made for photographs. Scores
of two runs compare only if its weights were the same: these are cached by the content of the data,
and every score card names their checksum.
"""

import functools
import hashlib
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization
from jax.tree_util import Partial

from gan_jax.game.random import fixed, make_key
from gan_jax.metrics.features.cache import (
  CHECKSUM,
  content_hash,
  load_or_make,
  print_message,
  writable_cache_folder,
)
from gan_jax.metrics.features.extractor import Extractor, extract

VERSION = 1  # of everything below that changes the weights
WIDTH = 96  # of the features
STEPS, BATCH, LEARNING_RATE = 2500, 32, 3e-3
LABEL_SMOOTHING = 0.1
SHIFT = 1 / 14  # largest random shift, as a share of the image's side: 2 pixels of 28
SMALLEST = 8  # pixels of a side

BUNDLED = pathlib.Path(__file__).parent / "bundled"
DIGITS = "classifier-v1-58b6c3943973fef37d9a28ddfa846396.msgpack"  # of the bundled digits

Arrays = Mapping[str, np.ndarray]


class Network(nn.Module):
  """Strided convolutions, to about 8 x 8 pixels, then two dense layers.

  Attributes:
    num_classes: number of logits.
  """

  num_classes: int

  @nn.compact
  def __call__(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Maps uint8 images [B, H, W, C] to features [B, 96] and logits [B, classes]."""
    dense = functools.partial(nn.Dense, precision="highest")
    x = images.astype(jnp.float32) / 255
    for i in range(max(1, math.ceil(math.log2(min(x.shape[1:3]) / SMALLEST)))):
      x = nn.relu(nn.Conv(min(32 * 2**i, 128), (5, 5), strides=2, precision="highest")(x))
    features = nn.relu(dense(WIDTH)(x.reshape(len(x), -1)))
    return features, dense(self.num_classes)(features)


class Classifier(NamedTuple):
  """A trained network.

  Attributes:
    params: its weights, on the device.
    num_classes: number of classes.
    shape: (H, W, C) of the images it knows.
    accuracy: share of the test images it gets right.
    sha256: checksum of the weights.
  """

  params: Any
  num_classes: int
  shape: tuple[int, ...]
  accuracy: float
  sha256: str

  @property
  def extractor(self) -> Extractor:
    """The network as an extractor: features [B, 96] and logits [B, num_classes]."""
    card = {
      "name": "classifier trained on this data",
      "version": VERSION,
      "sha256": self.sha256,
      "width": WIDTH,
      "range": [0, 1],
      "resize": None,
      "accuracy": self.accuracy,
    }
    return Extractor(card, Partial(_forward, self.params))

  def __call__(self, images: np.ndarray, *, batch_size: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Computes features and logits (see `extract`).

    Args:
      images: uint8 [N, H, W, C].
      batch_size: images at a time.

    Returns:
      Features float32 [N, 96] and logits float32 [N, num_classes].

    Raises:
      ValueError: images of another shape or type, or none.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != self.shape or len(images) == 0:
      raise ValueError(
        f"images are {images.dtype} {list(images.shape)}: this classifier was trained on uint8"
        f" {['N', *self.shape]}"
      )
    outputs = extract(self.extractor, images, batch_size=batch_size)
    return outputs["features"], outputs["logits"]


def fit(train: Arrays, test: Arrays, num_classes: int) -> Classifier:
  """Trains a classifier by the recipe of this file, and keeps nothing.

  Args:
    train: {"x": uint8 [N, H, W, C], "y": integers [N]}, 8 pixels a side or more.
    test: the same, to measure the accuracy.
    num_classes: labels are 0 to num_classes - 1.

  Raises:
    ValueError: arrays that do not fit.
  """
  _check(train, test, num_classes)
  classifier = _classifier(_fit(train, num_classes, STEPS), 0.0, test, num_classes)
  return classifier._replace(accuracy=_accuracy(classifier, test))


def classification_accuracy_score(
  real: Mapping[str, np.ndarray], fake: Mapping[str, np.ndarray], num_classes: int
) -> float:
  """Trains a classifier on labelled generated images and tests it on real ones.

  Ravuri & Vinyals 2019 (arXiv:1905.10887), who trained a ResNet-50; here it is the small network of
  this file by its frozen recipe, so scores compare only at the same version of it. The accuracy of
  the same network trained on real images is the number to compare with.

  Args:
    real: images to test on, {"x": uint8 [n, H, W, C], "y": integers [n]}.
    fake: images to train on, and the classes the generator was asked for; the same form.
    num_classes: labels are 0 to num_classes - 1.

  Returns:
    The share of real images that are named rightly, 0 to 1.

  Raises:
    ValueError: arrays that do not fit; "train" in the message is `fake` and "test" is `real`.
  """
  return fit(fake, real, num_classes).accuracy


def classifier_for(
  train: Arrays,
  test: Arrays,
  num_classes: int,
  *,
  cache_dir: str | pathlib.Path | None = None,
) -> Classifier:
  """Loads the classifier of a data set, or trains and keeps it.

  Training takes 22 s for Fashion-MNIST, 35 s for CIFAR-10, on two free cores of an AMD EPYC.
  The same data give the same weights, bit for bit, on one kind of machine with as many cores. That
  of the bundled digits comes with the package, so that its scores compare anywhere.

  Args:
    train: {"x": uint8 [N, H, W, C], "y": integers [N]}, 8 pixels a side or more.
    test: the same, to measure the accuracy.
    num_classes: labels are 0 to num_classes - 1.
    cache_dir: where it is kept; see `files.cache_folder`.

  Raises:
    ValueError: arrays that do not fit.
    OSError: the cache folder cannot be written.
  """
  _check(train, test, num_classes)
  arrays = {"test.x": test["x"], "test.y": test["y"], "train.x": train["x"], "train.y": train["y"]}
  name = f"classifier-v{VERSION}-{content_hash(arrays, str(num_classes))[:32]}.msgpack"

  def make() -> dict[str, Any]:
    print_message(
      f"training a classifier of {num_classes} classes on {len(train['x'])} images, once: {STEPS} "
      "steps, 20 s to a minute for small images; the features random_projection need none ..."
    )
    new = fit(train, test, num_classes)
    return {"params": jax.device_get(new.params), "accuracy": new.accuracy}

  bundled = BUNDLED / name
  path = bundled if bundled.is_file() else writable_cache_folder(cache_dir) / name
  trained = load_or_make(path, "classifier", make)
  classifier = _classifier(trained["params"], trained["accuracy"], test, num_classes)
  same = np.array_equal(test["x"], train["x"])
  tested = "training images (there is no test split)" if same else "test images"
  print_message(f"classifier {name}: {classifier.accuracy:.2%} of {len(test['x'])} {tested} right")
  return classifier


def bundled_weights() -> Any:
  """Loads the weights of the classifier of the bundled digits, by layer, which the package has."""
  return serialization.msgpack_restore((BUNDLED / DIGITS).read_bytes()[CHECKSUM:])["params"]


def _classifier(params: Any, accuracy: float, test: Arrays, num_classes: int) -> Classifier:
  checksum = hashlib.sha256(serialization.msgpack_serialize(params)).hexdigest()
  shape = test["x"].shape[1:]
  return Classifier(jax.device_put(params), num_classes, shape, float(accuracy), checksum)


@fixed
def _fit(train: Arrays, num_classes: int, steps: int) -> Any:
  """Trains from a fixed seed: Adam, one cosine, random shifts. Returns weights on the host."""
  network = Network(num_classes)
  init_key, order_key, shift_key = jax.random.split(make_key(0), 3)
  state = _init(network, steps, train["x"].shape[1:], init_key)
  order = jax.random.randint(order_key, (steps, BATCH), 0, len(train["x"]))
  for t, rows in enumerate(np.asarray(order)):  # a scan would make convolutions slow on CPU
    batch = jax.device_put((train["x"][rows], train["y"][rows], np.uint32(t)))
    state = _step(network, steps, state, shift_key, *batch)
  return jax.device_get(state[0])


def _optimizer(steps: int) -> optax.GradientTransformation:
  warm_up = max(1, steps // 10)
  return optax.adam(optax.warmup_cosine_decay_schedule(0, LEARNING_RATE, warm_up, steps))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _init(network: Network, steps: int, shape: tuple[int, ...], key: jax.Array) -> Any:
  params = network.init(key, jnp.zeros((1, *shape)))["params"]
  return params, _optimizer(steps).init(params)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _step(
  network: Network, steps: int, state: Any, key: jax.Array, x: jax.Array, y: jax.Array, t: jax.Array
) -> Any:
  """Computes step t of the training: (params, optimizer's state) -> the next."""
  params, memory = state
  shifted = _shift(x, jax.random.fold_in(key, t))

  def loss(params: Any) -> jax.Array:
    logits = network.apply({"params": params}, shifted)[1]
    target = optax.smooth_labels(jax.nn.one_hot(y, network.num_classes), LABEL_SMOOTHING)
    return optax.softmax_cross_entropy(logits, target).mean()

  updates, memory = _optimizer(steps).update(jax.grad(loss)(params), memory)
  return optax.apply_updates(params, updates), memory


def _shift(x: jax.Array, key: jax.Array) -> jax.Array:
  """Shifts each image by its own random number of pixels, filling up with zeros."""
  reach = max(1, round(min(x.shape[1:3]) * SHIFT))
  padded = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
  start = jax.random.randint(key, (len(x), 2), 0, 2 * reach + 1)
  crop = lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), x.shape[1:])
  return jax.vmap(crop)(padded, start)


def _forward(params: Any, images: jax.Array) -> dict[str, jax.Array]:
  network = Network(num_classes=len(params["Dense_1"]["bias"]))
  features, logits = network.apply({"params": params}, images)
  return {"features": features, "logits": logits}


def _accuracy(classifier: Classifier, test: Arrays) -> float:
  return float((classifier(test["x"])[1].argmax(axis=1) == test["y"]).mean())


def _check(train: Arrays, test: Arrays, num_classes: int) -> None:
  for name, split in (("train", train), ("test", test)):
    x, y = split["x"], split["y"]
    if x.dtype != np.uint8 or x.ndim != 4 or len(x) == 0 or min(x.shape[1:3]) < SMALLEST:
      raise ValueError(
        f"{name} images are {x.dtype} {list(x.shape)}: the classifier expects uint8 [N, H, W, C] of"
        f" at least {SMALLEST} x {SMALLEST} pixels"
      )
    if y.shape != (len(x),) or y.min() < 0 or y.max() >= num_classes:
      raise ValueError(
        f"{name} labels {list(y.shape)} reach from {y.min()} to {y.max()}: expected [{len(x)}] from"
        f" 0 to {num_classes - 1}"
      )
  if train["x"].shape[1:] != test["x"].shape[1:]:
    raise ValueError(
      f"train images are {train['x'].shape[1:]} and test images {test['x'].shape[1:]}: expected one"
      " shape"
    )
