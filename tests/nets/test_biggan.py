"""BigGAN: the published code's outputs, gradients, statistics and parameter counts.

`biggan.npz` has small cases of ajbrock/BigGAN-PyTorch 98459431a5d618d644d54cd1e9fceb1e5045648d, and
`biggan_deep.npz` one of its BigGANdeep.py: float64 on float32 values, images of the first latent,
gradients that float32 has to 1e-6.
"""

import functools
import pathlib
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case
from flax.traverse_util import flatten_dict

from gan_jax import losses
from gan_jax.losses import regularizers
from gan_jax.nets.biggan.biggan import BigGANDiscriminator, BigGANGenerator
from gan_jax.nets.biggan.deep import BigGANDeepDiscriminator, BigGANDeepGenerator
from gan_jax.nets.biggan.layers import Attention, ConditionalBatchNorm, LayerOptions, maxima
from gan_jax.nets.convolution import forms
from gan_jax.nets.linear import Conv, Dense, Spectral
from gan_jax.nets.published.biggan import path_of, place_first
from gan_jax.nets.published.layout import in_our_layout, variables_of

KEY = jax.random.key(0)
SHAPE = (32, 32, 3)
HERE = pathlib.Path(__file__).parent
SMALL = dict(np.load(HERE / "biggan.npz"))


def arrays_of(name):
  """Loads a case: a small copy, or that of the folder of cases, without which the test skips."""
  if (file := HERE / f"{name}.npz").exists():
    return dict(np.load(file))
  if not (small := {k: v for k, v in SMALL.items() if k.startswith(f"{name}/")}):
    return load_case("biggan", name)[0]
  return {key.removeprefix(f"{name}/"): value for key, value in small.items()}


def deep_path_of(name):
  """Returns `path_of` a name of BigGAN-deep, whose blocks are numbered through, two to a stage."""
  stage_and_step = lambda match: "{}_{}".format(*divmod(int(match[0]), 2))
  stage = lambda match: str(int(match[0]) // 2)
  path = []
  for part in path_of(name) or ():
    part = re.sub(r"(?<=^block_)\d+", stage_and_step, part)
    path.append(re.sub(r"(?<=^attention_)\d+", stage, part))
  return tuple(path) or None


def loaded(net, arrays, prefix, *inputs, place=in_our_layout, path_of=path_of):
  """Returns a network's variables with published values, and {published name: path}."""
  named = {
    key[2:].removeprefix(prefix): array
    for key, array in arrays.items()
    if key[:2] in ("w/", "b/") and key[2:].startswith(prefix)
  }
  paths = {name: path for name in named if (path := path_of(name)) is not None}
  return variables_of(net, inputs, named, paths, place), paths


def assert_published(found, arrays, paths, prefix, kind, first=False, error=1e-5):
  """Compares leaves of ours, {path: array}, with all published ones of a kind, such as "grad/"."""
  expected = [name for name in paths if f"{kind}{prefix}{name}" in arrays]
  assert expected
  for name in expected:
    leaf = found[paths[name]]
    array = arrays[f"{kind}{prefix}{name}"]
    place = place_first if first else in_our_layout
    close(leaf, place(paths[name], leaf.shape, array), name, error)


def close(found, expected, name="", error=1e-5):
  atol = max(error * np.abs(expected).max(), 1e-6 if np.abs(expected).max() < 1e-12 else 0)
  np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=name)


def nhwc(x):
  return jnp.moveaxis(jnp.asarray(x), 1, -1)


def nchw(x):
  return np.moveaxis(np.asarray(x), -1, 1)


def projection(y):
  """Computes sum(y cos(arange)), in the order NCHW."""
  y = jnp.moveaxis(y, -1, 1) if y.ndim == 4 else y
  return jnp.vdot(y.reshape(-1), jnp.cos(jnp.arange(y.size)))


@pytest.mark.parametrize(
  "name, layer",
  [
    ("sn_linear_eval", functools.partial(Dense, 4)),
    ("sn_conv_train", functools.partial(Conv, 5)),
  ],
)
def test_spectral_norm_is_that_of_the_published_code(name, layer):
  arrays, train = arrays_of(name), name.endswith("train")
  net = layer(spectral=Spectral("iterated", 1e-6 if train else 1e-12))
  x = nhwc(arrays["in/x"])
  variables, shapes = loaded(net, arrays, "", x)

  @jax.jit
  def call(variables):
    def loss(params):
      y, state = net.apply({**variables, "params": params}, x, train=train, mutable="batch_stats")
      return projection(y), (y, state)

    gradient, (y, state) = jax.grad(loss, has_aux=True)(variables["params"])
    return y, {**variables, **state}, gradient

  for i in range(3):
    y, variables, gradient = call(variables)
    if f"out/y{i}" in arrays:
      close(nchw(y), arrays[f"out/y{i}"], f"out/y{i}")
      close(
        variables["batch_stats"]["spectral_norm"]["u"],
        arrays.get(f"after/u0 call {i}", arrays["b/u0"])[0],
      )
  found = flatten_dict({"params": gradient})
  assert_published(found, {"grad/weight": arrays["grad/weight (third call)"]}, shapes, "", "grad/")


def test_conditional_batch_norm_is_that_of_the_published_code():
  arrays = arrays_of("ccbn_shared_train")
  net = ConditionalBatchNorm(LayerOptions(norm_epsilon=1e-4))
  x, y = nhwc(arrays["in/x"]), jnp.asarray(arrays["in/y"])
  variables, shapes = loaded(net, arrays, "", x, y)

  def loss(params):
    out, state = net.apply({**variables, "params": params}, x, y, train=True, mutable="batch_stats")
    return projection(out), (out, state)

  gradient, (out, state) = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
  close(nchw(out), arrays["out/y"])
  assert_published(flatten_dict(state), arrays, shapes, "", "after/")
  assert_published(flatten_dict({"params": gradient}), arrays, shapes, "", "grad/")


def test_attention_is_that_of_the_published_code():
  arrays = arrays_of("attention")
  net, x = Attention(LayerOptions(spectral=False)), nhwc(arrays["in/x"])
  variables, shapes = loaded(net, arrays, "", x)

  def loss(params, x):
    out = net.apply({"params": params}, x, train=True)
    return projection(out), out

  (gradient, g_x), out = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(variables["params"], x)
  close(nchw(out), arrays["out/y"])
  close(nchw(g_x), arrays["grad/x"])
  assert_published(flatten_dict({"params": gradient}), arrays, shapes, "", "grad/")


def test_the_first_of_equal_maxima_has_the_gradient():
  """As in PyTorch: in a flat square the first place, otherwise the first of the largest."""
  squares = np.float32([[[1, 1], [1, 1]], [[0, 2], [2, 1]], [[0, 1], [2, 2]], [[3, 4], [5, 6]]])
  x = jnp.asarray(squares)[..., None]
  assert maxima(x).ravel().tolist() == [1, 2, 2, 6]
  gradient = jax.grad(lambda x: maxima(x).sum())(x)
  assert gradient.reshape(4, 4).argmax(1).tolist() == [0, 1, 2, 3]
  assert gradient.sum() == 4 and (gradient >= 0).all() and gradient.max() == 1


OF_32 = {"attention": (16,), "epsilon": 1e-6}


@pytest.mark.parametrize(
  "name, generator, discriminator, path_of, error",
  [
    (
      "biggan32_hier_shared",
      BigGANGenerator(SHAPE, width=4, shared=10, num_classes=5, **OF_32),
      BigGANDiscriminator(width=4, num_classes=5, **OF_32),
      path_of,
      1e-5,
    ),
    (
      "biggan_deep",
      BigGANDeepGenerator(SHAPE, width=2, shared=4, num_classes=3, **OF_32),
      BigGANDeepDiscriminator(width=2, num_classes=3, **OF_32),
      deep_path_of,
      1e-4,  # float32 loses that much in norms of two examples; in float64 they agree to 1e-12
    ),
  ],
  ids=["biggan", "biggan_deep"],
)
def test_networks_are_those_of_the_published_code(
  name, generator, discriminator, path_of, error, monkeypatch
):
  """One program of both players' losses, their gradients, all statistics, and a sample."""
  monkeypatch.setattr(forms, "_on_cpu", lambda batch: False)  # products take longer to compile
  arrays = arrays_of(name)
  z, y, y_real = (jnp.asarray(arrays[f"in/{name}"]) for name in ("z", "y", "y_real"))
  real = nhwc(arrays["in/real"])
  g, g_shapes = loaded(generator, arrays, "G.", z, y, place=place_first, path_of=path_of)
  d, d_shapes = loaded(discriminator, arrays, "D.", real, y_real, path_of=path_of)
  train = {"train": True, "mutable": "batch_stats"}

  @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
  def moves():
    def losses_of(g_params, d_params):
      fake, g_state = generator.apply({**g, "params": g_params}, z, y, **train)
      both, labels = jnp.concatenate([fake, real]), jnp.concatenate([y, y_real])
      logits, d_state = discriminator.apply({**d, "params": d_params}, both, labels, **train)
      of_fake, of_real = jnp.split(logits, 2)
      values = [loss(of_real, of_fake).mean() for loss in losses.hinge[:2]]
      return values, (fake, logits, g_state, d_state)

    values, pullback, aux = jax.vjp(losses_of, g["params"], d["params"], has_aux=True)
    g_grad, d_grad = pullback([0.0, 1.0])[0], pullback([1.0, 0.0])[1]
    return values, g_grad, d_grad, aux, generator.apply(g, z, y, train=False)

  values, g_grad, d_grad, (fake, logits, g_state, d_state), sample = moves()
  for name, found in {
    "G train": nchw(fake),
    "G eval": nchw(sample),
    "D train, on [G train, real]": logits[:, None],
    "hinge G": values[1],
  }.items():
    expected = arrays[f"out/{name}"]
    close(found[: len(expected)] if expected.ndim else found, expected, name, 2e-5)
  leaves = lambda params: flatten_dict({"params": params})
  assert_published(leaves(g_grad), arrays, g_shapes, "G.", "grad/hinge G/", True, error)
  assert_published(leaves(d_grad), arrays, d_shapes, "D.", "grad/hinge D/", error=error)
  assert_published(flatten_dict(g_state), arrays, g_shapes, "G.", "after/", True)
  assert_published(flatten_dict(d_state), arrays, d_shapes, "D.", "after/")


# Means of |y| in training and of |u| after it, by code that met the published numbers.
RECORDED = [
  (
    BigGANGenerator(SHAPE, width=2, shared=3, attention=(16,), num_classes=3),
    (17,),
    [0.739168, 0.363652],
  ),
  (BigGANDiscriminator(width=2, attention=(16,), num_classes=3), SHAPE, [1396.97, 0.559390]),
  (
    BigGANDeepGenerator((64, 64, 3), width=2, depth=1, shared=3, num_classes=3),
    (6,),
    [0.739688, 0.379687],
  ),
  (BigGANDeepDiscriminator(width=2, depth=1, num_classes=3), (64, 64, 3), [787.055, 0.531442]),
]


@pytest.mark.parametrize("net, shape, expected", RECORDED, ids=lambda x: type(x).__name__)
def test_outputs_are_those_recorded(net, shape, expected, monkeypatch):
  """With numbers that need no file for weights and images."""
  monkeypatch.setattr(forms, "_on_cpu", lambda batch: False)
  wave = lambda shape: np.float32(np.cos(np.arange(np.prod(shape, dtype=int)) ** 2)).reshape(shape)
  x, y = wave((2, *shape)), jnp.arange(2)
  made = jax.eval_shape(functools.partial(net.init, KEY, train=False), x, y)
  variables = jax.tree.map(lambda leaf: wave(leaf.shape) + (leaf.ndim == 1), made)
  apply = functools.partial(net.apply, variables, train=True, mutable="batch_stats")
  out, state = jax.jit(apply)(x, y)
  u = [np.abs(v).mean() for path, v in flatten_dict(state).items() if path[-1] == "u"]
  np.testing.assert_allclose([np.abs(out).mean(), np.mean(u)], expected, rtol=1e-4)


WIDE, OF_128 = {"width": 96, "attention": (64,), "num_classes": 1000}, (128, 128, 3)
IMAGENET = {"attention": (64,), "num_classes": 1000}
OF_CIFAR = BigGANGenerator(SHAPE, hierarchical=False, shared=0, num_classes=10)
SAGAN = BigGANGenerator(OF_128, hierarchical=False, shared=0, **IMAGENET)


@pytest.mark.parametrize(
  "net, shape, expected",
  [
    (OF_CIFAR, (128,), 4_304_387),
    (BigGANDiscriminator(num_classes=10), SHAPE, 4_207_361),
    (BigGANGenerator(OF_128, **WIDE), (120,), 70_433_988),
    (BigGANDiscriminator(**WIDE), OF_128, 87_982_370),
    (BigGANDiscriminator(**IMAGENET), OF_128, 39_448_258),
    (BigGANDeepGenerator(OF_128, **IMAGENET), (128,), 50_244_484),
    (BigGANDeepDiscriminator(**IMAGENET), OF_128, 34_590_210),
    (SAGAN, (128,), 42_017_412),
  ],
)
def test_parameter_counts_are_the_published_ones(net, shape, expected):
  # Spectral norm has statistics alone, and takes most of the time.
  x, y = jnp.zeros((1, *shape)), jnp.zeros(1, int)
  made = jax.eval_shape(functools.partial(net.clone(spectral="none").init, KEY, train=False), x, y)
  assert sum(leaf.size for leaf in jax.tree.leaves(made["params"])) == expected


def test_orthogonal_regularisation_is_that_of_the_published_code():
  """In a layer, in a table of classes, which has them first, and not in the one that is shared."""
  arrays = arrays_of("ortho")
  weight = arrays["in/weight"].reshape(4, -1)

  def gradient(params, strength=1e-2, **options):
    penalty = regularizers.orthogonal(convention="code", **options)
    of = lambda params: strength * penalty.value(SimpleNamespace(params=params, size=1), {})[0][0]
    return jax.grad(of)(params)

  params = {"conv": {"kernel": weight.T}, "gain": {"embedding": weight}}
  for norms, name in ((False, ""), (True, "default_ortho ")):
    found = gradient({**params, "shared": {"embedding": weight}}, norms=norms)
    expected = arrays[f"out/{name}gradient added"].reshape(4, -1)
    close(found["conv"]["kernel"].T, expected, error=1e-6)
    close(found["gain"]["embedding"], expected, error=1e-6)
    assert not found["shared"]["embedding"].any()


def test_losses_are_those_of_the_published_code():
  arrays = arrays_of("losses")
  fake, real = arrays["in/dis_fake"][:, 0], arrays["in/dis_real"][:, 0]
  for loss, expected in (
    (losses.hinge, (1.1047860293516092, 1.8183544192995345, -0.8183544192995343)),
    (losses.non_saturating, (0.7915032329160521, 1.2568452454183057, 0.43849082611877144)),
  ):
    far = np.full_like(real, 1e9)  # costs nothing
    values = (
      loss.discriminator(real, -far),
      loss.discriminator(far, fake),
      loss.generator(real, fake),
    )
    found = [np.mean(value) for value in values]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_hierarchical_latents_leave_over_what_cannot_be_shared_out():
  """17 entries are four chunks of 4, the first for the linear layer; a shared embedding joins."""
  net = BigGANGenerator(SHAPE, width=1, shared=3, num_classes=5, spectral="none")
  shapes = lambda net, y: jax.tree.map(
    jnp.shape,
    jax.eval_shape(functools.partial(net.init, KEY, train=False), jnp.zeros((2, 17)), y)["params"],
  )
  made = shapes(net, jnp.zeros(2, int))
  assert made["linear"]["kernel"] == (4, 64) and made["block_2"]["bn2"]["gain"]["kernel"] == (7, 4)
  with pytest.raises(ValueError, match="Set hierarchical=False"):
    shapes(net.clone(shared=0), jnp.zeros(2, int))
  with pytest.raises(ValueError, match=r"no block's output is 20 high; expected some of 8, 16, 32"):
    shapes(net.clone(attention=(20,)), jnp.zeros(2, int))
  with pytest.raises(ValueError, match=r"multiples = \(4, 4\): expected 4 numbers >= 1"):
    shapes(net.clone(multiples=(4, 4)), jnp.zeros(2, int))
  with pytest.raises(ValueError, match="singular_values is 0: expected a number >= 1"):
    shapes(net.clone(spectral="frozen", singular_values=0), jnp.zeros(2, int))
  rival = BigGANDiscriminator(width=1, attention_blocks=(1, 4))
  with pytest.raises(ValueError, match=r"there is no block 4; expected some of 0 to 3"):
    jax.eval_shape(functools.partial(rival.init, KEY, train=False), jnp.zeros((2, *SHAPE)))
