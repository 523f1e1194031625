"""StyleGAN2: the published code's numbers, layer by layer, and its training phases.

`stylegan2.npz` has small cases of NVlabs/stylegan2-ada-pytorch
d72cc7d041b42ec8e806021a205ed9349f87c6a4: a mapping network, a convolution with its gradients, a
generator, a discriminator, and how all parameters start. Others are in the folder of cases.
"""

import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import ones
import pytest
from cases import load_case
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax import losses
from gan_jax.data.example import Example
from gan_jax.game.core import Clock
from gan_jax.game.latents import truncate_styles
from gan_jax.game.optimizers import lazy_adam_options
from gan_jax.game.play import init
from gan_jax.game.schedules import half_life
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import Match, every
from gan_jax.nets.convolution import resampling
from gan_jax.nets.published import stylegan2 as published
from gan_jax.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, discriminator, layers
from gan_jax.nets.stylegan2.generator import mixing_cutoff
from gan_jax.nets.stylegan2.mapping import Mapping, mix
from gan_jax.nets.stylegan2.synthesis import SynthesisBlock
from gan_jax.run.config import complete, from_file, replaced
from gan_jax.run.config.sections.kinds.games import build_game

SMALL = dict(np.load(pathlib.Path(__file__).parent / "stylegan2.npz"))
BOUND = 1e-5  # of the largest magnitude: the published code in float32 is within 8.5e-7 of float64


def load(name):
  """Loads a case: a small copy, or that of the folder of cases, without which the test skips."""
  if not (small := {k: v for k, v in SMALL.items() if k.startswith(f"{name}/")}):
    return load_case("stylegan2", name)[0]
  return {key.removeprefix(f"{name}/"): value for key, value in small.items()}


def compare(name, expected, found):
  """Holds arrays in our layout to a case's in its own: channels first."""
  for key, value in found.items():
    want, got = expected[key], np.asarray(value)
    got = np.moveaxis(got, 3, 1) if got.ndim == 4 else got.reshape(want.shape)
    scale = np.abs(want).max()
    bound = BOUND * scale if scale > 1e-12 else 1e-6
    np.testing.assert_allclose(got, want, rtol=0, atol=bound, err_msg=f"{name} {key}")


def last(x):
  return np.moveaxis(x, 1, 3)


def path_of(name):
  """Returns the path of a published parameter or buffer among ours, in its collection."""
  stage = name.startswith("synthesis.")
  return (published.path_in_generator(name) if stage else published.path_of(name))[1:]


def of_generator(path):
  """In the generator mapping is a stage, and its network has another name."""
  return ("mapping_network", *path[1:]) if path[0] == "mapping" else path


def variables(arrays, prefix="", generator=False):
  """Returns the variables of a module from a case's parameters, w/, and buffers, b/."""
  named = {
    key[2:].removeprefix(prefix): array
    for key, array in arrays.items()
    if key[:2] in ("w/", "b/") and key[2:].startswith(prefix)
  }
  leaves = {"params": {}, "batch_stats": {}}
  for name, array in named.items():
    path = published.path_in_generator(name) if generator else published.path_of(name)
    if not name.endswith("resample_filter"):
      leaves[path[0]][path[1:]] = ours(path, array)
  return {collection: unflatten_dict(tree) for collection, tree in leaves.items()}


def ours(path, array):
  """Returns a published parameter, buffer or gradient in our layout."""
  shape = array.shape
  if len(shape) == 4:
    shape = tuple(shape[i] for i in (2, 3, 1, 0))
  elif len(shape) == 3:
    shape = (*shape[1:], shape[0])
  elif path[-1] == "kernel":
    shape = shape[::-1]
  return jnp.asarray(published.in_our_layout(path, shape, array))


def projection(y):
  """sum(y cos(arange)), in the order NCHW."""
  y = jnp.moveaxis(y, 3, 1)
  return jnp.vdot(y, jnp.cos(jnp.arange(y.size)).reshape(y.shape))


FILTERS = {
  "upsample2d": resampling.upsample,
  "downsample2d": resampling.downsample,
  "filter2d": lambda x: resampling.downsample(x, factor=1),
  "upfirdn2d up2 pad(2,1,0,3) gain 4": lambda x: resampling.resample(
    x, up=2, padding=((0, 3), (2, 1)), gain=4
  ),
  "upfirdn2d down2 pad(-1,2,1,-1) flip": lambda x: resampling.resample(
    x, down=2, padding=((1, -1), (-1, 2)), flip=True
  ),
}


def test_filters():
  arrays = load("filters_1331")
  images = {name: last(arrays[f"in/{name}"]) for name in ("impulse", "corner", "random")}
  run = jax.jit(
    lambda images: {f"out/{f}/{i}": FILTERS[f](x) for f in FILTERS for i, x in images.items()}
  )
  compare("filters_1331", arrays, run(images))
  for name, function in (("conv_down3", resampling.conv_down), ("conv_up3", resampling.conv_up)):
    arrays = load(name)
    kernel = arrays["in/weight"].transpose(2, 3, 1, 0)
    compare(name, arrays, {"out/y": jax.jit(function)(last(arrays["in/x"]), kernel)})


def test_bias_and_activation():
  arrays = load("bias_act")
  x, bias = last(arrays["in/x"]), arrays["in/b"]
  found = {
    f"out/{'lrelu' if name == 'leaky_relu' else name}": layers.bias_act(x, bias, name)
    for name in ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "softplus")
  }
  found["out/swish"] = layers.bias_act(x, bias, "swish")
  clamped = layers.bias_act(x, bias, "leaky_relu", gain=math.sqrt(0.5), clamp=0.6)
  compare("bias_act", arrays, {**found, "out/lrelu gain=sqrt(.5) clamp=.6": clamped})


@pytest.mark.parametrize("name", ["modconv_demod", "modconv_up_demod", "modconv_rgb_nodemod"])
def test_modulated_convolution(name):
  arrays = load(name)
  noise = last(arrays["in/noise"]) if "in/noise" in arrays else None
  options = {"demodulate": "nodemod" not in name, "up": "up" in name, "noise": noise}

  def loss(x, kernel, styles):
    y = layers.modulated_conv(x, kernel, styles, **options)
    return projection(y), y

  given = last(arrays["in/x"]), arrays["in/weight"].transpose(2, 3, 1, 0), arrays["in/styles"]
  (g_x, g_kernel, g_styles), y = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(*given)
  found = {"out/y": y, "grad/x": g_x, "grad/styles": g_styles}
  # Spoken as images, so that OIHW is what comes of it: [O, H, W, I].
  compare(name, arrays, {**found, "grad/weight": g_kernel.transpose(3, 0, 1, 2)})


@pytest.mark.parametrize("name", ["mapping_uncond", "mapping_cond"])
def test_mapping(name):
  arrays = load(name)
  z, labels, given = arrays["in/z"], arrays.get("in/c"), variables(arrays)
  net = Mapping(10, num_ws=5, num_layers=sum("fc" in key for key in arrays) // 2)

  @jax.jit
  def run(given):
    truncated = {
      f"out/ws psi={psi} cutoff={cutoff}": net.apply(given, z, labels, psi=psi, cutoff=cutoff)
      for psi, cutoff in ((0.7, None), (0.5, 2), (0, None), (-1, 1))
    }
    w, new = net.apply(given, z, labels, update=True, mutable="batch_stats")
    average = new["batch_stats"]["w_avg"]
    return {"out/ws": w, "out/w_avg after one training call": average, **truncated}

  compare(name, arrays, {key: value for key, value in run(given).items() if key in arrays})
  assert sum(key.startswith("out/") for key in arrays) > 3


def test_minibatch_standard_deviation_and_epilogue():
  for name in ("mbstd_g4", "mbstd_g4_batch4"):
    arrays = load(name)
    compare(name, arrays, {"out/y": discriminator.minibatch_std(last(arrays["in/x"]))})
  arrays = load("epilogue_uncond")
  net = discriminator.DiscriminatorEpilogue(8)
  compare(
    "epilogue_uncond",
    arrays,
    {"out/logits": jax.jit(net.apply)(variables(arrays), last(arrays["in/x"]))},
  )


@pytest.mark.parametrize("name", ["block_first_skip", "block_skip"])
def test_synthesis_blocks(name):
  arrays = load(name)
  net = SynthesisBlock(*((6, 4) if "first" in name else (5, 8)), 3)
  below = [last(arrays[f"in/{k}"]) if f"in/{k}" in arrays else None for k in ("x", "img")]

  @jax.jit
  def run(given):
    out = {}
    for noise in ("const", "none"):
      x, image = net.apply(given, *below, arrays["in/ws"], [noise] * 2)
      out |= {f"out/x noise={noise}": x, f"out/img noise={noise}": image}
    return out

  compare(name, arrays, run(variables(arrays)))


@pytest.mark.parametrize("name", ["G_skip_16", "G_skip_8_cond"])
def test_generator(name):
  arrays = load(name)
  conditional = "in/c" in arrays
  size = {"shape": (8, 8, 3), "channel_base": 64, "channel_max": 8, "w_dim": 8, "num_classes": 4}
  if not conditional:
    size = {"shape": (16, 16, 3), "channel_base": 128, "channel_max": 12, "w_dim": 10}
  net = StyleGAN2Generator(**size, mapping_layers=2 + conditional, conv_clamp=None)
  y = arrays["in/c"].argmax(1) if conditional else None

  @jax.jit
  def run(given):
    sample = lambda noise, psi: net.clone(noise=noise).apply(
      given, arrays["in/z"], y, train=False, psi=psi
    )
    psis = {"1": None, "0.6": jnp.full(len(arrays["in/z"]), 0.6)}
    return {
      f"out/img noise={noise} psi={name}": sample(noise, psi)
      for noise in ("const", "none")
      for name, psi in psis.items()
    }

  found = run(variables(arrays, generator=True))
  compare(name, arrays, {key: value for key, value in found.items() if key in arrays})
  assert {key for key in arrays if key.startswith("out/")} <= set(found)


@pytest.mark.parametrize("name", ["D_resnet_16", "D_resnet_8_cond"])
def test_discriminator(name):
  arrays = load(name)
  conditional = "in/c" in arrays
  size = {"channel_base": 64, "channel_max": 8, "num_classes": 4, "mapping_layers": 2}
  if not conditional:
    size = {"channel_base": 128, "channel_max": 12}
  net = StyleGAN2Discriminator(**size, conv_clamp=None)
  y = arrays["in/c"].argmax(1) if conditional else None

  def total(x, given):
    logits = net.apply(given, x, y, train=True)
    return logits.sum(), logits

  x = last(arrays["in/img"])
  gradient, logits = jax.jit(jax.grad(total, has_aux=True))(x, variables(arrays))
  compare(name, arrays, {"out/logits": logits, "grad/sum of logits/img": gradient})


def phase_match(arrays, g_params, d_params, suffix=""):
  """The match of a move with the recorded draws, and the average style after it."""
  size = {"channel_base": 64, "channel_max": 8, "conv_clamp": None}
  generator = StyleGAN2Generator((8, 8, 3), w_dim=8, **size)
  stats = variables(arrays, "G.", generator=True)["batch_stats"]
  given = {"params": g_params, "batch_stats": stats}
  noise = [last(arrays[f"in/noise{suffix}/{n}"]) for n in ("b4.conv1", "b8.conv0", "b8.conv1")]
  other_z = arrays[f"in/z_mix{suffix}"]
  cutoff = int(arrays["in/mixing_cutoff"]) if arrays["in/mixing_uniform"] < 0.9 else 4

  def mapping(z):
    apply = lambda g, z, update: g.mapping_network(z, update=update)
    w, new = generator.apply(given, z, True, method=apply, mutable="batch_stats")
    # Every second latent is taken for path lengths, of which the recorded draws are half as many.
    other = np.repeat(other_z, len(z) // len(other_z), 0)
    return mix(w, generator.apply(given, other, False, method=apply), cutoff), new["batch_stats"]

  synthesis = lambda w: generator.apply(given, w, method=lambda g, w: g.synthesis_network(w, noise))
  judge = lambda x, *kind: StyleGAN2Discriminator(**size).apply(d_params, x, train=True)
  w, new = mapping(arrays["in/z"])
  fake, real = None if suffix else synthesis(w), last(arrays["in/real"])
  match = Match(
    real=real,
    fake=fake,
    real_logits=judge(real),
    fake_logits=None if suffix else judge(fake),
    discriminator=judge,
    generator=None,
    latents=np.repeat(arrays["in/z"][:4], 2, 0),
    params=g_params,
    keys=jax.random.split(jax.random.key(0), 8),
    clock=Clock(),
    stages={"mapping": lambda z: mapping(z)[0], "synthesis": synthesis},
  )
  return match, new["mapping_network"]["w_avg"]


def test_phases_of_training_by_our_losses(monkeypatch):
  """Both players' losses, R1 and path lengths, each with the gradients of the networks."""
  arrays = load("phases_uncond")
  monkeypatch.setattr(regularizers, "draw_like", lambda *_: last(arrays["in/pl_noise"]))
  lengths = every(4, regularizers.path_length(batch_shrink=2))
  start = {"term": {"average": jnp.asarray(arrays["in/pl_mean"])}, "last": jnp.zeros(())}
  r1 = every(16, regularizers.r1)

  def g_main(g, d):
    match, average = phase_match(arrays, g, d)
    loss = losses.non_saturating.generator(match.real_logits, match.fake_logits)
    return loss.mean(), {
      "scores/fake": match.fake_logits,
      "signs/fake": jnp.sign(match.fake_logits),
      "G/loss": loss,
      "w_avg after Gmain": average,
    }

  def g_reg(g, d):
    values, memory = lengths.value(phase_match(arrays, g, d, "_pl")[0], start)
    average = memory["term"]["average"]
    found = {"pl_penalty": values / 4, "G/reg": values / 2, "pl_mean after Greg": average}
    return 2 * values.mean(), found

  def d_main(d, g):
    match, _ = phase_match(arrays, g, d)
    loss = losses.non_saturating.discriminator(match.real_logits, match.fake_logits)
    found = {"scores/fake": match.fake_logits, "scores/real": match.real_logits, "D/loss": loss}
    return loss.mean(), found

  def d_reg(d, g):
    match, _ = phase_match(arrays, g, d)
    values, _ = r1.value(match, {"term": (), "last": jnp.zeros(())})
    return values.mean(), {"r1_penalty": values / 8, "D/reg": values / 16}

  @jax.jit
  def run(g, d):
    own = {"Gmain": (g_main, g, d), "Greg": (g_reg, g, d)}
    own |= {"Dmain": (d_main, d, g), "Dreg": (d_reg, d, g)}
    return {
      phase: jax.value_and_grad(loss, has_aux=True)(*given) for phase, (loss, *given) in own.items()
    }

  g = variables(arrays, "G.", generator=True)["params"]
  d = {"params": variables(arrays, "D.")["params"]}
  for phase, ((_, values), gradients) in run(g, d).items():
    found = {
      f"out/{name}" if "after" in name else f"out/{phase}/{name}": value
      for name, value in values.items()
    }
    compare("phases_uncond", arrays, found)
    gradients = flatten_dict(gradients.get("params", gradients))
    for key in arrays:
      if key.startswith(f"grad/{phase}/"):
        name = key.removeprefix(f"grad/{phase}/")
        path = published.path_in_generator(name) if phase[0] == "G" else published.path_of(name)
        want, path = ours(path, arrays[key]), path[1:]
        error = np.abs(gradients[path] - want).max() / np.abs(want).max()
        assert error < BOUND, key


def test_networks_start_as_published():
  """With ones for normal draws, a parameter is the constant or the deviation that it starts with.

  The published deviations are of 16 starts of networks of 16 channels each.
  """
  size = {"channel_base": 256, "channel_max": 16, "mapping_layers": 3, "num_classes": 4}
  nets = {
    "G": (StyleGAN2Generator((16, 16, 3), w_dim=16, **size), jnp.zeros((1, 16))),
    "D": (StyleGAN2Discriminator(**size), jnp.zeros((1, 16, 16, 3))),
  }
  found = {}
  for player, (net, given) in nets.items():
    start = jax.jit(lambda x, net=net: net.init(ones.key(), x, jnp.zeros(1, int), train=False))
    for kind in start(given).values():
      found |= {(player, *path): np.asarray(leaf) for path, leaf in flatten_dict(kind).items()}
  published = load("init_statistics")
  for name, (mean, std) in zip(published["names"], published["mean_and_std"], strict=True):
    player, path = name[0], path_of(name[2:])
    leaf = found.pop((player, *(of_generator(path) if player == "G" else path)))
    assert leaf.min() == leaf.max(), name
    # Four standard errors of a deviation of so many draws; constants are exact.
    error = 4 * std / math.sqrt(2 * 16 * leaf.size)
    np.testing.assert_allclose(leaf.max(), std or mean, rtol=0, atol=error, err_msg=name)
  assert not found


# Of NVlabs/stylegan2-ada-pytorch at d72cc7d: height, classes, preset, parameters of G and of D.
COUNTS = [
  (32, 10, "cifar", 20_215_315, 23_089_664),
  (256, None, "paper256", 24_767_458, 24_001_089),
  (1024, None, "stylegan2", 30_370_060, 29_012_513),
]


@pytest.mark.parametrize("height, classes, preset, generator, discriminator", COUNTS)
def test_parameters_are_as_many_as_published(height, classes, preset, generator, discriminator):
  y = None if classes is None else jnp.zeros(1, int)
  count = lambda net, shape: sum(
    math.prod(leaf.shape)
    for leaf in jax.tree.leaves(
      jax.eval_shape(
        lambda x: net.init(jax.random.key(0), x, y, train=False)["params"],
        jax.ShapeDtypeStruct((1, *shape), jnp.float32),
      )
    )
  )
  own = {"preset": preset, "num_classes": classes}
  shape = (height, height, 3)
  found = (
    count(StyleGAN2Generator(shape, **own), (512,)),
    count(StyleGAN2Discriminator(**own), shape),
  )
  assert found == (generator, discriminator)


def test_sizes_that_are_refused():
  with pytest.raises(ValueError, match="doubled any number of times"):
    jax.eval_shape(
      lambda: StyleGAN2Generator((30, 30, 1)).init(
        jax.random.key(0), jnp.zeros((1, 4)), train=False
      )
    )


def test_modulated_convolution_by_hand():
  """One pixel, one input: y = x w s / |w s|, also in half precision, where w s is too large."""
  x, kernel = jnp.full((1, 1, 1, 1), 3.0), jnp.full((1, 1, 1, 2), -5e4).at[..., 1].set(2.0)
  for dtype in (jnp.float32, jnp.float16):
    y = layers.modulated_conv(x.astype(dtype), kernel, jnp.full((1, 1), 4.0))
    assert y.dtype == dtype
    np.testing.assert_allclose(y[0, 0, 0], [-3, 3], rtol=1e-3)
  y = layers.modulated_conv(x, kernel, jnp.full((1, 1), 4.0), demodulate=False)
  np.testing.assert_allclose(y[0, 0, 0], [-6e5, 24])


def test_minibatch_standard_deviation_is_of_the_global_batch():
  """Groups are strided, so those of two microbatches too; eight devices agree with one."""
  x = jax.random.normal(jax.random.key(0), (16, 2, 2, 2))
  whole = discriminator.minibatch_std(x, 4)
  groups = np.asarray(x).reshape(4, 4, 8)
  want = np.tile(np.sqrt(groups.var(0) + 1e-8).mean(-1), 4)
  np.testing.assert_allclose(whole[:, 0, 0, 2], want, rtol=1e-5)
  np.testing.assert_allclose(discriminator.minibatch_std(x[1::2], 4), whole[1::2], rtol=1e-5)
  split = jax.pmap(lambda x: discriminator.minibatch_std(x, 4, axis_name="data"), "data")
  got = split(x.reshape(8, 2, 2, 2, 2)).reshape(whole.shape)
  np.testing.assert_allclose(got, whole, rtol=1e-5)
  # Of real examples and fakes one after the other each device has its share of both.
  split = jax.pmap(lambda x: discriminator.minibatch_std(x, 4, 1, "data", 2), "data")
  shares = x.reshape(2, 8, 1, 2, 2, 2).swapaxes(0, 1)
  got = split(shares.reshape(8, 2, 2, 2, 2)).reshape(8, 2, 2, 2, 3).swapaxes(0, 1)
  np.testing.assert_allclose(got.reshape(whole.shape), whole, rtol=1e-5)


@pytest.mark.parametrize(("count", "group"), [(4, 4), (2, 8)])
def test_microbatches_that_would_make_other_groups_are_refused(count, group):
  """Of 12 examples, parts of 3 have no groups of 4, and parts of 6 none of 6 or less but 6."""
  net = discriminator.StyleGAN2Discriminator(
    channel_base=8, channel_max=2, mbstd_group_size=group, mapping_layers=1
  )
  x = jnp.zeros((12 // count, 4, 4, 1))
  apply = lambda **place: jax.eval_shape(
    lambda key: net.apply(
      {**net.init(key, x, train=False), "examples": {"index": 0, **place}}, x, train=True
    ),
    jax.random.key(0),
  )
  apply(count=1)
  if group == 8:  # 12 has groups of 6, as 6 has
    apply(count=count)
  else:
    with pytest.raises(ValueError, match="groups of 4 examples, and each of 4 microbatches has 3"):
      apply(count=count)


def test_standard_deviations_of_parts_of_the_channels():
  """Two examples a and -a deviate by |a|; numbers of parts that leave a rest are refused."""
  a = jnp.array([1.0, 2.0, 3.0, 4.0])
  x = jnp.stack([a, -a])[:, None, None]
  np.testing.assert_allclose(  # the epsilon under the root is 1e-8
    discriminator.minibatch_std(x, 4, 2)[:, 0, 0, 4:], [[1.5, 3.5]] * 2, rtol=1e-6
  )
  for parts in (0, 3):
    with pytest.raises(ValueError, match=f"mbstd_num_channels is {parts}.*divides the 4 channels"):
      discriminator.minibatch_std(x, 4, parts)


def test_one_cutoff_mixes_the_styles_of_a_batch():
  """Uniform in [1, rows), but for a tenth of the batches, which are not mixed."""
  cutoffs = jax.jit(jax.vmap(lambda key: mixing_cutoff(key, 4, 0.9)))(
    jax.random.split(jax.random.key(0), 2000)
  )
  share = np.bincount(cutoffs, minlength=5) / 2000
  np.testing.assert_allclose(share, [0, 0.3, 0.3, 0.3, 0.1], atol=0.04)
  w, other = jnp.zeros((2, 4, 1)), jnp.ones((2, 4, 1))
  assert mix(w, other, 3)[:, :, 0].tolist() == [[0, 0, 0, 1]] * 2


def test_published_rules_of_training():
  """Adam's options where the regularizer has steps of its own, and the decay of averages."""
  generator = lazy_adam_options(4, 0.0025, 0.0, 0.99)
  assert generator == pytest.approx({"learning_rate": 0.002, "b1": 0, "b2": 0.9919919678228657})
  d = lazy_adam_options(16, 0.0025, 0.0, 0.99)
  assert d == pytest.approx(
    {"learning_rate": 0.0023529411764705885, "b1": 0, "b2": 0.9905854573074332}
  )
  rate = half_life(500_000, 0.05).rate
  for images, decay in ((0, 0), (64, 9.5367431640625e-07), (6400, 0.8705505632961241)):
    assert float(rate(Clock(images=images), 64)) == pytest.approx(decay, rel=1e-5)


def test_a_config_reaches_all_of_it():
  """The experiment's game has the memory of path lengths, and average styles to truncate to."""
  changes = {"generator_regularizers.path_length": 2.0}
  config = complete(replaced(from_file("experiments/stylegan2_mnist.py"), changes))
  game = build_game(config, Example((28, 28, 1), None, (-1.0, 1.0)))
  batch = {"x": jax.ShapeDtypeStruct((1, 32, 28, 28, 1), jnp.float32)}
  state = jax.eval_shape(lambda key: init(game, key, batch), jax.random.key(0))
  assert set(state.carried["generator.path_length"]["term"]) == {"average"}
  stats = state.carried["generator"]["batch_stats"]
  assert stats["mapping_network"]["w_avg"].shape == (64,)
  assert set(stats["synthesis_network"]) == {"b7", "b14", "b28"}
  assert game.sampler().truncate is truncate_styles
